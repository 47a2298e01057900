//! Counts are exact at any rate: what is reported equals what the rule that drops has counted itself.

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Report, Total, key};
use tracer_tests::firewall::{Backend, Chain, Rule};
use tracer_tests::netns::NetNs;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, flood};
use tracer_tests::{Expect, Family, Tracer, sysctl};

const PACKETS: u64 = 300_000;
const SOURCES: u64 = 100_000;
const PORT: u16 = 9999;

fn rule(lab: &Pair, family: Family) -> Result<Rule<'_>> {
    Chain::filter(&lab.server, Backend::Nft, family, "INPUT").append(&format!("-p udp --dport {PORT} -j DROP"))
}

/// Watches what netfilter drops in one namespace and nothing else.
fn watch(namespace: &NetNs, more: &[&str]) -> Result<Tracer> {
    let inode = namespace.inode()?.to_string();
    Tracer::start(&[&["--all", "--netns", &inode, "--reason", "NETFILTER_DROP"], more].concat())
}

/// The rule's counter, the totals and the sum of all lines agree, packet by packet and byte by byte.
fn ensure_exact(report: &Report, rule: &Rule, sent: u64) -> Result<()> {
    report.ensure_clean()?;
    let counter = rule.counter()?;
    ensure!(counter.packets == sent, "the rule saw {} of {sent} packets", counter.packets);
    let truth = Total { packets: counter.packets, bytes: counter.bytes };
    assert_eq!(report.final_total(&Expect::total("NETFILTER_DROP").interface("s0"))?, truth);
    let stats = report.stats()?;
    assert_eq!(stats.number(key::PACKETS)?, truth.packets);
    assert_eq!(stats.number(key::BYTES)?, truth.bytes);
    let lines = report.lines_total(&Expect::any().with(key::KIND, "drop"))?;
    let without_a_line = stats.number(key::NOT_SHOWN)? + stats.number(key::OTHER_FLOWS)?;
    assert_eq!(lines.packets + without_a_line, truth.packets, "{stats}");
    Ok(())
}

#[test]
fn one_flow_from_every_cpu() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let rule = rule(&lab, family)?;
        let tracer = watch(&lab.server, &[])?;
        let to = NEIGHBOUR.port(family, PORT);
        flood::from_every_cpu(&lab.client, PACKETS, |share| flood::datagrams(to, share, 64).map(drop))?;
        let report = tracer.stop()?;
        ensure_exact(&report, &rule, PACKETS)?;
        // One flow, however many lines tell of it: the sockets differ by their ephemeral ports only.
        let flow = Flow { protocol: "udp", source: CLIENT.port(family, 0), destination: to };
        let wanted = Expect::drop("NETFILTER_DROP").hook("input").interface("s0").netns(&lab.server)?;
        let wanted = wanted.addresses(&flow).with(key::DESTINATION_PORT, PORT);
        assert_eq!(report.count(&wanted)?, PACKETS);
    }
    Ok(())
}

/// Frame number n comes from address number n of many.
fn send_from_many_sources(family: Family, packets: u64) -> Result<()> {
    let wire = Interface::sender("c0")?;
    let datagram = frame::udp(CLIENT.ip(family), NEIGHBOUR.ip(family), (5000, PORT), &[b'w'; 32]);
    match family {
        Family::V4 => {
            let packet = Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP).build(&datagram);
            let template = frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV4, &packet);
            flood::frames(&wire, &template, packets, |number, frame| {
                // From 10.100.0.0 on: nobody in the lab.
                let source = 0x0a64_0000 + (number % SOURCES) as u32;
                frame[26..30].copy_from_slice(&source.to_be_bytes());
                frame[24..26].fill(0);
                let sum = frame::checksum(&frame[14..34]);
                frame[24..26].copy_from_slice(&sum.to_be_bytes());
            })
        }
        Family::V6 => {
            let packet = Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, UDP).build(&datagram);
            let template = frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV6, &packet);
            flood::frames(&wire, &template, packets, |number, frame| {
                frame[34..38].copy_from_slice(&((number % SOURCES) as u32).to_be_bytes());
            })
        }
    }
}

