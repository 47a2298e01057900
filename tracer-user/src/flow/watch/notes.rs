//! What is to be said to the user of what can't be seen, each sentence once, and the devices with those that went away.

use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::flow::{Point, Points};

/// Sentences told in a run.
const MOST_SENTENCES: usize = 64;
/// A device that went away is still named for so long: an attempt is told of when nothing more is waited for.
const KEEP_GONE: Duration = Duration::from_mins(1);

/// Sentences, each told once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    told: HashSet<String>,
    new: Vec<String>,
}

impl Notes {
    pub(super) fn add(&mut self, sentence: String) {
        if self.told.len() < MOST_SENTENCES && self.told.insert(sentence.clone()) {
            self.new.push(sentence);
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        take(&mut self.new)
    }
}

/// The devices, as they are given with each reading.
#[derive(Debug, Default)]
pub(super) struct Map {
    points: Arc<Points>,
    gone: Vec<(u32, u32, Instant)>,
    /// When both directions of a device were attached to, `CLOCK_MONOTONIC` ns, by namespace and index.
    complete: HashMap<(u32, u32), u64>,
}

impl Map {
    pub(super) fn points(&self) -> Arc<Points> {
        Arc::clone(&self.points)
    }

    pub(super) fn set(&mut self, point: Point) {
        let (netns, index) = (point.netns.inode, point.index);
        self.gone.retain(|(of, at, _)| (*of, *at) != (netns, index));
        if self.points.get(netns, index).is_none_or(|known| **known != point) {
            Arc::make_mut(&mut self.points).insert(point);
        }
    }

    /// Both directions of a device are attached to.
    pub(super) fn attached(&mut self, netns: u32, index: u32, now: u64) {
        self.complete.insert((netns, index), now);
    }

    /// All devices of the start are attached to: what passed the first of them before was not seen at the last.
    pub(super) fn started(&mut self, now: u64) {
        self.complete.values_mut().for_each(|complete| *complete = now);
    }

    /// Whether an attempt that began then was seen in both directions: those that began between the two would have no answer.
    pub(super) fn is_whole(&self, netns: u32, index: u32, first: u64) -> bool {
        self.complete.get(&(netns, index)).is_none_or(|complete| first >= *complete)
    }

    pub(super) fn leaves(&mut self, netns: u32, index: u32, now: Instant) {
        self.gone.push((netns, index, now));
    }

    /// Forgets those that went away long ago.
    pub(super) fn clean(&mut self, now: Instant) {
        let is_late = |(_, _, since): &mut (u32, u32, Instant)| now.saturating_duration_since(*since) >= KEEP_GONE;
        for (netns, index, _) in self.gone.extract_if(.., is_late).collect::<Vec<_>>() {
            Arc::make_mut(&mut self.points).remove(netns, index);
            self.complete.remove(&(netns, index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Role;
    use crate::host::{Netns, NetnsName};

    fn point(name: &str) -> Point {
        let netns = Arc::new(Netns { inode: 7, name: NetnsName::Host, doors: Vec::new() });
        Point { netns, index: 3, name: name.to_owned(), role: Role::Uplink, leads_to: None, kind: None }
    }

    #[test]
    fn what_began_before_both_directions_are_seen_is_not_whole() {
        let mut map = Map::default();
        assert!(map.is_whole(7, 3, 0), "nothing is known of it");
        map.attached(7, 3, 100);
        assert_eq!((map.is_whole(7, 3, 99), map.is_whole(7, 3, 100), map.is_whole(7, 4, 99)), (false, true, true));
        map.started(200);
        assert_eq!((map.is_whole(7, 3, 199), map.is_whole(7, 3, 200)), (false, true));
    }

    #[test]
    fn a_sentence_is_told_once() {
        let mut notes = Notes::default();
        notes.add("a".to_owned());
        notes.add("a".to_owned());
        assert_eq!((notes.take(), notes.take()), (vec!["a".to_owned()], vec![]));
    }

    #[test]
    fn a_device_that_went_away_keeps_its_name_for_a_while_unless_another_takes_its_index() {
        let (mut map, start) = (Map::default(), Instant::now());
        map.set(point("eth0"));
        map.leaves(7, 3, start);
        map.clean(start + KEEP_GONE / 2);
        assert_eq!(map.points().get(7, 3).unwrap().name, "eth0");
        map.set(point("eth1"));
        map.clean(start + KEEP_GONE * 2);
        assert_eq!(map.points().get(7, 3).unwrap().name, "eth1");
        map.leaves(7, 3, start);
        map.clean(start + KEEP_GONE);
        assert!(map.points().is_empty());
    }
}
