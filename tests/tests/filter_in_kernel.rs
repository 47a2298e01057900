//! Each filter lets through what it says and nothing else, and it does so in the kernel.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Expect, Family, Tracer};

/// The drops that every filter here has to choose from, in this order.
const NAMES: [&str; 5] = ["udp4:81", "udp4:82", "udp4:83 by a rule", "tcp4:81", "udp6:81"];

fn provoke(lab: &Pair) -> Result<[Flow; 5]> {
    let _rule = Chain::filter(&lab.server, Backend::Nft, Family::V4, "INPUT").append("-p udp --dport 83 -j DROP")?;
    lab.client.run(|| {
        let udp = |family, port| Ok::<_, anyhow::Error>(udp::send(NEIGHBOUR.port(family, port), 1, 20)?.flow);
        let v4 = Family::V4;
        Ok([udp(v4, 81)?, udp(v4, 82)?, udp(v4, 83)?, tcp::attempt(NEIGHBOUR.port(v4, 81))?, udp(Family::V6, 81)?])
    })
}

/// With these arguments exactly the drops of the given numbers are reported, and the others were not even copied.
fn passes(lab: &Pair, arguments: &[&str], wanted: &[usize]) -> Result<()> {
    let inode = lab.server.inode()?.to_string();
    let netns = ["--netns", &inode];
    let scope: &[&str] = if arguments.contains(&"--netns") { &[] } else { &netns };
    let tracer = Tracer::start(&[&["--all"], scope, arguments].concat())?;
    let flows = provoke(lab)?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for (number, flow) in flows.iter().enumerate() {
        let counted = report.count(&Expect::any().with(key::KIND, "drop").flow(flow))?;
        let expected = u64::from(wanted.contains(&number));
        ensure!(counted == expected, "{arguments:?}: {} is reported {counted} times", NAMES[number]);
    }
    let stats = report.stats()?;
    let left_out = (flows.len() - wanted.len()) as u64;
    ensure!(stats.number(key::FILTERED)? >= left_out, "{arguments:?}: not filtered in the kernel: {stats}");
    ensure!(stats.number(key::PACKETS)? >= wanted.len() as u64, "{arguments:?}: {stats}");
    Ok(())
}

#[test]
fn by_port() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--port", "81"], &[0, 3, 4])?;
    passes(&lab, &["--port", "82,83"], &[1, 2])?;
    passes(&lab, &["--port", "82", "--port", "83"], &[1, 2])?;
    passes(&lab, &["--port", "1"], &[])
}

#[test]
fn by_protocol() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--proto", "udp"], &[0, 1, 2, 4])?;
    passes(&lab, &["--proto", "tcp"], &[3])?;
    passes(&lab, &["--proto", "6,17"], &[0, 1, 2, 3, 4])
}

#[test]
fn by_host() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--host", &CLIENT.v4.to_string()], &[0, 1, 2, 3])?;
    passes(&lab, &["--host", &NEIGHBOUR.v6.to_string()], &[4])?;
    passes(&lab, &["--host", "10.99.0.0/16,fd99::/16"], &[0, 1, 2, 3, 4])?;
    passes(&lab, &["--host", "10.99.1.4/30"], &[])?;
    passes(&lab, &["--host", "0.0.0.0/0"], &[0, 1, 2, 3])?;
    passes(&lab, &["--host", "::/0"], &[0, 1, 2, 3, 4])
}

#[test]
fn by_reason() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--reason", "NETFILTER_DROP"], &[2])?;
    passes(&lab, &["--reason", "NO_SOCKET"], &[0, 1, 3, 4])
}

#[test]
fn by_interface() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--iface", "s0"], &[0, 1, 2, 3, 4])?;
    passes(&lab, &["--iface", "s"], &[])?;
    passes(&lab, &["--iface", "c0,lo"], &[])
}

#[test]
fn by_namespace() -> Result<()> {
    let lab = topology::pair()?;
    let path = lab.server.path();
    passes(&lab, &["--netns", lab.server.name()], &[0, 1, 2, 3, 4])?;
    passes(&lab, &["--netns", &path.to_string_lossy()], &[0, 1, 2, 3, 4])?;
    passes(&lab, &["--netns", lab.client.name()], &[])
}

#[test]
fn by_several_at_once() -> Result<()> {
    let lab = topology::pair()?;
    passes(&lab, &["--proto", "udp", "--port", "81,83", "--host", &NEIGHBOUR.v4.to_string()], &[0, 2])?;
    passes(&lab, &["--proto", "udp", "--port", "81,83", "--reason", "NO_SOCKET"], &[0, 4])
}
