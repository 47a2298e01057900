//! Readings of the maps: what has changed since the last one.
//!
//! Rules: an entry that packets may still come for stays, since to delete it would race with them; one that was idle for
//! [`IDLE`] is deleted. What the kernel made and nobody read is counted; what it pushed out for newer entries before there was
//! an answer is told, since nobody knows then whether one came.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::time::Duration;

use aya::maps::{Array, Map, MapData, MapError, PerCpuArray};
use tracer_common::{
    Attempt, AttemptCounter, AttemptKey, AttemptState, Plain, Query, QueryKey, Retransmit, RetransmitKey, read_plain,
};

use super::handle::{Batch, Kept};
use super::{convert, ports};
use crate::host::clock::monotonic;
use crate::load::FlowMaps;
use crate::source::batch;

/// Entries that no packet came for during this time are deleted.
const IDLE: Duration = Duration::from_secs(3);
/// The same for queries that have their answer: many resolvers answer thousands in a second, and nothing more comes for these.
const IDLE_ANSWERED: Duration = Duration::from_millis(500);
/// The same for connections that send again: the time doubles from segment to segment, up to two minutes (`TCP_RTO_MAX`).
const IDLE_RESENT: Duration = Duration::from_secs(130);

/// The maps, and what was read of them.
pub(super) struct Reader {
    attempts: Read<AttemptKey>,
    queries: Read<QueryKey>,
    retransmits: Read<RetransmitKey>,
    state: PerCpuArray<MapData, [u8; size_of::<AttemptState>()]>,
    /// Never read: held open, as the programs are loaded with its descriptor.
    _ports: Array<MapData, u64>,
    batch: batch::Batch,
}

impl Reader {
    /// Takes the maps; writes the classes of the known ports and of `udp_ports`.
    pub(super) fn new(maps: FlowMaps, udp_ports: &[u16]) -> Result<Self, MapError> {
        // Without a number of CPUs nothing would have been loaded.
        let cpus = aya::util::nr_cpus().unwrap_or(1);
        Ok(Self {
            attempts: Read::new(maps.attempts, IDLE, IDLE),
            queries: Read::new(maps.queries, IDLE, IDLE_ANSWERED),
            retransmits: Read::new(maps.retransmits, IDLE_RESENT, IDLE_RESENT),
            state: Map::PerCpuArray(maps.state).try_into()?,
            _ports: ports::fill(maps.ports, udp_ports)?,
            batch: batch::Batch::new(cpus),
        })
    }

    /// Takes what has changed into `into`.
    ///
    /// # Errors
    /// What the kernel says; what was read until then is in `into`.
    pub(super) fn read(&mut self, into: &mut Batch) -> io::Result<()> {
        into.read = monotonic();
        // Before the entries: what is made after it is not missed yet.
        let counters = self.counters();
        let now = into.read;
        let gone = self.attempts.take(&mut self.batch, now, |key, entry: &Attempt| {
            into.sightings.extend(convert::attempt(key, entry));
        })?;
        into.gone.extend(gone.iter().filter_map(|(key, first)| convert::id(key, *first)));
        let gone = self
            .queries
            .take(&mut self.batch, now, |key, entry: &Query| into.queries.extend(convert::query(key, entry)))?;
        let id = |(key, first): &(QueryKey, u64)| Some((convert::id(&key.attempt, *first)?, key.id));
        into.gone_queries.extend(gone.iter().filter_map(id));
        self.retransmits.take(&mut self.batch, now, |key, entry: &Retransmit| {
            into.resent.extend(convert::retransmit(key, entry));
        })?;
        let count = |counter: AttemptCounter| counters.get(counter as usize).copied().unwrap_or_default();
        let (attempts, queries) = (count(AttemptCounter::Attempts), count(AttemptCounter::Queries));
        let missed =
            attempts.saturating_sub(self.attempts.known.made) + queries.saturating_sub(self.queries.known.made);
        into.kept = Kept {
            attempts,
            queries,
            not_followed: missed + count(AttemptCounter::Refused),
            unreadable: count(AttemptCounter::Unreadable),
        };
        Ok(())
    }

    fn counters(&self) -> [u64; AttemptCounter::ALL.len()] {
        let mut sum = AttemptState::default();
        let Ok(values) = self.state.get(&0, 0) else { return sum.counters };
        for state in values.iter().filter_map(|bytes| read_plain::<AttemptState>(bytes)) {
            for (sum, value) in sum.counters.iter_mut().zip(state.counters) {
                *sum += value;
            }
        }
        sum.counters
    }
}

