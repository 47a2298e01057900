//! What is wrong with a packet's headers or checksum, and what the device that it came by does with checksums.
//!
//! Rule: the fault is computed from the event's own bytes; the device only tells where to look next.

pub(in crate::node) mod head;
mod offload;
mod verdict;

pub use offload::Offload;
pub use verdict::Fault;

use super::neighbour::link::{self, Peer};
use super::{Packet, Scene};
use crate::host::{HostError, Interface};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// What the packet's bytes show, the first first.
    pub faults: Vec<Fault>,
    /// The device that it was on.
    pub device: Option<Interface>,
    pub offload: Offload,
    /// The other end, if it is a veth.
    pub peer: Option<Peer>,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    links: link::Memory,
}

/// Reads it.
#[expect(clippy::unnecessary_wraps, reason = "every topic is read alike; what the bytes show needs no namespace")]
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Checksum, HostError> {
    let packet = &scene.question.packet;
    let mut facts = Checksum { faults: faults(packet), ..Checksum::default() };
    let index = packet.interface.index;
    if index == 0 {
        return Ok(facts);
    }
    let read = scene.inside(|| {
        let device = link::link(index)?;
        let offload = device.as_ref().map(|device| offload::read(&device.name)).unwrap_or_default();
        Ok::<_, crate::host::error::NetlinkError>((device, offload))
    });
    let read = scene.note("the device that it was on", read);
    if let Some((device, offload)) = read.and_then(|read| scene.note("the device that it was on", read)) {
        (facts.device, facts.offload) = (device, offload);
        facts.peer = facts.device.as_ref().and_then(|device| link::peer(scene, &mut memory.links, device));
    }
    Ok(facts)
}

fn faults(packet: &Packet) -> Vec<Fault> {
    let Some(dropped) = packet.dropped.as_deref() else { return Vec::new() };
    let Some(header) = head::network(dropped) else { return Vec::new() };
    // Only there the packet still begins with its network header, so that its length is that of what came.
    let is_whole = matches!(packet.symbol.as_str(), "ip_rcv_core" | "ip6_rcv_core" | "ip_rcv" | "ipv6_rcv");
    verdict::faults(header, dropped.event.ethertype, is_whole.then_some(packet.length))
}
