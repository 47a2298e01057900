//! A trace names the rule by the kernel's own word, touches nothing but its flow, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_netfilter::model::{Family as Table, Verdict};
use tracer_netfilter::trace::{Entry, Flow, Origin, Removal, TracedDrop, Tracer};
use tracer_tests::firewall::nft;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, SERVER};
use tracer_tests::traffic::{frame, tcp, udp};
use tracer_tests::{Dual, Family, NetNs, patience};

const PORT: u16 = 10250;
/// Long enough for an event that should not come.
const SILENCE: Duration = Duration::from_millis(300);

fn flow(family: Family, to: Dual, protocol: u8, port: u16) -> Flow {
    Flow {
        protocol,
        source: CLIENT.ip(family),
        destination: to.ip(family),
        source_port: None,
        destination_port: Some(port),
    }
}

/// The tracer of this flow, kept in the namespace by its sockets.
fn trace(namespace: &NetNs, flow: &Flow, entries: &[Entry]) -> Result<Tracer> {
    namespace.run(|| Ok(Tracer::start(flow, entries)?))
}

fn dropped(tracer: &mut Tracer) -> Result<TracedDrop> {
    tracer.next_drop(Instant::now() + patience())?.context("no packet of the flow was dropped")
}

fn attempt(from: &NetNs, to: SocketAddr) -> Result<()> {
    from.run(|| tcp::attempt(to)).map(drop)
}

fn tables(namespace: &NetNs) -> Result<String> {
    namespace.exec("nft list tables")
}

/// The handle that `nft -a` shows behind a rule.
fn handle(namespace: &NetNs, rule: &str) -> Result<u64> {
    let listed = namespace.exec("nft -a list ruleset")?;
    let line = listed.lines().find(|line| line.contains(rule)).with_context(|| format!("no {rule} in {listed}"))?;
    Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
}

#[test]
fn the_rule_of_nft_that_drops_is_named_with_the_way_to_it() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t { chain bad { tcp dport 10250 counter drop; }; \
         chain f { type filter hook forward priority 0; meta mark 7 accept; tcp dport 1-20000 jump bad; }; }",
    )?;
    for family in Family::BOTH {
        let mut tracer = trace(&lab.router, &flow(family, SERVER, frame::TCP, PORT), &[Entry::Ip])?;
        assert_eq!(tracer.removal(), Removal::Owner);
        attempt(&lab.client, SERVER.port(family, PORT))?;
        let TracedDrop { path, end } = dropped(&mut tracer)?;
        assert_eq!((end.family, end.table.as_str(), end.chain.as_str()), (Table::Inet, "t", "bad"));
        assert_eq!(end.origin, Origin::Rule(handle(&lab.router, "drop # handle")?));
        let jump = path.last().context("no jump on the way")?;
        assert_eq!(jump.verdict, Verdict::Jump("bad".to_owned()));
        assert_eq!(jump.origin, Origin::Rule(handle(&lab.router, "jump bad")?));
        let headers = jump.headers.as_ref().context("no headers in the first event of a chain")?;
        assert_eq!(headers.transport[2..4], PORT.to_be_bytes());
        assert_eq!((jump.input, jump.output), (Some(11), Some(21)));
        tracer.stop()?;
    }
    Ok(())
}

#[test]
fn a_rule_of_iptables_nft_is_named_by_its_handle_and_a_policy_by_its_chain() -> Result<()> {
    let lab = topology::pair()?;
    lab.server.exec("iptables-nft -N deep; iptables-nft -A INPUT -p tcp -j deep")?;
    lab.server.exec("iptables-nft -A deep -p tcp -m multiport --dports 10250,10255 -j REJECT")?;
    lab.server.exec("iptables-nft -A INPUT -p icmp -j ACCEPT; iptables-nft -P INPUT DROP")?;
    let mut tracer = trace(&lab.server, &flow(Family::V4, NEIGHBOUR, frame::TCP, PORT), &[Entry::Ip])?;
    attempt(&lab.client, NEIGHBOUR.port(Family::V4, PORT))?;
    let end = dropped(&mut tracer)?.end;
    assert_eq!((end.family, end.table.as_str(), end.chain.as_str()), (Table::Ip, "filter", "deep"));
    assert_eq!(end.origin, Origin::Rule(handle(&lab.server, "10250, 10255")?));
    drop(tracer);

    let mut tracer = trace(&lab.server, &flow(Family::V4, NEIGHBOUR, frame::UDP, 99), &[Entry::Ip])?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 99), 1, 16))?;
    let end = dropped(&mut tracer)?.end;
    assert_eq!((end.chain.as_str(), end.origin), ("INPUT", Origin::Policy));
    Ok(())
}

