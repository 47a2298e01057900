//! Fragments that cannot be put together.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use serde_json::Value;
use tracer_tests::event::key;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, MORE_FRAGMENTS, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Expect, Family, Story, Tracer, cpu, sysctl};

use crate::frames::{ends, ethernet4, ethernet6, flow};

/// The first fragment of a datagram: its header and some data.
fn first_part(family: Family) -> Vec<u8> {
    let (source, destination) = ends(family);
    frame::udp(source, destination, (1234, 9), &[b'w'; 56])
}

fn fragment4(identification: u16, place: u16) -> Vec<u8> {
    let header = Ipv4 { identification, fragment: place, ..Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP) };
    ethernet4(&header.build(&first_part(Family::V4)))
}

#[test]
fn the_same_fragment_twice() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    lab.client.run(|| {
        let mut wire = Interface::sender("c0")?;
        wire.send(&fragment4(7, MORE_FRAGMENTS))?;
        wire.send(&fragment4(7, MORE_FRAGMENTS))
    })?;
    let wanted = Expect::finest(&["DUP_FRAG", "NOT_SPECIFIED"])?.interface("s0").netns(&lab.server)?;
    let wanted = wanted.addresses(&flow("udp", Family::V4, (1234, 9)));
    story.names(wanted.freed_in(&["ip_defrag"]), 1)?;
    story.end().map(drop)
}

#[test]
fn the_rest_never_comes() -> Result<()> {
    let lab = topology::pair()?;
    let _hasty4 = sysctl::set(&lab.server, "net/ipv4/ipfrag_time", "1")?;
    let _hasty6 = sysctl::set(&lab.server, "net/ipv6/ip6frag_time", "1")?;
    let part6 = frame::fragment6(UDP, 0, true, 5, &first_part(Family::V6));
    let packet6 = Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, frame::FRAGMENT_HEADER).build(&part6);
    let mut story = Story::of(&lab.server)?;
    let halves = || {
        let mut wire = Interface::sender("c0")?;
        wire.send(&fragment4(9, MORE_FRAGMENTS))?;
        wire.send(&ethernet6(&packet6))
    };
    let ((), _busy) = cpu::busy_after(|| lab.client.run(halves))?;
    for family in Family::BOTH {
        let wanted = Expect::finest(&["FRAG_REASM_TIMEOUT", "NOT_SPECIFIED"])?.interface("s0").netns(&lab.server)?;
        let wanted = wanted.addresses(&flow("udp", family, (1234, 9)));
        story.names(wanted.freed_in(&[family.pick("ip_expire", "ip6_frag_expire")]), 1)?;
    }
    story.end().map(drop)
}

/// Parts of one datagram with a gap between each two wait in a tree, which lies over the device that they came by. They are
/// given up together when parts of other datagrams came in between (`ip_frag_too_far`, net/ipv4/ip_fragment.c, 6.18).
#[test]
fn what_waits_in_a_tree_has_no_invented_place() -> Result<()> {
    const PARTS: u16 = 31;
    // Nobody else's: all namespaces are watched, as a filter by namespace would hide a wrong one, and what has none.
    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 77);
    let reason = Expect::finest(&["FRAG_TOO_FAR", "NOT_SPECIFIED"])?;
    let lab = topology::pair()?;
    let _near = sysctl::set(&lab.server, "net/ipv4/ipfrag_max_dist", "1")?;
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms", "--host", &SOURCE.to_string()])?;
    let part = |identification, number: u16| {
        let fragment = MORE_FRAGMENTS | (number * 16);
        let header = Ipv4 { identification, fragment, ..Ipv4::new(SOURCE, NEIGHBOUR.v4, UDP) };
        ethernet4(&header.build(&[b'w'; 64]))
    };
    lab.client.run(|| {
        let mut wire = Interface::sender("c0")?;
        (0..PARTS).try_for_each(|number| wire.send(&part(21, number)))?;
        (0..3).try_for_each(|number| wire.send(&part(22, number)))?;
        wire.send(&part(21, PARTS))
    })?;
    let given_up = reason.freed_in(&["ip_frag_reinit", "inet_frag_rbtree_purge", "ip_defrag"]);
    tracer.wait_for_count(&given_up, PARTS.into())?;
    let server = lab.server.inode()?;
    let report = tracer.stop()?;
    for event in report.events.iter().filter(|event| given_up.accepts(event)) {
        let netns = event.at(key::NETNS).and_then(Value::as_u64).unwrap_or_default();
        ensure!(netns == 0 || netns == server, "it was in no such namespace: {event}");
        let name = event.at(key::INTERFACE).and_then(Value::as_str);
        ensure!(name.is_none_or(|name| name == "s0"), "it was on no such interface: {event}");
    }
    report.ensure_clean()
}
