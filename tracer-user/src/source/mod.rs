//! Where drops come from: events through the ring buffer, exact counts through the maps.
//!
//! Rule: a count is read from a map that no program writes to any more. Each tick the switch turns to the other flow
//! map; when no program can still be using the old one, its events are read and then its counts are taken out.

pub(crate) mod batch;
mod error;

use std::io::BufRead;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{Array, Map, MapData, MapError, RingBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracer_common::{
    BY_NETNS, BY_POD, Counter, CpuState, FilterKey, FlowKey, POD_ADDRESS, Plain, Tally, TotalKey, read_plain,
};

use batch::{After, Batch};
pub use error::SourceError;

use crate::kubernetes::select::{Changes, Key};
use crate::load::{Attached, Maps};

/// Events read before other work gets its turn.
const EVENTS_A_TURN: usize = 4096;

/// The kernel side, running.
pub struct Source {
    control: Array<MapData, u64>,
    cpu_state: aya::maps::PerCpuArray<MapData, [u8; size_of::<CpuState>()]>,
    flows: [MapData; 2],
    other_flows: MapData,
    filter: aya::maps::HashMap<MapData, [u8; size_of::<FilterKey>()], u8>,
    events: AsyncFd<RingBuf<MapData>>,
    batch: Batch,
    generation: u64,
    /// Dropped to detach.
    attached: Option<Attached>,
    /// Runs that the kernel skipped, remembered when the program is gone.
    missed: u64,
}

/// What the programs counted of themselves, all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfCounters {
    counters: [u64; Counter::ALL.len()],
    /// Drops during which the program was running already on that CPU, so that the kernel skipped it.
    pub missed: u64,
}

impl SelfCounters {
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).copied().unwrap_or_default()
    }
}

/// Whether events are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    Idle,
}

impl Source {
    /// Takes over the maps and switches the programs on.
    ///
    /// # Errors
    /// [`SourceError`] if a map is not what it should be.
    pub fn start(maps: Maps, attached: Attached) -> Result<Self, SourceError> {
        // SAFETY: the ring buffer owns its descriptor and keeps it until it is dropped.
        let events = unsafe { AsyncFd::register_with_interest(maps.events, Interest::READABLE) }
            .map_err(|error| SourceError::Poll(error.into()))?;
        let mut source = Self {
            control: Map::Array(maps.control).try_into()?,
            cpu_state: Map::PerCpuArray(maps.cpu_state).try_into()?,
            flows: [maps.flows_even, maps.flows_odd],
            other_flows: maps.other_flows,
            filter: Map::HashMap(maps.filter).try_into()?,
            events,
            batch: Batch::new(aya::util::nr_cpus().map_err(|(_, error)| SourceError::Cpus(error))?),
            generation: 2,
            attached: Some(attached),
            missed: 0,
        };
        source.control.set(0, source.generation, 0)?;
        Ok(source)
    }

    /// Lets the filter also pass what is dropped in this namespace, if it asks for namespaces.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel takes no more.
    pub fn also_from(&mut self, netns: u32) -> Result<(), SourceError> {
        self.pass(FilterKey::number(BY_NETNS, netns))
    }

