//! A full connection table: the limit is the host's, so the namespace is filled up to it.

use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Tracer, remedy, require};

use super::fill::{Udp, fill};

/// A machine that allows more can't be filled in a test.
const MOST: u64 = 600_000;
const PORT: u16 = 9999;
/// What makes most of the entries.
const GREEDY: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 7);

fn number(namespace: &NetNs, name: &str) -> Result<u64> {
    Ok(namespace.exec(&format!("cat /proc/sys/net/netfilter/nf_conntrack_{name}"))?.trim().parse()?)
}

/// Two of three are the greedy one's.
fn connections(count: u64) -> impl Iterator<Item = Udp> {
    (0..count as u32).map(|number| {
        let (port, host) = (1 + (number / 3 % 60_000) as u16, (number / 180_000) as u8);
        match number % 3 {
            2 => {
                let source = Ipv4Addr::from_bits(0x0a00_0000 | (0x20_0000 + number / 3));
                Udp { source: (source, 4000), destination: (Ipv4Addr::new(10, 96, 7, 1), 443) }
            }
            half => {
                let destination = Ipv4Addr::new(10, 96, half as u8, host);
                Udp { source: (GREEDY, port), destination: (destination, 53) }
            }
        }
    })
}

fn resident(tracer: &Tracer) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", tracer.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

#[test]
fn a_full_table_names_who_fills_it_and_makes_room() -> Result<()> {
    let lab = topology::router()?;
    let max = number(&lab.router, "max")?;
    if max > MOST {
        return require::skip(&format!("this machine allows {max} connections, too many to make in a test"));
    }
    let chain = |backend, family, table, chain| Chain { namespace: &lab.router, backend, family, table, chain };
    let _tracked = Family::BOTH
        .map(|family| chain(Backend::Nft, family, "filter", "FORWARD").append("-m conntrack --ctstate NEW -j ACCEPT"));
    // Rules of legacy that drop such a packet, behind connection tracking: their counters stand still.
    let innocent = Family::BOTH.map(|family| {
        chain(Backend::Legacy, family, "mangle", "PREROUTING").append(&format!("-p udp --dport {PORT} -j DROP"))
    });
    let mut tracer = Tracer::watch(&lab.router)?;
    let before = resident(&tracer)?;
    fill(&lab.router, connections(max + 1000))?;
    ensure!(number(&lab.router, "count")? >= max, "the table is not full: {}", number(&lab.router, "count")?);

    let mut event = None;
    for family in Family::BOTH {
        let flow = lab.client.run(|| Ok(udp::send(SERVER.port(family, PORT), 1, 20)?.flow))?;
        let wanted = Expect::drop("NETFILTER_DROP").problem().hook("prerouting").netns(&lab.router)?.flow(&flow);
        let wanted = wanted.cause("conntrack_full").sure("certain").freed_in(&["nf_hook_slow"]);
        let wanted = wanted.with(key::SYSCTL_NAME, "net.netfilter.nf_conntrack_max");
        let told = tracer.wait_for(&wanted.with(key::SYSCTL_VALUE, max.to_string()))?;
        ensure!(told.at("/explanation/rule").is_none(), "a rule is blamed: {told}");
        let summary = format!("{max} of {max} entries (nf_conntrack_max), most of them from {GREEDY}");
        ensure!(told.text(key::SUMMARY).ends_with(&summary), "{told}");
        told.says(key::EVIDENCE, &format!("entries are from {GREEDY}"))?;
        told.says(key::EVIDENCE, "of the first ")?;
        told.says(key::EVIDENCE, "nf_conntrack_udp_timeout")?;
        // Enough of them to speak for all, and no more than are looked at.
        let seen = told
            .texts(key::EVIDENCE)
            .iter()
            .find_map(|fact| fact.split_once("of the first ")?.1.split_once(" entries")?.0.parse::<u64>().ok());
        ensure!(seen.is_some_and(|seen| (200..=50_000).contains(&seen)), "{seen:?} entries were looked at: {told}");
        let raise = format!("sysctl -w net.netfilter.nf_conntrack_max={}", max * 2);
        ensure!(told.texts(key::REMEDY).contains(&raise.as_str()), "the limit is the host's: {told}");
        event = Some(told);
    }
    let after = resident(&tracer)?;
    ensure!(after < before * 3 / 2, "{max} entries made {before} KiB grow to {after} KiB");

    for rule in innocent {
        drop(rule?);
    }
    remedy::apply(&event.context("no event")?, "conntrack -D", &lab.router)?;
    let delivered = Family::BOTH.map(|family| udp::deliver(&lab.client, &lab.server, SERVER.port(family, PORT)));
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for flow in delivered {
        report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(&flow?))?;
    }
    Ok(())
}

/// Looking must not change what is looked at.
#[test]
fn a_look_sets_nothing_to_work() -> Result<()> {
    let lab = topology::router()?;
    let look = || {
        lab.router.run(|| {
            let mut seen = 0;
            let is_whole = tracer_netfilter::conntrack::walk(Duration::from_secs(5), |_| {
                seen += 1;
                ControlFlow::Continue(())
            })?;
            ensure!(is_whole);
            Ok(seen)
        })
    };
    ensure!(look()? == 0);
    udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, PORT))?;
    ensure!(look()? == 0 && number(&lab.router, "count")? == 0, "the look has set connection tracking to work");
    nft(&lab.router, "table ip t { chain c { type filter hook forward priority 0; ct state new accept; }; }")?;
    udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, PORT))?;
    ensure!(look()? == 1, "the connection is not seen");
    Ok(())
}
