//! What can drop at a device of the calling thread's namespace, in the order in which it runs.

use aya::programs::links::LinkType;
use aya::programs::loaded_links;
use netlink_packet_core::NlasIterator;

use super::filter::{self, Filter};
use super::{Direction, Hold, Place, Seen, bpf};
use crate::host::error::{Errno, NetlinkError};
use crate::host::netlink::{self, Message};

const RTM_GETTFILTER: u16 = 46;
/// Parents of the filters of clsact and of the ingress qdisc: `TC_H_CLSACT | TC_H_MIN_INGRESS`, `…_EGRESS`.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// `struct ifinfomsg`, and `IFLA_XDP` with its `IFLA_XDP_…_PROG_ID`.
const LINK_HEADER: usize = 16;
const XDP: u16 = 43;
const XDP_ATTACHED: u16 = 2;
const XDP_PROGRAM: u16 = 4;
const MODES: [(u16, &str); 3] = [(5, "xdpdrv"), (6, "xdpgeneric"), (7, "xdpoffload")];
/// Links looked through for the one that holds a program.
const MOST_LINKS: usize = 4096;

/// What is there, and what could not be looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) seen: Vec<Seen>,
    pub(super) refused: Vec<(&'static str, Errno)>,
}

/// Reads the place; `generic` is whether the packet was in the generic XDP of the stack.
pub(super) fn read(index: u32, place: Place, generic: bool) -> Found {
    let mut found = Found::default();
    match place {
        Place::Tc(direction) => tc(&mut found, index, direction),
        Place::Redirect => tc(&mut found, index, Direction::Ingress),
        Place::Netkit => {
            for attach_type in [bpf::NETKIT_PRIMARY, bpf::NETKIT_PEER] {
                attached(&mut found, index, attach_type, &Hold::Netkit, "the programs");
            }
        }
        Place::Xdp => xdp(&mut found, index, generic),
        Place::Cgroup(_) => {}
    }
    found
}

fn tc(found: &mut Found, index: u32, direction: Direction) {
    let (tcx, parent) = match direction {
        Direction::Ingress => (bpf::TCX_INGRESS, INGRESS),
        Direction::Egress => (bpf::TCX_EGRESS, EGRESS),
    };
    // tcx runs before the filters of clsact (`sch_handle_ingress`, net/core/dev.c, 6.6 to 6.18).
    attached(found, index, tcx, &Hold::Tcx, "the tcx programs");
    match filters(index, parent) {
        Ok(filters) => found.seen.extend(filters.into_iter().filter(Filter::may_drop).map(|filter| {
            let program = filter.decides_by();
            Seen { hold: Hold::Filter(filter), link: None, program }
        })),
        Err(errno) => found.refused.push(("the tc filters", errno)),
    }
}

fn attached(found: &mut Found, index: u32, attach_type: u32, hold: &Hold, what: &'static str) {
    match bpf::of_device(index, attach_type) {
        Ok(programs) => found.seen.extend(programs.into_iter().map(|at| Seen {
            hold: hold.clone(),
            link: at.link,
            program: Some(at.program),
        })),
        // EINVAL: a kernel without tcx or netkit has no such programs; EACCES, ENXIO: no end of a netkit pair that can be asked.
        Err(Errno(libc::EINVAL | libc::ENXIO)) => {}
        Err(Errno(libc::EACCES)) if *hold == Hold::Netkit => {}
        Err(errno) => found.refused.push((what, errno)),
    }
}

/// All chains, in the order in which the kernel asks them.
fn filters(index: u32, parent: u32) -> Result<Vec<Filter>, Errno> {
    let mut payload = vec![0; 4];
    for word in [index, 0, parent, 0] {
        payload.extend(word.to_ne_bytes());
    }
    match netlink::dump(libc::NETLINK_ROUTE as isize, &Message { kind: RTM_GETTFILTER, payload }) {
        Ok(answer) => Ok(answer.messages.iter().filter_map(filter::parse).collect()),
        // No such qdisc: no filters.
        Err(NetlinkError::Refused(Errno(libc::EINVAL | libc::ENOENT | libc::EOPNOTSUPP))) => Ok(Vec::new()),
        Err(error) => Err(errno(error)),
    }
}

