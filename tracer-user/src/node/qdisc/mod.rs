//! The queues of the device that a packet was to leave by: their limits, what waits in them and what they dropped.
//!
//! Rule: drop counters are compared with the reading before of the same device, so that the queue whose counter moved
//! with the drop is known; the first reading has nothing to compare with, and says so by [`Queue::rose`].

mod message;
mod options;
pub mod print;

use std::collections::HashMap;

pub use message::{Counters, Queue};
pub use options::{Limit, Options};

use super::device::{self, Link, Peer};
use super::recent::Recent;
use super::{Packet, Scene};
use crate::host::HostError;
use crate::host::error::NetlinkError;

/// Queues and classes kept of one device: a network card has a queue a CPU, a shaper some thousand classes.
const MOST: usize = 4096;
/// Devices whose counters are remembered.
const DEVICES: usize = 256;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qdisc {
    /// The device.
    pub link: Option<Link>,
    /// Its other end, if that is why it has no carrier.
    pub peer: Option<Peer>,
    pub queues: Vec<Queue>,
    pub classes: Vec<Queue>,
    /// The packet with its link-layer header, bytes.
    pub length: u32,
}

type Device = (u32, u32);
type Lists = (Result<Vec<Queue>, NetlinkError>, Result<Vec<Queue>, NetlinkError>);

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Drop counters by device and queue.
    drops: HashMap<Device, HashMap<(u32, u32), u32>>,
    recent: Recent<Device, Result<Lists, HostError>>,
}

/// Reads the queues of the device that the packet was on.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Qdisc, HostError> {
    let Some(interface) = device_of(&scene.question.packet) else { return Ok(Qdisc::default()) };
    let key = (scene.question.netns.inode, interface);
    let drops = &mut memory.drops;
    let lists = memory.recent.get(key, || {
        let mut lists = scene.inside(|| (message::qdiscs(interface), message::classes(interface)))?;
        compare(drops, key, &mut lists);
        Ok(lists)
    });
    let (queues, classes) = lists?;
    let (link, peer) = device::link_and_peer(scene, interface)?;
    Ok(Qdisc {
        link,
        peer,
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

/// Notes what the drop counters grew by, and keeps them.
fn compare(drops: &mut HashMap<Device, HashMap<(u32, u32), u32>>, device: Device, lists: &mut Lists) {
    let all = [&mut lists.0, &mut lists.1];
    let earlier = drops.remove(&device);
    let mut now = HashMap::new();
    for queues in all.into_iter().flatten() {
        queues.truncate(MOST);
        for queue in queues {
            queue.rose = earlier.as_ref().map(|earlier| {
                // Made since then: it begins with nothing.
                let before = earlier.get(&queue.key()).copied().unwrap_or_default();
                // A replaced one begins anew.
                queue.counters.drops.checked_sub(before).unwrap_or(queue.counters.drops)
            });
            now.insert(queue.key(), queue.counters.drops);
        }
    }
    if drops.len() >= DEVICES {
        drops.clear();
    }
    drops.insert(device, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(drops: [u32; 2]) -> Lists {
        let queue =
            |handle, drops| Queue { handle, counters: Counters { drops, ..Counters::default() }, ..Queue::default() };
        (Ok(vec![queue(1, drops[0]), queue(2, drops[1])]), Ok(Vec::new()))
    }

    #[test]
    fn counters_are_compared_with_the_reading_before() {
        let mut drops = HashMap::new();
        let mut rose = |device, now| {
            let mut lists = lists(now);
            compare(&mut drops, device, &mut lists);
            lists.0.unwrap().iter().map(|queue| queue.rose).collect::<Vec<_>>()
        };
        assert_eq!(rose((5, 2), [3, 0]), [None, None]);
        assert_eq!(rose((5, 2), [3, 4]), [Some(0), Some(4)]);
        assert_eq!(rose((5, 3), [9, 9]), [None, None], "another device");
        assert_eq!(rose((5, 2), [1, 4]), [Some(1), Some(0)], "the first was replaced");
        for device in 0..10 * DEVICES as u32 {
            rose((device, 1), [0, 0]);
        }
        assert!(drops.len() <= DEVICES);
    }
}
