//! Fragments that cannot be put together.

use anyhow::Result;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, MORE_FRAGMENTS, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Expect, Family, Story, sysctl};

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
    lab.client.run(|| {
        let mut wire = Interface::sender("c0")?;
        wire.send(&fragment4(9, MORE_FRAGMENTS))?;
        wire.send(&ethernet6(&packet6))
    })?;
    for family in Family::BOTH {
        let wanted = Expect::finest(&["FRAG_REASM_TIMEOUT", "NOT_SPECIFIED"])?.interface("s0").netns(&lab.server)?;
        let wanted = wanted.addresses(&flow("udp", family, (1234, 9)));
        story.names(wanted.freed_in(&[family.pick("ip_expire", "ip6_frag_expire")]), 1)?;
    }
    story.end().map(drop)
}
