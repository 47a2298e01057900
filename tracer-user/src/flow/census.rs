//! All attempts that were seen, by whom they were for: the background against which silence means something.
//!
//! Rule: bounded; what does not fit is counted as "others".

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use crate::event::Outcome;

use super::{Story, Way};

/// Services remembered, some 200 bytes each; up to 1.5 KiB for those with many clients.
const MOST_SERVICES: usize = 16_384;
/// Addresses that are translated to, remembered.
const MOST_SOURCES: usize = 1024;
/// Different clients and ports that are told apart of each service and outcome.
const MOST_CLIENTS: usize = 16;
const MOST_PORTS: usize = 128;

/// Whom attempts are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// As the client named it.
    pub server: SocketAddr,
    pub way: Way,
}

/// Different values, up to a number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T> {
    pub values: Vec<T>,
    /// There were others.
    pub is_more: bool,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { values: Vec::new(), is_more: false }
    }
}

impl<T: Copy + PartialEq> Few<T> {
    fn add(&mut self, value: T, most: usize) {
        if self.values.contains(&value) {
            return;
        }
        if self.values.len() < most { self.values.push(value) } else { self.is_more = true }
    }
}

/// Attempts that fared alike: well, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    pub count: u64,
    /// `CLOCK_MONOTONIC` ns: the earliest and latest begin of such an attempt; 0 without one.
    pub first: u64,
    pub last: u64,
    /// Clients, before translation.
    pub clients: Few<IpAddr>,
    /// Ports of clients as they leave this node: after translation.
    pub ports: Few<u16>,
}

impl Side {
    fn add(&mut self, story: &Story) {
        self.first = if self.count == 0 { story.first } else { self.first.min(story.first) };
        self.last = self.last.max(story.first);
        self.count += 1;
        self.clients.add(story.tuple.client.ip(), MOST_CLIENTS);
        self.ports.add(story.translated.unwrap_or(story.tuple).client.port(), MOST_PORTS);
    }
}

/// Times from an opener to its answer, ns; only of attempts that were begun once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    pub count: u64,
    pub least: u64,
    pub most: u64,
    pub sum: u64,
}

impl Rtt {
    fn add(&mut self, rtt: u64) {
        self.least = if self.count == 0 { rtt } else { self.least.min(rtt) };
        self.most = self.most.max(rtt);
        self.sum = self.sum.saturating_add(rtt);
        self.count += 1;
    }
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub established: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub no_answer: u64,
    /// Begun, and not decided when the run ended.
    pub pending: u64,
    /// Of `established`: told as failed, and answered in the end.
    pub recovered: u64,
    /// Of `established`: large segments did not get through later.
    pub large_lost: u64,
    /// Failed without a `flow` line of their own: there were too many at once.
    pub untold: u64,
    /// Answered.
    pub ok: Side,
    /// Not answered: dropped here, or no answer; a rejection is neither.
    pub failed: Side,
    pub rtt: Rtt,
}

impl Tally {
    fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Established => &mut self.established,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Dropped => &mut self.dropped,
            Outcome::NoAnswer => &mut self.no_answer,
        }
    }
}

/// Attempts that left with this source address, after translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    pub ok: Side,
    pub failed: Side,
}

/// The attempts of a run.
#[derive(Clone, Debug, Default)]
pub struct Census {
    pub services: HashMap<Service, Tally>,
    /// By the source address that this node translates to; attempts that are not translated are not in it.
    pub sources: HashMap<IpAddr, SourceTally>,
    /// Attempts for services that did not fit, and those that were not followed.
    pub others: u64,
}

impl Census {
    /// Counts a story that is decided.
    pub(super) fn add(&mut self, story: &Story) {
        self.add_to_source(story);
        let Some(tally) = self.tally(story) else {
            self.others += 1;
            return;
        };
        *tally.of(story.outcome) += 1;
        match story.outcome {
            Outcome::Established => tally.ok.add(story),
            Outcome::Dropped | Outcome::NoAnswer => tally.failed.add(story),
            Outcome::Rejected => {}
        }
        if let (Outcome::Established, Some(rtt), 1) = (story.outcome, story.rtt, story.attempts) {
            tally.rtt.add(rtt);
        }
    }

    /// Counts again a story that was counted with another outcome.
    pub(super) fn change(&mut self, story: &Story, earlier: Outcome) {
        if let Some(tally) = self.tally(story) {
            let count = tally.of(earlier);
            *count = count.saturating_sub(1);
            tally.recovered += u64::from(story.outcome == Outcome::Established);
        }
        self.add(story);
    }

    pub(super) fn add_pending(&mut self, story: &Story) {
        match self.tally(story) {
            Some(tally) => tally.pending += 1,
            None => self.others += 1,
        }
    }

    pub(super) fn add_large_lost(&mut self, story: &Story) {
        if let Some(tally) = self.tally(story) {
            tally.large_lost += 1;
        }
    }

    pub(super) fn add_untold(&mut self, story: &Story) {
        if let Some(tally) = self.tally(story) {
            tally.untold += 1;
        }
    }

    fn tally(&mut self, story: &Story) -> Option<&mut Tally> {
        let service = Service { protocol: story.tuple.protocol, server: story.tuple.server, way: story.way };
        entry(&mut self.services, service, MOST_SERVICES)
    }

    fn add_to_source(&mut self, story: &Story) {
        let Some(translated) = story.translated.filter(|translated| translated.client != story.tuple.client) else {
            return;
        };
        let Some(tally) = entry(&mut self.sources, translated.client.ip(), MOST_SOURCES) else { return };
        match story.outcome {
            Outcome::Established => tally.ok.add(story),
            Outcome::Dropped | Outcome::NoAnswer => tally.failed.add(story),
            Outcome::Rejected => {}
        }
    }
}

/// The value of a key; none if it is new and there is no room.
fn entry<K: Copy + Eq + Hash, V: Default>(map: &mut HashMap<K, V>, key: K, most: usize) -> Option<&mut V> {
    if map.len() >= most && !map.contains_key(&key) {
        return None;
    }
    Some(map.entry(key).or_default())
}
