//! What the drop counters of a device grew by since the reading before.

use std::collections::HashMap;

use super::message::{classes, qdiscs};
use super::{Queue, Scene};
use crate::host::HostError;
use crate::host::error::NetlinkError;
use crate::node::recent::{Read, Recent, note};

/// Queues and classes kept of one device: a network card has a queue a CPU, a shaper some thousand classes.
const MOST: usize = 4096;

/// The lists of one device, as they were read.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    pub(super) queues: Result<Vec<Queue>, NetlinkError>,
    pub(super) classes: Result<Vec<Queue>, NetlinkError>,
}

/// Network namespace and index.
type Device = (u32, u32);

/// The last reading of each device.
#[derive(Debug, Default)]
pub(super) struct Memory(Recent<Device, Result<Lists, HostError>>);

/// The lists of a device for the packet that was dropped; `None` if there is no time to read them.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory, device: Device) -> Result<Option<Lists>, HostError> {
    let read = memory
        .get(device, scene.time, || scene.inside(|| Lists { queues: qdiscs(device.1), classes: classes(device.1) }));
    note("the queueing disciplines", read, &mut scene.unknown).transpose()
}

impl Memory {
    fn get(
        &mut self,
        device: Device,
        drop: u64,
        read: impl FnOnce() -> Result<Lists, HostError>,
    ) -> Option<Read<Result<Lists, HostError>>> {
        let mut found = self.0.compared(device, drop, |earlier| {
            let mut lists = read()?;
            compare(earlier.and_then(|earlier| earlier.as_ref().ok()), &mut lists);
            Ok(lists)
        })?;
        if found.is_early {
            found.value = found.value.map(without_rise);
        }
        Some(found)
    }
}

/// Notes what the drop counters grew by since the reading before.
fn compare(earlier: Option<&Lists>, lists: &mut Lists) {
    let before = |of: fn(&Lists) -> Option<&Vec<Queue>>| {
        earlier.map(|earlier| {
            let queues = of(earlier).into_iter().flatten();
            queues.map(|queue| (queue.key(), queue.counters.drops)).collect::<HashMap<_, _>>()
        })
    };
    let queues = before(|lists| lists.queues.as_ref().ok());
    let classes = before(|lists| lists.classes.as_ref().ok());
    for (list, before) in [(&mut lists.queues, queues), (&mut lists.classes, classes)] {
        let Ok(list) = list else { continue };
        list.truncate(MOST);
        for queue in list {
            let Some(before) = &before else { continue };
            // Made since then, it began with nothing; and one that was replaced began anew.
            let before = before.get(&queue.key()).copied().unwrap_or_default();
            queue.rose = Some(queue.counters.drops.checked_sub(before).unwrap_or(queue.counters.drops));
        }
    }
}

fn without_rise(mut lists: Lists) -> Lists {
    for queue in [&mut lists.queues, &mut lists.classes].into_iter().flatten().flatten() {
        queue.rose = None;
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::super::Counters;
    use super::*;
    use crate::host::clock::monotonic;

    fn lists(drops: [u32; 2]) -> Lists {
        let counters = |drops| Counters { drops, ..Counters::default() };
        let queue = |handle, drops| Queue { handle, counters: counters(drops), ..Queue::default() };
        Lists { queues: Ok(vec![queue(1, drops[0]), queue(2, drops[1])]), classes: Ok(Vec::new()) }
    }

    /// What rose for a packet that is dropped now.
    fn rose(memory: &mut Memory, device: Device, drops: [u32; 2]) -> Vec<Option<u32>> {
        let lists = memory.get(device, monotonic(), || Ok(lists(drops))).unwrap().value.unwrap();
        lists.queues.unwrap().iter().map(|queue| queue.rose).collect()
    }

    #[test]
    fn counters_are_compared_with_the_reading_before() {
        let mut memory = Memory::default();
        assert_eq!(rose(&mut memory, (5, 2), [3, 0]), [None, None]);
        assert_eq!(rose(&mut memory, (5, 2), [3, 4]), [Some(0), Some(4)]);
        assert_eq!(rose(&mut memory, (5, 3), [9, 9]), [None, None], "another device");
        assert_eq!(rose(&mut memory, (5, 2), [1, 4]), [Some(1), Some(0)], "the first was replaced");
    }

    #[test]
    fn a_reading_is_used_for_what_was_dropped_before_it() {
        let mut memory = Memory::default();
        let before = monotonic();
        rose(&mut memory, (5, 2), [3, 0]);
        rose(&mut memory, (5, 2), [4, 0]);
        let again = memory.get((5, 2), before, || panic!("read again")).unwrap();
        assert_eq!(again.value.unwrap().queues.unwrap()[0].rose, Some(1));
        // One that is too dear to read again says nothing of what came after it.
        memory.0.exhaust();
        let early = memory.get((5, 2), monotonic(), || panic!("read again")).unwrap();
        assert!(early.is_early);
        assert_eq!(early.value.unwrap().queues.unwrap()[0].rose, None);
    }
}