/// An entry with what tells whether it is new, whether it has changed, and whether it is still of interest.
pub(super) trait Timed: Plain {
    fn state(&self) -> State;
}

/// Of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Of the first and the last packet, `CLOCK_MONOTONIC` ns.
    first: u64,
    last: u64,
    /// An answer is waited for.
    is_open: bool,
}

impl Timed for Attempt {
    fn state(&self) -> State {
        let is_open = self.answered == 0 && self.server_resets == [0; 2] && self.icmp.count == 0;
        State { first: self.first, last: self.last, is_open }
    }
}

impl Timed for Query {
    fn state(&self) -> State {
        State { first: self.first, last: self.last, is_open: self.answered == 0 }
    }
}

impl Timed for Retransmit {
    fn state(&self) -> State {
        State { first: self.first, last: self.last, is_open: false }
    }
}

/// One map.
struct Read<K> {
    map: MapData,
    /// For those that wait for an answer, and for the others.
    idle: [Duration; 2],
    known: Known<K>,
}

impl<K: Plain + Eq + Hash> Read<K> {
    fn new(map: MapData, open: Duration, answered: Duration) -> Self {
        Self { map, idle: [open, answered], known: Known::default() }
    }

    /// Gives those that are gone, with their first packet's time.
    fn take<V: Timed>(
        &mut self,
        batch: &mut batch::Batch,
        now: u64,
        mut changed: impl FnMut(&K, &V),
    ) -> io::Result<Vec<(K, u64)>> {
        let [open, answered] = self.idle.map(|idle| u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX));
        let mut old = Vec::new();
        let known = &mut self.known;
        let done = batch.entries(&self.map, |key: K, entry: V| {
            let state = entry.state();
            let is_old = now.saturating_sub(state.last) > if state.is_open { open } else { answered };
            if known.see(&key, state, !is_old) {
                changed(&key, &entry);
            }
            if is_old {
                old.push(key);
            }
        });
        let gone = known.turn(done.is_ok());
        done?;
        batch::delete(&self.map, &old)?;
        Ok(gone)
    }
}

/// The entries of the last reading, and of this one so far.
struct Known<K> {
    last: HashMap<K, State>,
    now: HashMap<K, State>,
    /// Entries that were ever read.
    made: u64,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self { last: HashMap::new(), now: HashMap::new(), made: 0 }
    }
}

impl<K: Copy + Eq + Hash> Known<K> {
    /// Takes an entry; whether it has changed. One that does not stay is deleted from the map.
    fn see(&mut self, key: &K, state: State, stays: bool) -> bool {
        let before = self.last.remove(key);
        self.made += u64::from(before.is_none_or(|before| before.first != state.first));
        if stays {
            self.now.insert(*key, state);
        }
        before != Some(state)
    }

    /// Ends a reading: gives those that are not in the map any more and had no answer so far. Of a reading that failed nobody
    /// knows what it did not come to.
    fn turn(&mut self, is_whole: bool) -> Vec<(K, u64)> {
        let missing = std::mem::replace(&mut self.last, std::mem::take(&mut self.now));
        if !is_whole {
            self.last.extend(missing);
            return Vec::new();
        }
        missing.into_iter().filter(|(_, state)| state.is_open).map(|(key, state)| (key, state.first)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn state(first: u64, last: u64, is_open: bool) -> State {
        State { first, last, is_open }
    }

    #[test]
    fn what_is_pushed_out_before_it_had_an_answer_is_told() {
        let mut known = Known::default();
        for (key, state) in [(1, state(10, 10, true)), (2, state(11, 12, false)), (3, state(13, 13, true))] {
            assert!(known.see(&key, state, true), "new");
        }
        assert_eq!(known.turn(true), []);
        assert!(!known.see(&3, state(13, 13, true), true));
        // The same ends once more, in a new entry.
        assert!(known.see(&1, state(20, 20, true), true));
        assert_eq!((known.turn(true), known.made), (Vec::new(), 4), "what is answered is not missed");
        assert_eq!(known.turn(false), [], "nothing is known of what was not read");
        let mut gone = known.turn(true);
        gone.sort_unstable();
        assert_eq!(gone, [(1, 20), (3, 13)]);
        assert_eq!(known.turn(true), [], "once");
    }

    #[test]
    fn what_was_idle_and_is_deleted_is_not_gone() {
        let mut known = Known::default();
        known.see(&1, state(10, 10, true), true);
        known.turn(true);
        assert!(!known.see(&1, state(10, 10, true), false));
        assert_eq!((known.turn(true), known.turn(true)), (Vec::new(), Vec::new()));
    }
}
