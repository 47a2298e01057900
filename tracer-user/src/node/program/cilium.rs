//! Cilium's own count of what it dropped and why: its pinned map `cilium_metrics`.
//!
//! Rule: only the map's numbers are read. One look gives sums since Cilium started; what rose since the last look before
//! the drop tells why packets were dropped meanwhile, this one among them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aya::maps::{Map, MapData, MapType, PerCpuHashMap};

use super::{map_name, pins};
use crate::host::clock::monotonic;

/// Where Cilium pins it below a BPF file system (`defaults.TCGlobalsPath`, all versions).
const PATH: &str = "tc/globals/cilium_metrics";
const NAME: &str = "cilium_metrics";
/// Entries read: 1024 to 1.14, 65536 since 1.15, of which some hundred are ever used.
const MOST: usize = 4096;
/// Codes below are no drops: 0 forwarded, others for packets on their way (`DropMin`, pkg/monitor/api/drop.go).
const FIRST_DROP: u8 = 130;

/// Key (`struct metrics_key`, bpf/lib/common.h): reason, direction in the low two bits, and from 1.15 on line and file of
/// the source, which were reserved before. Value (`struct metrics_value`): packets and bytes.
type Key = [u8; 8];
type Value = [u64; 2];

/// Why and in which direction (1 in, 2 out, as the pod sees it; 3 for services).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Why {
    pub reason: u8,
    pub direction: u8,
}

/// Packets by why they were dropped.
pub(super) type Sums = BTreeMap<Why, u64>;

/// What the map says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// What rose since the last look, most first.
    pub rose: Vec<(Why, u64)>,
    /// When the last look was; `None` for the first.
    pub since: Option<SystemTime>,
    /// All, most first.
    pub sums: Vec<(Why, u64)>,
}

/// Looks kept: a drop may be asked about after others that came later.
const LOOKS: usize = 8;
/// A look is kept if the last is older than this, nanoseconds, so that a flood of questions does not push out all that
/// are older than its drops.
const APART: u64 = 250_000_000;

/// One look at the map.
#[derive(Debug)]
struct Look {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    time: u64,
    wall: SystemTime,
    sums: Sums,
}

/// The last looks, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory(VecDeque<Look>);

/// Reads the map at its place, or the one that a program uses; `None` if there is none. `time` is that of the drop,
/// `CLOCK_MONOTONIC` ns.
pub(super) fn read(memory: &mut Memory, maps: &[u32], time: u64) -> Option<Result<Metrics, String>> {
    let map = match find(maps)? {
        Ok(map) => map,
        Err(why) => return Some(Err(why)),
    };
    // Taken before the map is read: what it counts later belongs to later drops.
    let (now, wall) = (monotonic(), SystemTime::now());
    Some(sums(map).map(|sums| compare(memory, Look { time: now, wall, sums }, time)))
}

fn find(maps: &[u32]) -> Option<Result<MapData, String>> {
    let pinned = pins::ROOTS.iter().map(|root| Path::new(root).join(PATH)).find(|path| path.exists());
    if let Some(path) = pinned {
        return Some(MapData::from_pin(&path).map_err(|error| refused(&path, &error)));
    }
    let of_program = maps.iter().find(|id| map_name(**id).as_deref() == Some(NAME))?;
    Some(MapData::from_id(*of_program).map_err(|error| refused(&PathBuf::from(NAME), &error)))
}

fn refused(path: &Path, error: &impl std::fmt::Display) -> String {
    format!("Cilium's map {} cannot be read ({error}); run with CAP_SYS_ADMIN", path.display())
}

fn sums(map: MapData) -> Result<Sums, String> {
    let info = map.info().map_err(|error| error.to_string())?;
    let sizes = (info.key_size() as usize, info.value_size() as usize);
    if !matches!(info.map_type(), Ok(MapType::PerCpuHash)) || sizes != (size_of::<Key>(), size_of::<Value>()) {
        return Err(format!("Cilium's map {NAME} has another form than is known"));
    }
    let map = Map::PerCpuHashMap(map);
    let map = PerCpuHashMap::<_, Key, Value>::try_from(&map).map_err(|error| error.to_string())?;
    let entries = map.iter().take(MOST).map_while(Result::ok);
    Ok(add(entries.map(|(key, values)| (key, values.iter().map(|[packets, _]| *packets).sum()))))
}

