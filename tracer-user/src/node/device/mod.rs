//! The device that a packet was on: whether it works, and what its kind decides: bridge ports, overlay networks, the
//! program behind a tun device, the receive queue of a CPU.
//!
//! Rule: only what the place of the drop asks for is read.

mod backlog;
mod bridge;
mod frame;
mod holder;
mod link;
mod overlay;

pub use backlog::{Backlog, Cpu};
pub use bridge::{Bridge, Entry};
pub use frame::{Frame, Mac, mac};
pub(super) use holder::Memory as HolderMemory;
pub use holder::{Holder, Holders};
pub use link::{Counters, FORWARDING, Link, Port, Vxlan};
pub use overlay::Overlay;

use super::neighbour::link::{self as ends, Peer};
use super::recent::Recent;
use super::{Packet, Scene};
use crate::host::HostError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub link: Option<Link>,
    /// Its other end, if that is why it has no carrier.
    pub peer: Option<Peer>,
    /// The addresses in the packet's outermost header.
    pub frame: Frame,
    pub bridge: Option<Bridge>,
    pub overlay: Option<Overlay>,
    pub backlog: Option<Backlog>,
    /// Who has a tun or tap device open; `None` if that was not looked for.
    pub holders: Option<Holders>,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    holders: holder::Memory,
    links: ends::Memory,
    overlays: Recent<u32, Result<Vec<Link>, HostError>>,
}

/// Reads what the place of the drop asks for.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Device, HostError> {
    let packet = &scene.question.packet;
    let (symbol, reason) = (packet.symbol.clone(), packet.reason.clone().unwrap_or_default());
    let frame = packet.dropped.as_deref().map(|dropped| frame::parse(&dropped.event)).unwrap_or_default();
    let cpu = packet.dropped.as_deref().map(|dropped| dropped.event.cpu);
    let mut device = Device { frame, ..Device::default() };
    if let Some(index) = index(packet) {
        (device.link, device.peer) = link_and_peer(scene, &mut memory.links, index)?;
    }
    if symbol == "enqueue_to_backlog" || reason == "CPU_BACKLOG" {
        device.backlog = Some(backlog::read(scene, cpu, device.link.as_ref())?);
    } else if symbol.starts_with("vxlan_") || reason.starts_with("VXLAN_") {
        device.overlay = overlay::read(scene, memory, &device)?;
    } else if symbol.starts_with("br_") || symbol.starts_with("__br_") || reason.starts_with("BRIDGE_") {
        device.bridge = bridge::read(scene, &device)?;
    }
    device.holders = device.link.as_ref().and_then(|link| holders(scene, link, &mut memory.holders));
    Ok(device)
}

const fn index(packet: &Packet) -> Option<u32> {
    match (packet.interface.index, packet.goes_out_by) {
        (0, 0) => None,
        (0, index) | (index, _) => Some(index),
    }
}

/// Who has a tun or tap device open; `None` for other devices.
pub(super) fn holders(scene: &mut Scene<'_>, link: &Link, memory: &mut HolderMemory) -> Option<Holders> {
    let is_one = link.kind.as_deref() == Some("tun");
    if is_one { memory.find(scene, &link.name) } else { None }
}

/// The device and, where it has no carrier, its other end.
pub(super) fn link_and_peer(
    scene: &mut Scene<'_>,
    memory: &mut ends::Memory,
    index: u32,
) -> Result<(Option<Link>, Option<Peer>), HostError> {
    let read = scene.inside(|| Link::read(index))?;
    let link = scene.note("the device cannot be read", read).flatten();
    let idle = link.as_ref().filter(|link| link.is_up && !link.works());
    let peer = idle.and_then(|link| ends::peer(scene, memory, &link.interface()));
    Ok((link, peer))
}
