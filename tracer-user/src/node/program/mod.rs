//! The BPF programs, tc filters and actions at the place where a packet was dropped, in the order in which they run.
//!
//! Rule: what is attached now is read, not what a program decides: a place with one program is decided by it, a place
//! with several is not. Everything is asked for by number in the kernel's own lists; nothing is loaded or attached.

mod bpf;
pub(crate) mod cgroup;
mod cilium;
mod details;
mod device;
mod filter;
#[cfg(test)]
mod filter_tests;
mod owner;
mod pins;

pub(in crate::node) use cgroup::mounts as cgroup_mounts;
pub use cilium::{Metrics, Why};
pub use details::Program;
pub use filter::{Action, Filter};
pub use owner::Owner;

use aya::programs::links::LinkType;
use details::map_name;

use std::time::{Duration, SystemTime};

use super::recent::Recent;
use super::{Packet, Scene};
use crate::host::error::Errno;
use crate::host::{Clock, HostError};

/// Programs that are told of one place.
const MOST: usize = 16;
/// How far apart two times can be that are the same.
const INEXACT: Duration = Duration::from_millis(100);

/// The way of a packet through a device or a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    /// As tc and bpftool write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Where a program can drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// tcx, and the filters of clsact.
    Tc(Direction),
    Xdp,
    /// The programs of a socket's cgroup; received packets meet the socket's own filter right after.
    Cgroup(Direction),
    /// A program at the device it came in by sent it on.
    Redirect,
    /// The programs of a netkit pair.
    Netkit,
}

/// What holds a program at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    Tcx,
    Netkit,
    Filter(Filter),
    /// `xdpdrv`, `xdpgeneric` or `xdpoffload`, as ip writes it.
    Xdp(&'static str),
    /// The directory of the cgroup; empty if it is not known which.
    Cgroup(String),
}

/// One of what runs at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub hold: Hold,
    /// The BPF link that holds it.
    pub link: Option<u32>,
    /// `None` for a filter with actions only.
    pub program: Option<Program>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// `None` if no such place is known.
    pub place: Option<Place>,
    /// The device's name, where the place is at a device.
    pub device: Option<String>,
    pub attached: Vec<Attached>,
    /// There are more than are told.
    pub cut: bool,
    /// The place could be looked at: an empty list means that nothing is there.
    pub complete: bool,
    /// The socket's cgroup, where the place is at one; none if it is not known which.
    pub cgroup: Option<String>,
    pub cilium: Option<Metrics>,
}

/// What is noted of a reading that could not be made again.
const ATTACHED: &str = "whether this was attached";

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    programs: Recent<u32, Result<Program, Errno>>,
    pins: Recent<(), pins::Pins>,
    devices: Recent<(u32, u32, Place, bool), Result<device::Found, HostError>>,
    cgroups: Recent<(u64, u32), OfCgroup>,
    links: Recent<(u32, bool), Option<u32>>,
    cilium: cilium::Memory,
}

/// A cgroup's directory, if it was found, and its programs.
type OfCgroup = (Option<String>, Result<Vec<cgroup::Attached>, Errno>);