fn add(entries: impl Iterator<Item = (Key, u64)>) -> Sums {
    let mut sums = Sums::new();
    for (key, packets) in entries {
        let [reason, direction, ..] = key;
        if reason >= FIRST_DROP {
            let sum = sums.entry(Why { reason, direction: direction & 3 }).or_default();
            *sum = sum.saturating_add(packets);
        }
    }
    sums
}

fn compare(memory: &mut Memory, look: Look, drop: u64) -> Metrics {
    let looks = &mut memory.0;
    let before = looks.iter().rev().find(|look| drop == 0 || look.time < drop);
    let grown = |why: &Why, now: u64| {
        let before = before.and_then(|look| look.sums.get(why)).copied().unwrap_or_default();
        now.saturating_sub(before)
    };
    let rose = look.sums.iter().map(|(why, sum)| (*why, grown(why, *sum))).filter(|(_, rise)| *rise > 0);
    let rose = if before.is_some() { most_first(rose.collect()) } else { Vec::new() };
    let since = before.map(|look| look.wall);
    let sums = most_first(look.sums.clone().into_iter().collect());
    if looks.back().is_none_or(|last| look.time.saturating_sub(last.time) >= APART) {
        if looks.len() == LOOKS {
            looks.pop_front();
        }
        looks.push_back(look);
    }
    Metrics { rose, since, sums }
}

fn most_first(mut counts: Vec<(Why, u64)>) -> Vec<(Why, u64)> {
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY_IN: Why = Why { reason: 133, direction: 1 };
    const NO_SERVICE: Why = Why { reason: 158, direction: 2 };

    #[test]
    fn entries_of_all_lines_are_one_reason() {
        let line = |line: u8, direction| [133, direction, line, 0, 3, 0, 0, 0];
        let entries = [(line(1, 1), 2), (line(9, 0xfd), 3), ([0, 1, 0, 0, 0, 0, 0, 0], 500), (line(1, 2), 1)];
        let sums = add(entries.into_iter());
        assert_eq!(sums, Sums::from([(POLICY_IN, 5), (Why { direction: 2, ..POLICY_IN }, 1)]));
    }

    fn look(time: u64, sums: &[(Why, u64)]) -> Look {
        Look { time, wall: SystemTime::UNIX_EPOCH, sums: sums.iter().copied().collect() }
    }

    #[test]
    fn only_a_look_before_the_drop_tells_what_rose() {
        let mut memory = Memory::default();
        let first = compare(&mut memory, look(100, &[(POLICY_IN, 5), (NO_SERVICE, 9)]), 90);
        assert_eq!((first.rose, first.since), (Vec::new(), None));
        assert_eq!(first.sums, [(NO_SERVICE, 9), (POLICY_IN, 5)]);
        let second = compare(&mut memory, look(APART + 100, &[(POLICY_IN, 8), (NO_SERVICE, 9)]), 200);
        assert_eq!((second.rose, second.since), (vec![(POLICY_IN, 3)], Some(SystemTime::UNIX_EPOCH)));
        // Asked about later, dropped at the same time.
        let third = compare(&mut memory, look(APART + 200, &[(POLICY_IN, 8), (NO_SERVICE, 9)]), 201);
        assert_eq!(third.rose, [(POLICY_IN, 3)]);
        // Cilium was started anew, with an empty map.
        let anew = compare(&mut memory, look(3 * APART, &[(POLICY_IN, 1)]), 2 * APART);
        assert_eq!(anew.rose, Vec::new());
        // A drop from before the first look.
        assert_eq!(compare(&mut memory, look(4 * APART, &[(POLICY_IN, 2)]), 50).since, None);
    }

    #[test]
    fn a_flood_of_questions_does_not_push_out_the_look_before_it() {
        let mut memory = Memory::default();
        for time in 0..1000 {
            compare(&mut memory, look(APART + time, &[(POLICY_IN, time)]), APART);
        }
        assert_eq!(memory.0.len(), 1);
        for round in 2..1000 {
            compare(&mut memory, look(round * APART, &[]), 0);
        }
        assert_eq!(memory.0.len(), LOOKS);
    }
}