#[test]
fn more_flows_than_the_tables_hold() -> Result<()> {
    many_flows(&[])
}

/// What has no room in the tables has no line of its own either.
#[test]
fn more_flows_than_the_tables_hold_and_a_line_for_each_packet() -> Result<()> {
    many_flows(&["--every"])
}

fn many_flows(more: &[&str]) -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let _lax = ["all", "s0"].map(|name| sysctl::set(&lab.server, &format!("net/ipv4/conf/{name}/rp_filter"), "0"));
        let rule = rule(&lab, family)?;
        let tracer = watch(&lab.server, more)?;
        flood::from_every_cpu(&lab.client, PACKETS, |share| send_from_many_sources(family, share))?;
        ensure_exact(&tracer.stop()?, &rule, PACKETS)?;
    }
    Ok(())
}

#[test]
fn a_line_for_each_packet_on_request() -> Result<()> {
    // Few enough for the ring buffer to hold them all, at whatever rate they come.
    const EACH: u64 = 2000;
    let lab = topology::pair()?;
    let rule = rule(&lab, Family::V4)?;
    let tracer = watch(&lab.server, &["--every"])?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    flood::from_every_cpu(&lab.client, EACH, |share| flood::datagrams(to, share, 64).map(drop))?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_lossless()?;
    assert_eq!(rule.counter()?.packets, EACH);
    let lines: Vec<_> = report.events.iter().filter(|event| event.is("drop")).collect();
    assert_eq!(lines.len() as u64, EACH);
    for line in lines {
        assert_eq!(line.number(key::COUNT)?, 1, "{line}");
    }
    Ok(())
}

#[test]
fn what_the_ring_buffer_cannot_hold_is_counted() -> Result<()> {
    let lab = topology::pair()?;
    let rule = rule(&lab, Family::V4)?;
    let tracer = watch(&lab.server, &["--every"])?;
    // Stopped, it reads nothing, and its ring buffer fills up.
    tracer.signal(libc::SIGSTOP)?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    flood::from_every_cpu(&lab.client, PACKETS, |share| flood::datagrams(to, share, 64).map(drop))?;
    tracer.signal(libc::SIGCONT)?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    assert_eq!(rule.counter()?.packets, PACKETS);
    assert_eq!(report.final_total(&Expect::total("NETFILTER_DROP"))?.packets, PACKETS);
    // A line for each event that was kept, and what was lost is told by lines that stand for more.
    assert_eq!(report.count(&Expect::any().with(key::KIND, "drop"))?, PACKETS);
    let single = Expect::any().with(key::KIND, "drop").with(key::COUNT, 1);
    let kept = report.matching(&single).count() as u64;
    let lost = report.stats()?.number(key::LOST)?;
    ensure!(lost > 0, "{PACKETS} events are said to have fitted");
    assert_eq!(kept + lost, PACKETS, "{}", report.stats()?);
    Ok(())
}

#[test]
fn the_tables_stay_small() -> Result<()> {
    use tracer_tests::bpf::{self, Kind};
    const MOST: u64 = 32 << 20;
    let namespace = NetNs::new("x")?;
    let tracer = watch(&namespace, &[])?;
    let maps: Vec<_> = bpf::held_by(tracer.pid()).into_iter().filter(|object| object.kind == Kind::Map).collect();
    ensure!(!maps.is_empty(), "the tracer holds no map");
    let sizes = maps.iter().map(|map| map.memory().with_context(|| format!("{map:?}")));
    let total = sizes.sum::<Result<u64>>()?;
    assert!(total < MOST, "{total} bytes in {} maps", maps.len());
    tracer.stop()?.ensure_clean()
}