fn errno(error: NetlinkError) -> Errno {
    match error {
        NetlinkError::Socket(errno) | NetlinkError::Refused(errno) => errno,
        NetlinkError::NotLoaded(_) => Errno(libc::ENOENT),
        NetlinkError::Malformed | NetlinkError::Truncated | NetlinkError::TooMany(_) => Errno(libc::EBADMSG),
    }
}

fn xdp(found: &mut Found, index: u32, generic: bool) {
    let mut payload = vec![0; 4];
    payload.extend(index.to_ne_bytes());
    payload.resize(LINK_HEADER, 0);
    let request = Message { kind: libc::RTM_GETLINK, payload };
    match netlink::get(libc::NETLINK_ROUTE as isize, &request) {
        Ok(answer) => {
            let programs = answer.first().map(|message| modes(&message.payload)).unwrap_or_default();
            let fits = |mode: &str| (mode == "xdpgeneric") == generic;
            let several = programs.len() > 1;
            for (mode, program) in programs.into_iter().filter(|(mode, _)| !several || fits(mode)) {
                found.seen.push(Seen { hold: Hold::Xdp(mode), link: None, program: Some(program) });
            }
        }
        Err(error) => found.refused.push(("the XDP programs", errno(error))),
    }
}

/// The XDP programs in an `RTM_NEWLINK` message, each with its mode.
fn modes(payload: &[u8]) -> Vec<(&'static str, u32)> {
    let word = |value: &[u8]| value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let attributes = NlasIterator::new(payload.get(LINK_HEADER..).unwrap_or_default());
    let Some(xdp) = attributes.map_while(Result::ok).find(|attribute| attribute.kind() == XDP) else {
        return Vec::new();
    };
    let (mut programs, mut attached, mut single) = (Vec::new(), 0, None);
    for attribute in NlasIterator::new(xdp.value()).map_while(Result::ok) {
        let (kind, value) = (attribute.kind(), attribute.value());
        match kind {
            XDP_ATTACHED => attached = value.first().copied().unwrap_or_default(),
            XDP_PROGRAM => single = word(value),
            _ => {
                let mode = MODES.iter().find(|(of, _)| *of == kind);
                programs.extend(mode.and_then(|(_, mode)| Some((*mode, word(value)?))));
            }
        }
    }
    // Before 4.19 the mode stands beside the number (`XDP_ATTACHED_DRV`, `…_SKB`, `…_HW`).
    let mode = usize::from(attached).checked_sub(1).and_then(|at| MODES.get(at));
    if let (true, Some((_, mode)), Some(program)) = (programs.is_empty(), mode, single) {
        programs.push((mode, program));
    }
    programs
}

/// The link of this kind that holds a program, if exactly one does.
pub(super) fn link_of(program: u32, kind: LinkType) -> Option<u32> {
    let links = loaded_links().take(MOST_LINKS).flatten();
    let mut of_program =
        links.filter(|link| link.program_id() == program && link.link_type().is_ok_and(|found| found == kind));
    let first = of_program.next().map(|link| link.id());
    first.filter(|_| of_program.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::netlink::attribute;

    fn link(xdp: &[Vec<u8>]) -> Vec<u8> {
        [vec![0; LINK_HEADER], attribute(3, b"eth0\0"), attribute(XDP | 0x8000, &xdp.concat())].concat()
    }

    #[test]
    fn xdp_programs_have_their_mode() {
        let number = |id: u32| id.to_ne_bytes();
        let driver = link(&[attribute(2, &[1]), attribute(4, &number(7)), attribute(5, &number(7))]);
        assert_eq!(modes(&driver), [("xdpdrv", 7)]);
        let both = link(&[attribute(2, &[4]), attribute(5, &number(7)), attribute(6, &number(8))]);
        assert_eq!(modes(&both), [("xdpdrv", 7), ("xdpgeneric", 8)]);
        let old = link(&[attribute(2, &[2]), attribute(4, &number(9))]);
        assert_eq!(modes(&old), [("xdpgeneric", 9)]);
        assert_eq!(modes(&link(&[attribute(2, &[0])])), []);
        for cut in 0..both.len() {
            let _ = modes(&both[..cut]);
        }
    }

    #[test]
    fn an_interface_that_is_gone_is_no_answer() {
        let found = read(0x7fff_fff0, Place::Tc(Direction::Ingress), false);
        assert!(found.seen.is_empty() && !found.refused.is_empty());
        assert!(!read(0x7fff_fff0, Place::Xdp, false).refused.is_empty());
    }
}