/// Something at the place, by number.
#[derive(Clone, Debug)]
struct Seen {
    hold: Hold,
    link: Option<u32>,
    program: Option<u32>,
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Programs, HostError> {
    let packet = &scene.question.packet;
    match place(packet) {
        Some(place) => at(scene, memory, place),
        None => Ok(Programs::default()),
    }
}

/// Reads this place of the packet's device or cgroup.
pub(super) fn at(scene: &mut Scene<'_>, memory: &mut Memory, place: Place) -> Result<Programs, HostError> {
    let mut programs = Programs { place: Some(place), complete: true, ..Programs::default() };
    let seen = match place {
        Place::Cgroup(direction) => of_cgroup(scene, memory, &mut programs, direction),
        _ => of_device(scene, memory, &mut programs, place)?,
    };
    programs.cut = seen.len() > MOST;
    let time = scene.question.time;
    let dropped = (time != 0).then(|| Clock::measure().wall(time));
    for seen in seen.into_iter().take(MOST) {
        let attached = describe(scene, memory, seen);
        match attached.program.as_ref().filter(|program| loaded_after(program, dropped)) {
            Some(Program { id, name, .. }) => scene.unknown.push(format!(
                "what was there in place of {name} (id {id}), which is attached now but was loaded after this drop"
            )),
            // Every packet goes on behind them.
            None if attached.program.as_ref().is_some_and(|program| program.owner == Some(owner::OURSELVES)) => {}
            None => programs.attached.push(attached),
        }
    }
    let unpinned = |at: &Attached| at.program.as_ref().is_some_and(|program| program.pins.is_empty());
    if programs.attached.iter().any(unpinned) && details::pins(scene, memory).cut {
        scene.unknown.push(format!("where all programs are pinned: more than {} pinned files", pins::MOST));
    }
    let of_cilium =
        programs.attached.iter().filter_map(|at| at.program.as_ref()).find(|program| program.is_of("cilium"));
    if let Some(program) = of_cilium {
        let metrics = cilium::read(&mut memory.cilium, &program.map_ids, scene.question.time);
        programs.cilium = match metrics {
            Some(Ok(metrics)) => Some(metrics),
            Some(Err(why)) => {
                scene.unknown.push(why);
                None
            }
            None => None,
        };
    }
    Ok(programs)
}

/// Whether a program came too late to have dropped the packet. Both times are good to some 10 ms.
fn loaded_after(program: &Program, dropped: Option<SystemTime>) -> bool {
    let (Some(loaded), Some(dropped)) = (program.loaded, dropped) else { return false };
    loaded.duration_since(dropped).is_ok_and(|late| late > INEXACT)
}

/// What it is that stands at the place.
fn describe(scene: &mut Scene<'_>, memory: &mut Memory, seen: Seen) -> Attached {
    let Seen { hold, link, program } = seen;
    let Some(id) = program else { return Attached { hold, link, program: None } };
    let label = if let Hold::Filter(filter) = &hold { filter.label() } else { None };
    let program = details::read(id, label, scene, memory).unwrap_or_else(|errno| {
        scene.unknown.push(format!("what BPF program {id} is ({errno}){}", fix(errno)));
        Program { id, name: label.unwrap_or_default().to_owned(), ..Program::default() }
    });
    let link = link.or_else(|| link_of(scene, memory, &hold, id));
    Attached { hold, link, program: Some(program) }
}

/// The link that holds a program where the list of the place does not tell.
fn link_of(scene: &mut Scene<'_>, memory: &mut Memory, hold: &Hold, program: u32) -> Option<u32> {
    let kind = match hold {
        Hold::Xdp(_) => LinkType::Xdp,
        Hold::Cgroup(_) => LinkType::Cgroup,
        Hold::Tcx | Hold::Netkit | Hold::Filter(_) => return None,
    };
    let read = |_: &mut Scene<'_>| device::link_of(program, kind);
    scene.recent(&mut memory.links, "the link that holds it", (program, kind == LinkType::Xdp), read).flatten()
}

impl Program {
    fn is_of(&self, owner: &str) -> bool {
        self.owner.is_some_and(|known| known.name == owner)
    }
}

/// Which place it is, by the kernel's reason or by the function that freed the packet.
fn place(packet: &Packet) -> Option<Place> {
    let reason = packet.reason.as_deref().unwrap_or_default();
    let reason = reason.strip_prefix("SKB_DROP_REASON_").unwrap_or(reason);
    Some(match (reason, packet.symbol.as_str()) {
        ("TC_INGRESS", _) => Place::Tc(Direction::Ingress),
        ("TC_EGRESS", _) => Place::Tc(Direction::Egress),
        ("XDP", _) => Place::Xdp,
        ("BPF_CGROUP_EGRESS", _) => Place::Cgroup(Direction::Egress),
        ("SOCKET_FILTER", _) => Place::Cgroup(Direction::Ingress),
        // Others of tc are about its chains, not about what a filter decides.
        (reason, _) if reason.starts_with("TC_") => return None,
        (_, "skb_do_redirect" | "__bpf_redirect" | "bpf_clone_redirect") => Place::Redirect,
        (_, "netkit_xmit") => Place::Netkit,
        (_, symbol) if symbol.contains("xdp") => Place::Xdp,
        // Kernels that give no reasons.
        ("", "sch_handle_ingress" | "__netif_receive_skb_core") => Place::Tc(Direction::Ingress),
        ("", "sch_handle_egress" | "__dev_queue_xmit") => Place::Tc(Direction::Egress),
        ("", "ip_finish_output" | "ip6_finish_output") => Place::Cgroup(Direction::Egress),
        _ => return None,
    })
}

/// What is at the device, in the packet's namespace.
fn of_device(
    scene: &mut Scene<'_>,
    memory: &mut Memory,
    programs: &mut Programs,
    place: Place,
) -> Result<Vec<Seen>, HostError> {
    let packet = &scene.question.packet;
    let index = if place == Place::Redirect { packet.came_in_by } else { packet.interface.index };
    programs.device = scene.interface_name(index).map(str::to_owned);
    if programs.device.is_none() && index == packet.interface.index {
        programs.device.clone_from(&packet.interface.name);
    }
    if index == 0 {
        programs.complete = false;
        return Ok(Vec::new());
    }
    let generic = packet.symbol.contains("generic");
    let key = (scene.question.netns.inode, index, place, generic);
    let read = |scene: &mut Scene<'_>| scene.inside(|| device::read(index, place, generic));
    let Some(found) = scene.recent(&mut memory.devices, ATTACHED, key, read) else {
        programs.complete = false;
        return Ok(Vec::new());
    };
    let found = found?;
    for (what, errno) in found.refused {
        programs.complete = false;
        scene.unknown.push(format!("{what} of {} ({errno}){}", programs.device.as_deref().unwrap_or("?"), fix(errno)));
    }
    Ok(found.seen)
}

/// What runs for the socket's cgroup.
fn of_cgroup(scene: &mut Scene<'_>, memory: &mut Memory, programs: &mut Programs, direction: Direction) -> Vec<Seen> {
    let id = scene.question.packet.dropped.as_ref().map_or(0, |dropped| dropped.event.cgroup);
    let attach_type = match direction {
        Direction::Ingress => bpf::CGROUP_INGRESS,
        Direction::Egress => bpf::CGROUP_EGRESS,
    };
    let read = |_: &mut Scene<'_>| read_cgroup(id, attach_type);
    let Some((path, found)) = scene.recent(&mut memory.cgroups, ATTACHED, (id, attach_type), read) else {
        programs.complete = false;
        return Vec::new();
    };
    if path.is_none() {
        scene.unknown.push(match id {
            0 => "which cgroup the socket belongs to: the event does not carry it".to_owned(),
            id => {
                format!("the cgroup {id} of the socket is not below a cgroup v2 mount that whydrop can see, or is gone")
            }
        });
    }
    programs.cgroup = path;
    let found = found.unwrap_or_else(|errno| {
        programs.complete = false;
        scene.unknown.push(format!("the BPF programs of the socket's cgroup ({errno}){}", fix(errno)));
        Vec::new()
    });
    let seen = |at: cgroup::Attached| Seen { hold: Hold::Cgroup(at.path), link: None, program: Some(at.program) };
    found.into_iter().map(seen).collect()
}

fn read_cgroup(id: u64, attach_type: u32) -> OfCgroup {
    let found = (id != 0).then(|| cgroup::find(id)).flatten();
    match found {
        Some((directory, root)) => (Some(cgroup::shown(&directory)), cgroup::effective(&directory, &root, attach_type)),
        None => (None, cgroup::everywhere(attach_type)),
    }
}

/// What to do about a refusal.
fn fix(errno: Errno) -> &'static str {
    match errno.0 {
        libc::EPERM | libc::EACCES => "; run with CAP_SYS_ADMIN and CAP_NET_ADMIN",
        libc::ENOENT => "; it was unloaded meanwhile",
        libc::ENODEV => "; the interface was removed meanwhile",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_known_by_reason_or_function() {
        let at = |reason: &str, symbol: &str| {
            let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
            place(&Packet { reason, symbol: symbol.to_owned(), ..Packet::default() })
        };
        for (reason, symbol, wanted) in [
            ("TC_INGRESS", "__netif_receive_skb_core", Some(Place::Tc(Direction::Ingress))),
            ("SKB_DROP_REASON_TC_EGRESS", "__dev_queue_xmit", Some(Place::Tc(Direction::Egress))),
            ("TC_CHAIN_NOTFOUND", "__dev_queue_xmit", None),
            ("", "__dev_queue_xmit", Some(Place::Tc(Direction::Egress))),
            ("", "sch_handle_ingress", Some(Place::Tc(Direction::Ingress))),
            ("NOT_SPECIFIED", "veth_xdp_rcv_skb", Some(Place::Xdp)),
            ("", "do_xdp_generic", Some(Place::Xdp)),
            ("BPF_CGROUP_EGRESS", "ip_finish_output", Some(Place::Cgroup(Direction::Egress))),
            ("SOCKET_FILTER", "udp_queue_rcv_one_skb", Some(Place::Cgroup(Direction::Ingress))),
            ("NOT_SPECIFIED", "skb_do_redirect", Some(Place::Redirect)),
            ("NOT_SPECIFIED", "netkit_xmit", Some(Place::Netkit)),
            ("TAP_FILTER", "tun_net_xmit", None),
        ] {
            assert_eq!(at(reason, symbol), wanted, "{reason} {symbol}");
        }
    }

    #[test]
    fn a_program_of_later_is_not_blamed() {
        let dropped = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let loaded = |late: u64| Program { loaded: Some(dropped + Duration::from_millis(late)), ..Program::default() };
        assert!(loaded_after(&loaded(500), Some(dropped)));
        assert!(!loaded_after(&loaded(20), Some(dropped)), "the same time, as far as it can be told");
        assert!(!loaded_after(&loaded(500), None) && !loaded_after(&Program::default(), Some(dropped)));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert!(fix(Errno(libc::EPERM)).contains("CAP_SYS_ADMIN"));
        assert!(fix(Errno(libc::ENODEV)).contains("removed"));
    }
}
