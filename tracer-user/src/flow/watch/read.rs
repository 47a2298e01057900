//! Readings of the maps: what has changed since the last one.
//!
//! Rules: an entry that packets may still come for stays, since to delete it would race with them; one that was idle for
//! [`IDLE`] is deleted. What the kernel made and nobody read is counted.

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
            attempts: Read::new(maps.attempts, IDLE),
            queries: Read::new(maps.queries, IDLE),
            retransmits: Read::new(maps.retransmits, IDLE_RESENT),
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
        self.attempts.take(&mut self.batch, now, |key, entry: &Attempt| {
            into.sightings.extend(convert::attempt(key, entry));
        })?;
        self.queries
            .take(&mut self.batch, now, |key, entry: &Query| into.queries.extend(convert::query(key, entry)))?;
        self.retransmits.take(&mut self.batch, now, |key, entry: &Retransmit| {
            into.resent.extend(convert::retransmit(key, entry));
        })?;
        let count = |counter: AttemptCounter| counters.get(counter as usize).copied().unwrap_or_default();
        let (attempts, queries) = (count(AttemptCounter::Attempts), count(AttemptCounter::Queries));
        let missed = attempts.saturating_sub(self.attempts.made) + queries.saturating_sub(self.queries.made);
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

/// An entry with the times that tell whether it is new, and whether it has changed.
pub(super) trait Timed: Plain {
    /// Of the first and the last packet, `CLOCK_MONOTONIC` ns.
    fn times(&self) -> (u64, u64);
}

impl Timed for Attempt {
    fn times(&self) -> (u64, u64) {
        (self.first, self.last)
    }
}

impl Timed for Query {
    fn times(&self) -> (u64, u64) {
        (self.first, self.last)
    }
}

impl Timed for Retransmit {
    fn times(&self) -> (u64, u64) {
        (self.first, self.last)
    }
}

/// One map.
struct Read<K> {
    map: MapData,
    idle: Duration,
    /// The entries of the last reading.
    known: HashMap<K, (u64, u64)>,
    /// Entries that were ever read.
    made: u64,
}

impl<K: Plain + Eq + Hash> Read<K> {
    fn new(map: MapData, idle: Duration) -> Self {
        Self { map, idle, known: HashMap::new(), made: 0 }
    }

    fn take<V: Timed>(
        &mut self,
        batch: &mut batch::Batch,
        now: u64,
        mut changed: impl FnMut(&K, &V),
    ) -> io::Result<()> {
        let idle = u64::try_from(self.idle.as_nanos()).unwrap_or(u64::MAX);
        let (mut old, mut next) = (Vec::new(), HashMap::with_capacity(self.known.len()));
        let Self { map, known, made, .. } = self;
        let done = batch.entries(map, |key: K, entry: V| {
            let times @ (first, last) = entry.times();
            let before = known.get(&key);
            *made += u64::from(before.is_none_or(|(known, _)| *known != first));
            if before != Some(&times) {
                changed(&key, &entry);
            }
            if now.saturating_sub(last) > idle {
                old.push(key);
            } else {
                next.insert(key, times);
            }
        });
        match done {
            Ok(()) => {
                self.known = next;
                batch::delete(&self.map, &old)
            }
            Err(error) => {
                self.known.extend(next);
                Err(error)
            }
        }
    }
}
