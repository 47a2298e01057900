//! The queues of the device that a packet was to leave by: their limits, what waits in them and what they dropped.
//!
//! Rule: drop counters are compared with the reading before of the same device, so that the queue whose counter moved
//! with the drop is known. A reading that was begun before the packet was dropped says nothing about it, so it is only
//! used where reading again would take too much time, and without what rose; nor has the first anything to compare with.

mod message;
mod options;
pub mod print;
mod rise;

pub use message::{Counters, Queue};
pub use options::{Limit, Options};

use super::device::{self, HolderMemory, Holders, Link};
use super::neighbour::link::{self, Peer};
use super::{Packet, Scene};
use crate::host::HostError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qdisc {
    /// The device.
    pub link: Option<Link>,
    /// Its other end, if that is why it has no carrier.
    pub peer: Option<Peer>,
    /// Who has it open, if it is a tun or tap device without a carrier.
    pub holders: Option<Holders>,
    pub queues: Vec<Queue>,
    pub classes: Vec<Queue>,
    /// The packet with its link-layer header, bytes.
    pub length: u32,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lists: rise::Memory,
    holders: HolderMemory,
    links: link::Memory,
}

/// Reads the queues of the device that the packet was on.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Qdisc, HostError> {
    let Some(interface) = device_of(&scene.question.packet) else { return Ok(Qdisc::default()) };
    let device = (scene.question.netns.inode, interface);
    let lists = rise::read(scene, &mut memory.lists, device)?;
    let (queues, classes) = lists.map_or((Ok(Vec::new()), Ok(Vec::new())), |lists| (lists.queues, lists.classes));
    let (link, peer) = device::link_and_peer(scene, &mut memory.links, interface)?;
    let idle = link.as_ref().filter(|link| !link.has_carrier);
    let holders = idle.and_then(|link| device::holders(scene, link, &mut memory.holders));
    Ok(Qdisc {
        link,
        peer,
        holders,
        queues: scene.note("the queueing disciplines cannot be listed", queues).unwrap_or_default(),
        classes: scene.note("the classes cannot be listed", classes).unwrap_or_default(),
        length: scene.question.packet.length,
    })
}

const fn device_of(packet: &Packet) -> Option<u32> {
    match (packet.interface.index, packet.goes_out_by) {
        (0, 0) => None,
        (0, index) | (index, _) => Some(index),
    }
}