    /// Has the filter follow the pods that it asks for, if it asks for pods.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel takes no more.
    pub fn follow(&mut self, pods: &Changes) -> Result<(), SourceError> {
        // First, so that there is room.
        for key in pods.remove.iter().filter_map(|key| bytes(pod_key(*key))) {
            match self.filter.remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        pods.add.iter().try_for_each(|key| self.pass(pod_key(*key)))
    }

    fn pass(&mut self, key: FilterKey) -> Result<(), SourceError> {
        bytes(key).map_or(Ok(()), |key| Ok(self.filter.insert(key, 1, 0)?))
    }

    /// Waits until the kernel wakes the reader, which it does when the ring buffer fills up.
    pub async fn filling(&self) {
        if let Ok(mut guard) = self.events.readable().await {
            guard.clear_ready();
        }
    }

    /// Calls `each` with the events that are there, a bounded number of them.
    /// # Errors
    /// The first of `each`.
    pub fn events<E>(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<Progress, E> {
        for _ in 0..EVENTS_A_TURN {
            match self.events.get_mut().next() {
                Some(event) => each(&event)?,
                None => return Ok(Progress::Idle),
            }
        }
        Ok(Progress::More)
    }

    /// Turns to the other flow map: afterwards all events of the old one are in the ring buffer, and
    /// [`Self::take_flows`] may take its counts.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel refuses to write the switch.
    pub fn turn(&mut self) -> Result<(), SourceError> {
        self.generation += 1;
        self.control.set(0, self.generation, 0)?;
        wait_for_running_programs();
        Ok(())
    }

    /// Detaches; afterwards [`Self::take_flows`] gives the rest.
    ///
    /// # Errors
    /// [`SourceError`] as for [`Self::turn`].
    pub fn stop(&mut self) -> Result<(), SourceError> {
        self.missed = self.attached.as_ref().map_or(0, missed_runs);
        self.attached = None;
        self.turn()
    }

    /// Takes the counts out of the flow map that is not in use.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel does not give them; those not given stay for the next time.
    pub fn take_flows(&mut self, each: impl FnMut(FlowKey, Tally)) -> Result<(), SourceError> {
        let idle = &self.flows[usize::from(self.generation & 1 == 0)];
        self.batch.read(idle, After::Delete, each).map_err(|error| SourceError::Read { map: "flows", error })
    }

    /// Gives the totals of the flows that did not fit, since the start.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel does not give them.
    pub fn other_flows(&mut self, each: impl FnMut(TotalKey, Tally)) -> Result<(), SourceError> {
        let map = &self.other_flows;
        self.batch.read(map, After::Keep, each).map_err(|error| SourceError::Read { map: "other flows", error })
    }

    /// What the programs say of themselves.
    ///
    /// # Errors
    /// [`SourceError`] if the kernel does not give it.
    pub fn self_counters(&self) -> Result<SelfCounters, SourceError> {
        let mut sum =
            SelfCounters { missed: self.attached.as_ref().map_or(self.missed, missed_runs), ..Default::default() };
        for state in self.cpu_state.get(&0, 0)?.iter().filter_map(|bytes| read_plain::<CpuState>(bytes)) {
            for (sum, value) in sum.counters.iter_mut().zip(state.counters) {
                *sum += value;
            }
        }
        Ok(sum)
    }
}

/// A key as the map wants it: it has that many bytes.
fn bytes(key: FilterKey) -> Option<[u8; size_of::<FilterKey>()]> {
    key.as_bytes().try_into().ok()
}

fn pod_key(key: Key) -> FilterKey {
    match key {
        Key::Netns(inode) => FilterKey::number(BY_POD, inode),
        Key::Address(address) => FilterKey::name(POD_ADDRESS, halves(address)),
    }
}

/// An address as the programs have it: its first and its last eight bytes, as they stand in memory.
fn halves(address: IpAddr) -> [u64; 2] {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let bytes = u128::from_le_bytes(address.octets());
    [bytes as u64, (bytes >> 64) as u64]
}

/// Waits until every program that may have read the old switch has ended: programs run inside RCU read-side critical
/// sections, and this command waits for all of them (kernel/sched/membarrier.c calls `synchronize_rcu`).
fn wait_for_running_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes three integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        // Refused under a sandbox and with nohz_full: a program runs for microseconds, so this is long.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// `recursion_misses` of the program (Linux 5.12, kernel/bpf/syscall.c `bpf_prog_show_fdinfo`), 0 where it is not told.
fn missed_runs(attached: &Attached) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", attached.program.as_fd().as_raw_fd());
    let Ok(file) = std::fs::File::open(path) else { return 0 };
    std::io::BufReader::new(file)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_pods_are_laid_out_as_the_programs_make_them() {
        let address = |text: &str| bytes(pod_key(Key::Address(text.parse().unwrap()))).unwrap();
        let v4 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 99, 1, 2];
        let v6 = [0xfd, 0x99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        for (text, wanted) in [("10.99.1.2", v4), ("::ffff:10.99.1.2", v4), ("fd99:1::2", v6)] {
            let key = address(text);
            assert_eq!((key[0], &key[1..8], &key[8..]), (7, &[0; 7][..], &wanted[..]), "{text}");
        }
        let netns = bytes(pod_key(Key::Netns(0xf000_0001))).unwrap();
        assert_eq!((netns[0], &netns[8..12], &netns[12..]), (6, &0xf000_0001_u32.to_ne_bytes()[..], &[0; 12][..]));
    }
}
