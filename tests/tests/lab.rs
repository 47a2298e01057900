//! The lab itself: what the other tests build on is true without the binary under test.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::firewall::{self, Backend, Chain, Counter};
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, S0_MAC, SERVER};
use tracer_tests::traffic::raw::{self, Interface};
use tracer_tests::traffic::{echo, flood, frame, tcp, udp};
use tracer_tests::{Family, NetNs, bpf, kernel, patience, require, sysctl};
use whydrop::host::{HostError, Netns, NetnsName, enter};

#[test]
fn a_namespace_ends_with_its_guard() -> Result<()> {
    let namespace = NetNs::new("x")?;
    let (path, inode) = (namespace.path(), namespace.inode()?);
    let inside = namespace.run(|| Ok(std::fs::read_link("/proc/thread-self/ns/net")?))?;
    assert_eq!(inside.to_string_lossy(), format!("net:[{inode}]"));
    drop(namespace);
    assert!(!path.exists());
    Ok(())
}

#[test]
fn every_topology_forwards_in_both_families() -> Result<()> {
    // Each constructor returns only when both ends answer; here payload goes through as well.
    let router = topology::router()?;
    let bridge = topology::bridge()?;
    let pair = topology::pair()?;
    for family in Family::BOTH {
        udp::deliver(&router.client, &router.server, SERVER.port(family, 5000))?;
        udp::deliver(&router.server, &router.client, CLIENT.port(family, 5000))?;
        udp::deliver(&bridge.client, &bridge.server, NEIGHBOUR.port(family, 5000))?;
        udp::deliver(&pair.client, &pair.server, NEIGHBOUR.port(family, 5000))?;
        tcp::connect(&router.client, &router.server, SERVER.port(family, 5001))?;
    }
    Ok(())
}

#[test]
fn the_counter_of_a_rule_counts_a_flood_exactly() -> Result<()> {
    let lab = topology::pair()?;
    for (backend, family) in Backend::BOTH.into_iter().flat_map(|b| Family::BOTH.map(|f| (b, f))) {
        let rule = Chain::filter(&lab.server, backend, family, "INPUT").append("-p udp --dport 9999 -j DROP")?;
        lab.client.run(|| flood::datagrams(NEIGHBOUR.port(family, 9999), 10_000, 100))?;
        let header = family.pick(28, 48);
        assert_eq!(rule.counter()?, Counter { packets: 10_000, bytes: 10_000 * (100 + header) }, "{backend:?}");
    }
    Ok(())
}

#[test]
fn an_nft_counter_is_read() -> Result<()> {
    let lab = topology::pair()?;
    let chain = "type filter hook input priority 0; udp dport 9999 counter drop;";
    firewall::nft(&lab.server, &format!("table inet t {{ chain c {{ {chain} }}; }}"))?;
    let to = NEIGHBOUR.port(Family::V6, 9999);
    flood::from_every_cpu(&lab.client, 1001, |share| flood::datagrams(to, share, 10).map(drop))?;
    assert_eq!(firewall::nft_counter(&lab.server, "inet t c")?.packets, 1001);
    Ok(())
}

#[test]
fn a_raw_frame_arrives_as_it_was_made() -> Result<()> {
    let lab = topology::pair()?;
    let mut listener = lab.server.run(|| Interface::listener("s0"))?;
    let datagram = frame::udp(CLIENT.v4.into(), NEIGHBOUR.v4.into(), (1234, 9), b"hello");
    let packet = frame::Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, frame::UDP).build(&datagram);
    let sent = frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV4, &packet);
    lab.client.run(|| Interface::sender("c0")?.send(&sent))?;
    let received = listener.receive(patience(), |frame| frame == sent)?;
    ensure!(received.is_some(), "the frame did not arrive");
    Ok(())
}

