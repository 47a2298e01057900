//! Cilium's own count of what it dropped and why: its pinned map `cilium_metrics`.
//!
//! Rule: only the map's numbers are read. One look gives sums since Cilium started; what rose between two looks tells why
//! the drops in between happened, whoever they hit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aya::maps::{Map, MapData, MapType, PerCpuHashMap};

use super::{map_name, pins};

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

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<(SystemTime, Sums)>);

/// Reads the map at its place, or the one that a program uses; `None` if there is none.
pub(super) fn read(memory: &mut Memory, maps: &[u32]) -> Option<Result<Metrics, String>> {
    let map = match find(maps)? {
        Ok(map) => map,
        Err(why) => return Some(Err(why)),
    };
    Some(sums(map).map(|sums| compare(memory, sums, SystemTime::now())))
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

fn compare(memory: &mut Memory, sums: Sums, now: SystemTime) -> Metrics {
    let before = memory.0.replace((now, sums.clone()));
    let since = before.as_ref().map(|(time, _)| *time);
    let before = before.map(|(_, sums)| sums).unwrap_or_default();
    let grown = |why: &Why, now: u64| now.saturating_sub(before.get(why).copied().unwrap_or_default());
    let rose = sums.iter().map(|(why, sum)| (*why, grown(why, *sum))).filter(|(_, rise)| *rise > 0);
    let rose = if since.is_some() { most_first(rose.collect()) } else { Vec::new() };
    Metrics { rose, since, sums: most_first(sums.into_iter().collect()) }
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

    #[test]
    fn only_a_second_look_tells_what_rose() {
        let (mut memory, now) = (Memory::default(), SystemTime::UNIX_EPOCH);
        let first = compare(&mut memory, Sums::from([(POLICY_IN, 5), (NO_SERVICE, 9)]), now);
        assert_eq!((first.rose, first.since), (Vec::new(), None));
        assert_eq!(first.sums, [(NO_SERVICE, 9), (POLICY_IN, 5)]);
        let second = compare(&mut memory, Sums::from([(POLICY_IN, 8), (NO_SERVICE, 9)]), now);
        assert_eq!((second.rose, second.since), (vec![(POLICY_IN, 3)], Some(now)));
        // Cilium was started anew, with an empty map.
        let third = compare(&mut memory, Sums::from([(POLICY_IN, 1)]), now);
        assert_eq!(third.rose, Vec::new());
    }
}