#[test]
fn a_packet_keeps_its_trace_when_its_address_is_translated() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table ip n { chain p { type nat hook prerouting priority -100; ip daddr 10.98.0.1 dnat to 10.99.2.2; }; \
         chain f { type filter hook forward priority 0; ip daddr 10.99.2.2 tcp dport 10250 drop; }; }",
    )?;
    let service: IpAddr = [10, 98, 0, 1].into();
    let to_service = Flow { destination: service, ..flow(Family::V4, SERVER, frame::TCP, PORT) };
    let mut tracer = trace(&lab.router, &to_service, &[Entry::Ip])?;
    attempt(&lab.client, SocketAddr::new(service, PORT))?;
    let TracedDrop { path, end } = dropped(&mut tracer)?;
    assert_eq!(end.chain, "f");
    assert!(path.iter().any(|event| event.chain == "p" && event.verdict == Verdict::Accept), "{path:?}");
    Ok(())
}

#[test]
fn what_is_sent_from_here_is_traced_at_output_and_egress() -> Result<()> {
    let lab = topology::pair()?;
    nft(
        &lab.client,
        "table inet t { chain o { type filter hook output priority -400; tcp dport 10250 drop; }; }; \
         table netdev e { chain e { type filter hook egress device c0 priority 0; udp dport 99 drop; }; }",
    )?;
    for family in Family::BOTH {
        let mut tracer = trace(&lab.client, &flow(family, NEIGHBOUR, frame::TCP, PORT), &[Entry::Ip])?;
        attempt(&lab.client, NEIGHBOUR.port(family, PORT))?;
        assert_eq!(dropped(&mut tracer)?.end.chain, "o");
        let mut tracer = trace(&lab.client, &flow(family, NEIGHBOUR, frame::UDP, 99), &[Entry::Ip])?;
        lab.client.run(|| udp::send(NEIGHBOUR.port(family, 99), 1, 16))?;
        let end = dropped(&mut tracer)?.end;
        assert_eq!((end.family, end.chain.as_str()), (Table::Netdev, "e"));
    }
    Ok(())
}

#[test]
fn a_device_and_a_bridge_are_traced_where_they_are_asked_for() -> Result<()> {
    let lab = topology::bridge()?;
    nft(
        &lab.bridge,
        "table netdev d { chain i { type filter hook ingress device r1 priority 0; udp dport 99 drop; }; }; \
         table bridge b { chain f { type filter hook forward priority 0; udp dport 98 drop; }; }",
    )?;
    let entries = [Entry::Ip, Entry::Bridge, Entry::Ingress("r1".to_owned())];
    for ((port, table), family) in [(99, Table::Netdev), (98, Table::Bridge)]
        .into_iter()
        .flat_map(|case| Family::BOTH.map(|family| (case, family)))
    {
        let mut tracer = trace(&lab.bridge, &flow(family, NEIGHBOUR, frame::UDP, port), &entries)?;
        lab.client.run(|| udp::send(NEIGHBOUR.port(family, port), 1, 16))?;
        assert_eq!(dropped(&mut tracer)?.end.family, table);
        tracer.stop()?;
    }
    assert!(!tables(&lab.bridge)?.contains("whydrop"));
    Ok(())
}

#[test]
fn another_flow_is_not_traced_and_neither_is_what_others_trace() -> Result<()> {
    let lab = topology::pair()?;
    nft(
        &lab.server,
        "table inet t { chain p { type filter hook prerouting priority -300; udp dport 97 meta nftrace set 1; }; \
         chain i { type filter hook input priority 0; udp dport 97-99 drop; }; }",
    )?;
    let mut tracer = trace(&lab.server, &flow(Family::V4, NEIGHBOUR, frame::UDP, 99), &[Entry::Ip])?;
    for port in [97, 98] {
        lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, port), 3, 16))?;
    }
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V6, 99), 3, 16))?;
    assert_eq!(tracer.next(Instant::now() + SILENCE)?, None);
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 99), 1, 16))?;
    let end = dropped(&mut tracer)?.end;
    assert_eq!(end.chain, "i");
    Ok(())
}