#[test]
fn hand_made_packets_are_good_enough_for_the_kernel() -> Result<()> {
    // A listener answers a hand-made SYN only if addresses, lengths and both checksums are right.
    let lab = topology::pair()?;
    let mut wire = lab.client.run(|| Interface::listener("c0"))?;
    for family in Family::BOTH {
        let (from, to) = (CLIENT.ip(family), NEIGHBOUR.port(family, 5000));
        let _listening = lab.server.run(|| Ok(TcpListener::bind(to)?))?;
        let segment = frame::tcp(from, to.ip(), (1234, to.port()), frame::SYN);
        let (ethertype, packet, flags) = match family {
            Family::V4 => (
                frame::ETHERTYPE_IPV4,
                frame::Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, frame::TCP).build(&segment),
                14 + 20 + 13,
            ),
            Family::V6 => (
                frame::ETHERTYPE_IPV6,
                frame::Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, frame::TCP).build(&segment),
                14 + 40 + 13,
            ),
        };
        wire.send(&frame::ethernet(S0_MAC, C0_MAC, ethertype, &packet))?;
        let answered = |frame: &[u8]| frame.get(flags) == Some(&(frame::SYN | frame::ACK));
        wire.receive(patience(), answered)?.with_context(|| format!("no SYN-ACK over {family:?}"))?;
    }
    Ok(())
}

#[test]
fn a_sysctl_comes_back_with_its_guard() -> Result<()> {
    let lab = topology::router()?;
    let answered = || lab.client.run(|| echo::answered(SERVER.ip(Family::V4), Duration::from_millis(20)));
    let off = sysctl::set(&lab.router, "net/ipv4/ip_forward", "0")?;
    assert!(!answered()?);
    drop(off);
    assert!(answered()?);
    Ok(())
}

#[test]
fn a_sysctl_of_the_machine_is_refused() -> Result<()> {
    let namespace = NetNs::new("x")?;
    for name in ["kernel/panic", "net/../kernel/panic", "vm/swappiness"] {
        assert!(sysctl::set(&namespace, name, "0").is_err(), "{name}");
    }
    Ok(())
}

#[test]
fn a_verdict_program_is_seen_held_and_gone() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let mine = || bpf::held_by(std::process::id());
    assert!(mine().is_empty());
    // 2 is TC_ACT_SHOT.
    let link = lab.server.run(|| bpf::attach_verdict(bpf::Attach::TcxIngress, raw::index("s0")?, 2))?;
    let held = mine();
    assert!(held.iter().any(|object| object.kind == bpf::Kind::Link));
    assert!(held.iter().all(|object| object.exists()));
    assert!(!lab.client.run(|| echo::answered(NEIGHBOUR.ip(Family::V4), Duration::from_millis(20)))?);
    drop(link);
    assert!(lab.client.run(|| echo::answered(NEIGHBOUR.ip(Family::V4), patience()))?);
    assert!(mine().is_empty());
    Ok(())
}

#[test]
fn reasons_are_known_by_their_names() -> Result<()> {
    assert!(kernel::knows_reason("NO_SOCKET")?);
    assert!(!kernel::knows_reason("NO_SUCH_REASON")?);
    assert!(!kernel::knows_reason("NO_SOCKE")?);
    Ok(())
}

#[test]
fn a_visit_to_another_namespace_comes_home_also_after_a_panic() -> Result<()> {
    let there = NetNs::new("v")?;
    let number = || std::fs::read_link("/proc/thread-self/ns/net");
    let home = number()?;
    let inode = u32::try_from(there.inode()?)?;
    let netns = Netns { inode, name: NetnsName::Named("v".into()), doors: vec![there.path()] };
    let seen = enter::visit(&netns, || Ok(std::fs::read_link("/proc/thread-self/ns/net").ok()));
    assert_eq!(seen, Ok(Some(format!("net:[{inode}]").into())));
    assert_eq!(number()?, home);
    let failed = enter::visit(&netns, || -> Result<(), HostError> { panic!("expected by the test") });
    assert_eq!(failed, Err(HostError::ThreadFailed));
    assert_eq!(number()?, home);
    Ok(())
}
