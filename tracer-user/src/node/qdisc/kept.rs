//! The last reading of each device.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Lists, Queue};
use crate::host::HostError;
use crate::host::clock::monotonic;

/// Queues and classes kept of one device: a network card has a queue a CPU, a shaper some thousand classes.
const MOST: usize = 4096;
/// Devices whose last reading is kept.
const DEVICES: usize = 256;
/// One part in so many of the time is spent on reading.
const SHARE: u32 = 20;

/// Network namespace and index.
type Device = (u32, u32);

#[derive(Debug)]
struct Reading {
    lists: Lists,
    /// `CLOCK_MONOTONIC`, ns.
    begun: u64,
    done: Instant,
    cost: Duration,
}

/// Readings by device.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMap<Device, Reading>);

impl Kept {
    /// The lists of a device for a packet that was dropped at a time (`CLOCK_MONOTONIC`, ns; 0 if that is not known).
    pub(super) fn get(
        &mut self,
        device: Device,
        dropped: u64,
        read: impl FnOnce() -> Result<Lists, HostError>,
    ) -> Result<Lists, HostError> {
        if let Some(kept) = self.0.get(&device) {
            if dropped != 0 && kept.begun >= dropped {
                return Ok(kept.lists.clone());
            }
            if kept.done.elapsed() < kept.cost * SHARE {
                return Ok(without_rise(kept.lists.clone()));
            }
        }
        let (begun, clock) = (monotonic(), Instant::now());
        let mut lists = read()?;
        compare(self.0.get(&device), &mut lists);
        if self.0.len() >= DEVICES {
            self.0.clear();
        }
        let reading = Reading { lists: lists.clone(), begun, done: Instant::now(), cost: clock.elapsed() };
        self.0.insert(device, reading);
        Ok(lists)
    }
}

/// Notes what the drop counters grew by since the reading before.
fn compare(earlier: Option<&Reading>, lists: &mut Lists) {
    let earlier = earlier.map(|earlier| &earlier.lists);
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

    fn lists(drops: [u32; 2]) -> Lists {
        let counters = |drops| Counters { drops, ..Counters::default() };
        let queue = |handle, drops| Queue { handle, counters: counters(drops), ..Queue::default() };
        Lists { queues: Ok(vec![queue(1, drops[0]), queue(2, drops[1])]), classes: Ok(Vec::new()) }
    }

    /// What rose for a packet that is dropped now.
    fn rose(kept: &mut Kept, device: Device, drops: [u32; 2]) -> Vec<Option<u32>> {
        if let Some(kept) = kept.0.get_mut(&device) {
            kept.cost = Duration::ZERO;
        }
        let lists = kept.get(device, monotonic(), || Ok(lists(drops))).unwrap();
        lists.queues.unwrap().iter().map(|queue| queue.rose).collect()
    }

    #[test]
    fn counters_are_compared_with_the_reading_before() {
        let mut kept = Kept::default();
        assert_eq!(rose(&mut kept, (5, 2), [3, 0]), [None, None]);
        assert_eq!(rose(&mut kept, (5, 2), [3, 4]), [Some(0), Some(4)]);
        assert_eq!(rose(&mut kept, (5, 3), [9, 9]), [None, None], "another device");
        assert_eq!(rose(&mut kept, (5, 2), [1, 4]), [Some(1), Some(0)], "the first was replaced");
        for index in 0..2 * DEVICES as u32 {
            rose(&mut kept, (index, 1), [0, 0]);
        }
        assert!(kept.0.len() <= DEVICES);
    }

    #[test]
    fn a_reading_is_used_for_what_was_dropped_before_it() {
        let mut kept = Kept::default();
        let before = monotonic();
        rose(&mut kept, (5, 2), [3, 0]);
        rose(&mut kept, (5, 2), [4, 0]);
        let again = kept.get((5, 2), before, || panic!("read again")).unwrap();
        assert_eq!(again.queues.unwrap()[0].rose, Some(1));
        // One that is too dear to read again says nothing of what came after it.
        kept.0.get_mut(&(5, 2)).unwrap().cost = Duration::from_secs(9);
        let stale = kept.get((5, 2), monotonic(), || panic!("read again")).unwrap();
        assert_eq!(stale.queues.unwrap()[0].rose, None);
    }
}