#[test]
fn a_flood_is_traced_in_part_only() -> Result<()> {
    let lab = topology::pair()?;
    nft(&lab.server, "table inet t { chain i { type filter hook input priority 0; udp dport 99 drop; }; }")?;
    let mut tracer = trace(&lab.server, &flow(Family::V4, NEIGHBOUR, frame::UDP, 99), &[Entry::Ip])?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 99), 5000, 16))?;
    let mut seen = 0;
    while tracer.next_drop(Instant::now() + SILENCE)?.is_some() {
        seen += 1;
    }
    assert!((100..1000).contains(&seen), "{seen} of 5000 at once");
    Ok(())
}

#[test]
fn nothing_is_left_and_nothing_else_is_touched() -> Result<()> {
    let lab = topology::pair()?;
    nft(&lab.server, "table inet other { chain i { type filter hook input priority 0; }; }")?;
    let before = lab.server.exec("nft list ruleset")?;
    for removal in [Removal::Owner, Removal::Guard] {
        let wanted = flow(Family::V4, NEIGHBOUR, frame::UDP, 99);
        let tracer = lab.server.run(|| Ok(Tracer::start_with(&wanted, &[Entry::Ip, Entry::Bridge], removal)?))?;
        assert_eq!(tracer.removal(), removal);
        let listed = tables(&lab.server)?;
        assert!(listed.contains(&format!("table inet {}", tracer.table())), "{listed}");
        assert!(listed.contains(&format!("table bridge {}", tracer.table())), "{listed}");
        drop(tracer);
        assert_eq!(lab.server.exec("nft list ruleset")?, before);
    }
    Ok(())
}

#[test]
fn a_trace_that_is_refused_leaves_nothing() -> Result<()> {
    let lab = topology::pair()?;
    let wanted = flow(Family::V4, NEIGHBOUR, frame::UDP, 99);
    for removal in [Removal::Owner, Removal::Guard] {
        // The second is a table that exists already.
        let refused = lab.server.run(|| Ok(Tracer::start_with(&wanted, &[Entry::Ip, Entry::Ip], removal).map(drop)))?;
        assert!(refused.is_err());
        assert_eq!(tables(&lab.server)?, "");
    }
    Ok(())
}

#[test]
fn killed_it_leaves_nothing() -> Result<()> {
    for removal in ["owner", "guard"] {
        let lab = topology::pair()?;
        nft(&lab.server, "table inet other { chain i { type filter hook input priority 0; }; }")?;
        let mut child = lab.server.run(|| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--exact", "holds_a_trace_until_it_is_killed", "--ignored", "--nocapture"]);
            Ok(command.env("WHYDROP_TEST_REMOVAL", removal).stdout(Stdio::piped()).spawn()?)
        })?;
        let mut lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.ends_with("traced"));
        let during = tables(&lab.server);
        child.kill()?;
        child.wait()?;
        ensure!(ready, "the child traced nothing");
        assert!(during?.contains("table inet whydrop-trace-"));
        let deadline = Instant::now() + patience();
        while tables(&lab.server)?.contains("whydrop") {
            ensure!(Instant::now() < deadline, "{removal} left {}", tables(&lab.server)?);
        }
        assert_eq!(tables(&lab.server)?, "table inet other\n");
    }
    Ok(())
}

/// Not a test: what [`killed_it_leaves_nothing`] kills.
#[test]
#[ignore = "started and killed by another test"]
fn holds_a_trace_until_it_is_killed() -> Result<()> {
    let removal = match std::env::var("WHYDROP_TEST_REMOVAL")?.as_str() {
        "owner" => Removal::Owner,
        _ => Removal::Guard,
    };
    let wanted = flow(Family::V4, NEIGHBOUR, frame::UDP, 99);
    let _tracer = Tracer::start_with(&wanted, &[Entry::Ip], removal)?;
    println!("traced");
    std::thread::sleep(patience());
    anyhow::bail!("nobody killed it")
}
