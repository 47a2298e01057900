//! What is printed is what `docs/schema/` and `docs/events.md` promise, key by key, and the counts add up as they say.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::event::{Event, Report, key};
use tracer_tests::firewall::nft;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{echo, frame, tcp, udp};
use tracer_tests::{Expect, Family, Schema, Tracer, patience};

const PORT: u16 = 10250;
/// RFC 9542: for experiments, so nothing handles it.
const LOCAL_EXPERIMENT: u16 = 0x88b5;

const RULES: &str = "
    table inet t {
        chain i { type filter hook input priority 0; ct state new tcp dport 10250 drop; meta l4proto { icmp, icmpv6, sctp } drop; }
        chain o { type filter hook output priority 0; udp dport 10251 drop; }
    }
    table arp t {
        chain i { type filter hook input priority 0; arp operation request drop; }
    }";

/// Keys of a drop line that may be absent; a run with every sort of packet has each of them somewhere.
const OPTIONAL: [&str; 9] = [
    "/stack",
    "/socket/cgroup",
    key::NETNS_NAME,
    key::INTERFACE,
    key::SOURCE_PORT,
    key::TCP_FLAGS,
    "/packet/icmp/type",
    "/packet/ttl",
    "/conntrack/state",
];

/// Drops a packet of each sort, and waits for its line.
fn drop_each_sort(lab: &Pair, tracer: &mut Tracer) -> Result<()> {
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| tcp::attempt(NEIGHBOUR.port(family, PORT)))?;
        tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&flow))?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 3, 20))?;
        tracer.wait_for_count(&Expect::drop("NO_SOCKET").flow(&sent.flow), 3)?;
        let request = lab.client.run(|| echo::request(NEIGHBOUR.ip(family), echo::Options::default()))?;
        tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&request.flow))?;
        let sent = lab.server.run(|| udp::send(CLIENT.port(family, 10251), 1, 20))?;
        tracer.wait_for(&Expect::drop("NETFILTER_DROP").hook("output").flow(&sent.flow))?;
    }
    let sctp = frame::Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, 132).build(&[0; 32]);
    let frames = [
        ("sctp", frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV4, &sctp)),
        ("0x88b5", frame::ethernet(S0_MAC, C0_MAC, LOCAL_EXPERIMENT, &[b'w'; 46])),
    ];
    for (protocol, frame) in frames {
        wire.send(&frame)?;
        tracer.wait_for(&Expect::any().with(key::KIND, "drop").with(key::PROTOCOL, protocol))?;
    }
    // Forgets the address, so that it is asked for.
    lab.client.exec("ip neigh flush dev c0")?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 82), 1, 20))?;
    tracer.wait_for(&Expect::drop("NETFILTER_DROP").with(key::PROTOCOL, "arp")).map(drop)
}

fn run() -> Result<Report> {
    let lab = topology::pair()?;
    nft(&lab.server, RULES)?;
    let inode = lab.server.inode()?.to_string();
    let mut tracer = Tracer::start(&["--all", "--stack", "--netns", &inode])?;
    drop_each_sort(&lab, &mut tracer)?;
    tracer.stop()
}

fn check(line: &Value) -> Result<()> {
    let kind = line["kind"].as_str().context("a line without a kind")?;
    Schema::of(kind)?.check(line).with_context(|| format!("in {line}"))
}

/// `docs/events.md`: in the last line, what was printed and what was not make up all packets.
fn ensure_adds_up(report: &Report) -> Result<()> {
    let stats = report.stats()?;
    let printed = report.count(&Expect::any().with(key::KIND, "drop"))?;
    let silent = [key::HIDDEN, key::NOT_SHOWN, key::OTHER_FLOWS].map(|key| stats.number(key));
    let silent = silent.into_iter().sum::<Result<u64>>()?;
    let packets = stats.number(key::PACKETS)?;
    ensure!(printed + silent == packets, "{printed} printed and {silent} not, of {packets}: {stats}");
    for rows in [key::TOTALS, "/by_reason"] {
        let rows = stats.at(rows).and_then(Value::as_array).context("no rows")?;
        let sum = rows.iter().map(|row| Event(row.clone()).number(key::PACKETS)).sum::<Result<u64>>()?;
        ensure!(sum == packets, "{sum} in the rows instead of {packets}: {stats}");
    }
    Ok(())
}

#[test]
fn every_line_is_as_the_schema_says() -> Result<()> {
    let report = run()?;
    report.ensure_clean()?;
    check(&report.header.0)?;
    report.events.iter().try_for_each(|event| check(&event.0))?;
    ensure_adds_up(&report)?;
    let unseen: Vec<_> = OPTIONAL.iter().filter(|key| report.events.iter().all(|e| e.at(key).is_none())).collect();
    ensure!(unseen.is_empty(), "no line has {unseen:?}, so these were not checked");
    Ok(())
}

#[test]
fn what_has_no_line_is_counted() -> Result<()> {
    let lab = topology::pair()?;
    let inodes = format!("{},{}", lab.client.inode()?, lab.server.inode()?);
    let tracer = Tracer::start(&["--lines", "1", "--interval", "60s", "--netns", &inodes])?;
    lab.client.run(|| {
        // The answer comes to a raw socket only, so the ping protocol finds nobody: noise, which has no line.
        ensure!(echo::answered(NEIGHBOUR.ip(Family::V4), patience())?);
        for port in 81..91 {
            udp::send(NEIGHBOUR.port(Family::V4, port), 5, 20)?;
        }
        Ok(())
    })?;
    let report = tracer.stop()?;
    ensure_adds_up(&report)?;
    for key in [key::HIDDEN, key::NOT_SHOWN] {
        ensure!(report.stats()?.number(key)? > 0, "nothing is {key}, so the sum proves little: {}", report.stats()?);
    }
    Ok(())
}

#[test]
fn the_examples_of_the_page_are_as_the_schema_says() -> Result<()> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md"))?;
    let examples: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let mut kinds = BTreeSet::new();
    for example in examples {
        let line: Value = serde_json::from_str(example).with_context(|| format!("no JSON: {example}"))?;
        check(&line)?;
        kinds.insert(line["kind"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(kinds, ["counter", "drop", "header", "stats"].map(str::to_owned).into());
    Ok(())
}
