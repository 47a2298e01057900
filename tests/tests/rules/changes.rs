//! A ruleset that changes while it is watched, and a large one.

use std::fmt::Write as _;

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::tcp;
use tracer_tests::{Expect, Family, Story};

const PORT: u16 = 10250;

#[test]
fn an_edited_ruleset_is_read_again() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let chain = Chain::filter(&lab.server, backend, Family::V4, "INPUT");
        let mut story = Story::of(&lab.server)?;
        let first = chain.append("-p tcp -m tcp --dport 10250 -j DROP")?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
        let wanted = |text: &str, number: u64| {
            Expect::drop("NETFILTER_DROP").with(key::RULE_TEXT, text).with(key::RULE_NUMBER, number)
        };
        story.names(wanted("-A INPUT -p tcp -m tcp --dport 10250 -j DROP", 1).flow(&flow), 1)?;
        drop(first);
        let _pass = chain.append("-p udp -j ACCEPT")?;
        let _second = chain.append("-s 10.99.1.0/24 -p tcp -j DROP")?;
        // Legacy tables tell nobody that they changed: they are looked at again after a second.
        std::thread::sleep(std::time::Duration::from_millis(1200));
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
        story.names(wanted("-A INPUT -s 10.99.1.0/24 -p tcp -j DROP", 2).flow(&flow), 1)?;
        story.end()?;
    }
    Ok(())
}

#[test]
fn fifty_thousand_rules_like_those_of_kube_proxy() -> Result<()> {
    let lab = topology::router()?;
    let mut script = String::from("*filter\n:KUBE-SERVICES - [0:0]\n-A FORWARD -j KUBE-SERVICES\n");
    for service in 0..50_000u32 {
        let [_, _, high, low] = service.to_be_bytes();
        let comment = format!("ns{service}/svc{service}:http has no endpoints");
        writeln!(
            script,
            "-A KUBE-SERVICES -d 10.96.{high}.{low}/32 -p tcp -m comment --comment \"{comment}\" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable"
        )?;
    }
    let last = 49_999u32.to_be_bytes();
    let target = std::net::SocketAddr::from(([10, 96, last[2], last[3]], 80));
    lab.router.exec("ip route add 10.96.0.0/16 via 10.99.2.2")?;
    for backend in Backend::BOTH {
        let restore = format!("{}-restore", backend.program(Family::V4));
        let file = std::env::temp_dir().join(format!("wd-rules-{}", std::process::id()));
        std::fs::write(&file, format!("{script}COMMIT\n"))?;
        lab.router.exec(&format!("{restore} < {}", file.display()))?;
        std::fs::remove_file(&file)?;
        let mut story = Story::of(&lab.router)?;
        let flow = lab.client.run(|| tcp::attempt(target))?;
        let wanted =
            Expect::drop("NETFILTER_DROP").with(key::RULE_CHAIN, "KUBE-SERVICES").with(key::RULE_NUMBER, 50_000);
        let event = story.names(wanted.with(key::OWNER, "kube-proxy").flow(&flow), 1)?;
        assert!(event.texts(key::REMEDY).iter().any(|step| step.contains("svc49999")), "{event}");
        story.end()?;
        lab.router.exec(&format!("{} -F; {} -X", backend.program(Family::V4), backend.program(Family::V4)))?;
    }
    Ok(())
}

#[test]
fn a_ruleset_that_is_replaced_all_the_time_does_not_stop_answers() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.server, "table inet t { chain c { type filter hook input priority 0; tcp dport 10250-10254 drop; }; }")?;
    let story = Story::of(&lab.server)?;
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| -> Result<()> {
            for _ in 0..100 {
                lab.server.exec("nft add table inet other; nft delete table inet other")?;
            }
            Ok(())
        });
        let mut story = story;
        for port in [10250, 10251, 10252, 10253, 10254] {
            let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, port)))?;
            let wanted = Expect::drop("NETFILTER_DROP").with(key::RULE_TEXT, "tcp dport 10250-10254 drop");
            story.names(wanted.flow(&flow), 1)?;
        }
        busy.join().map_err(|_| anyhow::anyhow!("the editor failed"))??;
        story.end().map(drop)
    })
}
