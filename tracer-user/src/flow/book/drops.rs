//! Drops of packets that may be of an attempt, kept until the attempt is decided.
//!
//! Rule: bounded: the oldest go first. A drop may be told before the attempt is read, so none is refused because nobody knows
//! its attempt.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::flow::{DropSeen, Tuple};

/// Drops kept, some 1.5 KiB each with their explanation.
const MOST_DROPS: usize = 8192;
/// Different drops of one attempt.
const MOST_OF_ONE: usize = 4;
/// A drop is of this attempt if it is not older than its begin, but for the difference of two clocks' readings.
const EARLIER: u64 = 100_000_000;

/// Packets of one kind: between two ends, or, where the client's port is not known, between two hosts for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Exact(Tuple),
    Service { protocol: u8, client: IpAddr, server: SocketAddr },
}

impl Key {
    fn new(tuple: &Tuple) -> Self {
        if tuple.client.port() == 0 { Self::service(tuple) } else { Self::Exact(*tuple) }
    }

    fn service(tuple: &Tuple) -> Self {
        Self::Service { protocol: tuple.protocol, client: tuple.client.ip(), server: tuple.server }
    }
}

/// The drops of late.
#[derive(Debug, Default)]
pub(super) struct Drops {
    by_key: HashMap<Key, Vec<DropSeen>>,
    /// One for each drop, the oldest first.
    order: VecDeque<Key>,
}

impl Drops {
    pub(super) fn add(&mut self, tuple: &Tuple, drop: DropSeen) {
        let key = Key::new(tuple);
        let drops = self.by_key.entry(key).or_default();
        if let Some(same) = drops.iter_mut().find(|same| is_same(same, &drop)) {
            same.count = same.count.saturating_add(drop.count);
            same.last_seen(drop.time);
            return;
        }
        if drops.len() >= MOST_OF_ONE {
            return;
        }
        drops.push(drop);
        self.order.push_back(key);
        if self.order.len() > MOST_DROPS {
            self.forget_oldest();
        }
    }

    /// Drops of packets with these tuples since the attempt began.
    pub(super) fn of(&self, tuples: &[Tuple], since: u64) -> Vec<DropSeen> {
        let find = |key: fn(&Tuple) -> Key| {
            let mut found: Vec<DropSeen> = Vec::new();
            for drop in tuples.iter().filter_map(|tuple| self.by_key.get(&key(tuple))).flatten() {
                let is_new = found.iter().all(|other| !is_same(other, drop));
                if drop.time.saturating_add(EARLIER) >= since && is_new {
                    found.push(drop.clone());
                }
            }
            found.sort_by_key(|drop| drop.time);
            found
        };
        let exact = find(|tuple| Key::Exact(*tuple));
        if exact.is_empty() { find(Key::service) } else { exact }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.values().map(Vec::len).sum()
    }

    fn forget_oldest(&mut self) {
        let Some(key) = self.order.pop_front() else { return };
        let Some(drops) = self.by_key.get_mut(&key) else { return };
        drops.remove(0);
        if drops.is_empty() {
            self.by_key.remove(&key);
        }
    }
}

fn is_same(one: &DropSeen, other: &DropSeen) -> bool {
    one.netns == other.netns
        && one.is_answer == other.is_answer
        && one.explanation.cause == other.explanation.cause
        && one.explanation.summary == other.explanation.summary
}

impl DropSeen {
    /// The same was dropped again: an attempt that began after the first counts too.
    fn last_seen(&mut self, time: u64) {
        self.time = self.time.max(time);
    }
}
