//! What a program is: its names, maps, pins and owner.

use std::time::{Duration, SystemTime};

use aya::maps::MapInfo;

use super::owner::{self, Owner};
use super::pins::Pins;
use super::{Memory, bpf};
use crate::host::error::Errno;
use crate::node::Scene;

/// The kernel cuts names to so many bytes (`BPF_OBJ_NAME_LEN`, with its final zero).
const CUT: usize = 15;
/// Names and paths kept of one program.
const MOST: usize = 16;

/// A BPF program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub id: u32,
    /// As whole as it can be had.
    pub name: String,
    /// `sched_cls`, `xdp`, `cgroup_skb`, as bpftool names it.
    pub kind: String,
    /// Hexadecimal, as bpftool shows it.
    pub tag: String,
    pub loaded: Option<SystemTime>,
    /// User that loaded it.
    pub uid: u32,
    /// How often it ran; 0 where the kernel does not count (`kernel.bpf_stats_enabled`).
    pub runs: u64,
    /// Names of its maps.
    pub maps: Vec<String>,
    pub map_ids: Vec<u32>,
    /// Where it, or a link of it, is pinned.
    pub pins: Vec<String>,
    pub owner: Option<Owner>,
}

/// Reads a program; `label` is what its filter calls it.
pub(super) fn read(id: u32, label: Option<&str>, scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Program, Errno> {
    let described = scene.recent(&mut memory.programs, "what the BPF program is", id, |_| describe(id));
    let mut program = described.unwrap_or_else(|| Ok(Program { id, ..Program::default() }))?;
    let pins = pins(scene, memory).found.into_iter().filter(|(of, _)| *of == id);
    program.pins = pins.map(|(_, path)| path).take(MOST).collect();
    let label = label.unwrap_or_default();
    program.name = longest(&program.name, label);
    let names = [program.name.as_str(), label];
    program.owner = owner::of(owner::Marks { names: &names, maps: &program.maps, pins: &program.pins });
    Ok(program)
}

/// Where programs are pinned.
pub(super) fn pins(scene: &mut Scene<'_>, memory: &mut Memory) -> Pins {
    scene.recent(&mut memory.pins, "where programs are pinned", (), |_| super::pins::read()).unwrap_or_default()
}

fn describe(id: u32) -> Result<Program, Errno> {
    let found = bpf::describe(id)?;
    Ok(Program {
        id,
        name: longest(&found.name, found.function.as_deref().unwrap_or_default()),
        kind: kind(found.kind),
        tag: format!("{:016x}", u64::from_be_bytes(found.tag)),
        loaded: loaded(found.loaded),
        uid: found.uid,
        runs: found.runs,
        maps: found.maps.iter().filter_map(|id| map_name(*id)).filter(|name| !name.is_empty()).take(MOST).collect(),
        map_ids: found.maps,
        pins: Vec::new(),
        owner: None,
    })
}

/// A name that was cut, as whole as another source has it. A filter's label may hold more: `cil_from_container-eth0`.
fn longest(name: &str, other: &str) -> String {
    let other = other.split(['-', '.', ':', '/', '[']).next().unwrap_or_default();
    let cut = name.len() >= CUT && other.len() > name.len() && other.starts_with(name);
    if cut || name.is_empty() { other.to_owned() } else { name.to_owned() }
}

/// When a program was loaded that was so many nanoseconds after the machine's start; none if that is still to come.
fn loaded(after_start: u64) -> Option<SystemTime> {
    let ago = bpf::uptime().checked_sub(Duration::from_nanos(after_start)).filter(|_| after_start > 0)?;
    SystemTime::now().checked_sub(ago)
}

/// `enum bpf_prog_type` in bpftool's words, as far as such programs drop packets.
fn kind(number: u32) -> String {
    match number {
        1 => "socket_filter",
        3 => "sched_cls",
        4 => "sched_act",
        6 => "xdp",
        8 => "cgroup_skb",
        10..=12 => "lwt",
        16 => "sk_skb",
        29 => "lsm",
        other => return format!("type {other}"),
    }
    .to_owned()
}

/// The name of a map; none if it is gone or may not be looked at.
pub(super) fn map_name(id: u32) -> Option<String> {
    MapInfo::from_id(id).ok().map(|map| String::from_utf8_lossy(map.name()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_name_is_made_whole_only_by_its_own_continuation() {
        assert_eq!(longest("cil_from_contai", "cil_from_container-lxc1234"), "cil_from_container");
        assert_eq!(longest("cil_from_contai", "cil_to_container"), "cil_from_contai");
        assert_eq!(longest("short", "shorter"), "short");
        assert_eq!(longest("", "progs.o:[tc]"), "progs");
        assert_eq!(longest("", ""), "");
    }

    #[test]
    fn a_time_of_loading_is_in_the_past() {
        assert_eq!((loaded(0), loaded(u64::MAX)), (None, None));
        assert!(loaded(1).is_some_and(|at| at < SystemTime::now()));
    }

    #[test]
    fn types_are_in_bpftools_words() {
        assert_eq!(
            (kind(3), kind(6), kind(8), kind(99)),
            ("sched_cls".into(), "xdp".into(), "cgroup_skb".into(), "type 99".into())
        );
    }
}
