//! Connection tracking and address translation: a full table, no free port, and what is INVALID.

mod fill;
mod full;
mod invalid;
mod nat;

use std::net::IpAddr;

use anyhow::Result;
use tracer_tests::topology::{C0_MAC, CLIENT, R1_MAC, Router, SERVER};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, frame};
use tracer_tests::{Family, patience};

/// Sends a transport packet of the client to the server by hand.
fn send(lab: &Router, family: Family, protocol: u8, bytes: &[u8]) -> Result<()> {
    let (ethertype, packet) = match family {
        Family::V4 => (frame::ETHERTYPE_IPV4, frame::Ipv4::new(CLIENT.v4, SERVER.v4, protocol).build(bytes)),
        Family::V6 => (frame::ETHERTYPE_IPV6, frame::Ipv6::new(CLIENT.v6, SERVER.v6, protocol).build(bytes)),
    };
    lab.client.run(|| Interface::sender("c0")?.send(&frame::ethernet(R1_MAC, C0_MAC, ethertype, &packet)))
}

fn ends(family: Family) -> (IpAddr, IpAddr) {
    (CLIENT.ip(family), SERVER.ip(family))
}

/// Sends a TCP segment of the client to the server by hand.
fn segment(lab: &Router, family: Family, segment: &frame::Segment<'_>) -> Result<Flow> {
    let (source, destination) = ends(family);
    send(lab, family, frame::TCP, &frame::tcp_segment(source, destination, segment))?;
    let (from, to) = segment.ports;
    Ok(Flow { protocol: "tcp", source: (source, from).into(), destination: (destination, to).into() })
}

/// Waits on the server's wire for a packet that ends so.
fn arrives(wire: &mut Interface, tail: &[u8]) -> Result<()> {
    let found = wire.receive(patience(), |frame| frame.ends_with(tail))?;
    anyhow::ensure!(found.is_some(), "it did not get through");
    Ok(())
}
