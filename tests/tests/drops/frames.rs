//! Single frames from the client to the server of a pair, and what becomes of each.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, Mac, frame, udp};
use tracer_tests::{Expect, Family, Story};

/// A frame that is dropped, or several that look the same.
pub(crate) struct Case {
    frames: Vec<Vec<u8>>,
    /// Finest first: the first that the kernel knows is expected.
    reasons: &'static [&'static str],
    freed_in: &'static [&'static str],
    expect: Expect,
}

impl Case {
    /// A frame with its reason and the functions that may free it.
    pub(crate) fn new(frame: Vec<u8>, reasons: &'static [&'static str], freed_in: &'static [&'static str]) -> Self {
        Self { frames: vec![frame], reasons, freed_in, expect: Expect::any() }
    }

    /// The headers are good enough to tell whose packet it was.
    pub(crate) fn of(self, flow: &Flow) -> Self {
        Self { expect: self.expect.flow(flow), ..self }
    }

    /// The IP header is good enough to tell between whom it was, and no more.
    pub(crate) fn between(self, flow: &Flow) -> Self {
        Self { expect: self.expect.addresses(flow), ..self }
    }

    pub(crate) fn hook(self, hook: &str) -> Self {
        Self { expect: self.expect.hook(hook), ..self }
    }

    pub(crate) fn cause(self, cause: &str) -> Self {
        Self { expect: self.expect.cause(cause), ..self }
    }

    /// Another frame that cannot be told from the first by what is reported.
    pub(crate) fn also(mut self, frame: Vec<u8>) -> Self {
        self.frames.push(frame);
        self
    }
}

/// Sends each frame from the client of a pair, and sees it named at the server.
pub(crate) fn names_each(lab: &Pair, cases: &[Case]) -> Result<()> {
    let mut story = Story::of(&lab.server)?;
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    for (number, case) in cases.iter().enumerate() {
        case.frames.iter().try_for_each(|frame| wire.send(frame))?;
        let reason = Expect::finest(case.reasons)?;
        let wanted = reason.and(&case.expect).interface("s0").netns(&lab.server)?.freed_in(case.freed_in);
        let packets = case.frames.len() as u64;
        story.names(wanted, packets).with_context(|| format!("case {number}: {:?}", case.reasons))?;
    }
    for family in Family::BOTH {
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

/// The addresses of the pair, from client to server.
pub(crate) fn ends(family: Family) -> (IpAddr, IpAddr) {
    (CLIENT.ip(family), NEIGHBOUR.ip(family))
}

/// A flow with these ports between the two.
pub(crate) fn flow(protocol: &'static str, family: Family, ports: (u16, u16)) -> Flow {
    between(protocol, ends(family), ports)
}

/// A flow with these ports between any two.
pub(crate) fn between(protocol: &'static str, ends: (IpAddr, IpAddr), ports: (u16, u16)) -> Flow {
    Flow { protocol, source: SocketAddr::new(ends.0, ports.0), destination: SocketAddr::new(ends.1, ports.1) }
}

/// An IPv4 packet in a frame to the server.
pub(crate) fn ethernet4(packet: &[u8]) -> Vec<u8> {
    ethernet_to(S0_MAC, packet)
}

/// An IPv6 packet in a frame to the server.
pub(crate) fn ethernet6(packet: &[u8]) -> Vec<u8> {
    frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV6, packet)
}

/// An IPv4 packet in a frame to any address.
pub(crate) fn ethernet_to(mac: Mac, packet: &[u8]) -> Vec<u8> {
    frame::ethernet(mac, C0_MAC, frame::ETHERTYPE_IPV4, packet)
}
