//! Filters of the clsact qdisc, for kernels without tcx or where a link is refused.
//!
//! Rules: all is done in the device's namespace, where who calls has gone. Nobody else's filter is replaced, moved or removed,
//! and neither is a qdisc that others use. What is ours is known by its name, so that it can be removed also by a later run, if
//! this one is killed.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use aya::programs::ProgramFd;
use tracer_netfilter::netlink::transaction::{Connection, Request};

use super::Direction;
use super::filter::{self, Filter, Owner};
use crate::host::error::{Errno, NetlinkError};
use crate::host::netlink;

/// Preferences that are tried.
const TRIES: u16 = 32;

/// Where our filter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    device: u32,
    direction: Direction,
    with_qdisc: bool,
    /// None that may end the chain stands before it.
    pub(super) is_first: bool,
}

impl Place {
    /// Attaches.
    pub(super) fn take(program: &ProgramFd, device: u32, direction: Direction) -> Result<Self, Errno> {
        let had_qdisc = remove_leftovers(device);
        let is_new = match change(filter::add_qdisc(device)) {
            Ok(()) => true,
            Err(Errno(libc::EEXIST)) => false,
            Err(errno) => return Err(errno),
        };
        let with_qdisc = is_new || had_qdisc || owns_qdisc(device);
        let number = program.as_fd().as_raw_fd().cast_unsigned();
        let name = Owner::ourselves(with_qdisc).name();
        let mut refused = Errno(libc::EEXIST);
        for preference in preferences(&filters(device, direction)?) {
            match change(filter::add(device, direction, preference, number, &name)) {
                Ok(()) => {
                    let first = filters(device, direction)?.into_iter().find(|filter| filter.chain == 0);
                    let is_first = first.is_some_and(|filter| is_ours(&filter));
                    return Ok(Self { device, direction, with_qdisc, is_first });
                }
                Err(errno) => refused = errno,
            }
        }
        if with_qdisc {
            remove_qdisc(device);
        }
        Err(refused)
    }

    pub(super) fn is_there(&self) -> bool {
        filters(self.device, self.direction).is_ok_and(|filters| filters.iter().any(is_ours))
    }

    /// Removes it, and the qdisc if that is ours and nobody uses it.
    pub(super) fn leave(&self) {
        let filters = filters(self.device, self.direction).unwrap_or_default();
        for ours in filters.iter().filter(|filter| is_ours(filter)) {
            if let Err(errno) = change(filter::delete(self.device, self.direction, ours)) {
                tracing::debug!("the filter {:?} stays: {errno}", ours.name);
            }
        }
        if self.with_qdisc {
            remove_qdisc(self.device);
        }
    }
}

/// Attaches a program to a device of the calling thread's namespace, which is thrown away with all of it.
pub(crate) fn attempt(program: u32, device: u32) -> Result<(), Errno> {
    change(filter::add_qdisc(device))?;
    let name = Owner::ourselves(true).name();
    Direction::BOTH.into_iter().try_for_each(|direction| change(filter::add(device, direction, 1, program, &name)))
}

/// In the order in which they are tried. The first of all, where others of our kind give way: among BPF filters of one preference
/// the newest runs first (`cls_bpf_change`, net/sched/cls_bpf.c). One of another kind or for one protocol does not.
fn preferences(filters: &[Filter]) -> Vec<u16> {
    let is_shared = |filter: &Filter| filter.kind == "bpf" && filter.protocol == filter::ALL;
    let is_free = |preference: u16| filters.iter().filter(|filter| filter.preference == preference).all(is_shared);
    (1..=TRIES).filter(|preference| is_free(*preference)).collect()
}

fn owner(filter: &Filter) -> Option<Owner> {
    filter.name.as_deref().and_then(Owner::parse)
}

fn is_ours(filter: &Filter) -> bool {
    owner(filter).is_some_and(|owner| Owner { with_qdisc: false, ..owner } == Owner::ourselves(false))
}

/// A filter of ours in the other direction, or of another whydrop that runs, says that the qdisc is ours.
fn owns_qdisc(device: u32) -> bool {
    Direction::BOTH.into_iter().any(|direction| {
        let filters = filters(device, direction).unwrap_or_default();
        filters.iter().filter_map(owner).any(|owner| owner.with_qdisc)
    })
}

/// Removes filters of a whydrop that was killed; true if the qdisc was its own.
fn remove_leftovers(device: u32) -> bool {
    let mut had_qdisc = false;
    for direction in Direction::BOTH {
        for filter in filters(device, direction).unwrap_or_default() {
            let Some(left) = owner(&filter).filter(|owner| owner.is_gone() == Some(true)) else { continue };
            if change(filter::delete(device, direction, &filter)).is_ok() {
                had_qdisc |= left.with_qdisc;
            }
        }
    }
    had_qdisc
}

fn remove_qdisc(device: u32) {
    let is_unused = |direction| filters(device, direction).is_ok_and(|filters| filters.is_empty());
    if Direction::BOTH.into_iter().all(is_unused)
        && let Err(errno) = change(filter::delete_qdisc(device))
    {
        tracing::debug!("clsact of interface {device} stays: {errno}");
    }
}

fn filters(device: u32, direction: Direction) -> Result<Vec<Filter>, Errno> {
    match netlink::dump(libc::NETLINK_ROUTE as isize, &filter::list(device, direction)) {
        Ok(answer) => Ok(answer.messages.iter().filter_map(filter::parse).collect()),
        // No such qdisc: no filters.
        Err(NetlinkError::Refused(Errno(libc::EINVAL | libc::ENOENT | libc::EOPNOTSUPP))) => Ok(Vec::new()),
        Err(NetlinkError::Socket(errno) | NetlinkError::Refused(errno)) => Err(errno),
        Err(_) => Err(Errno(libc::EBADMSG)),
    }
}

fn change(request: Request) -> Result<(), Errno> {
    let failed = |error: io::Error| Errno::of(&error);
    Connection::open(libc::NETLINK_ROUTE).map_err(failed)?.transact(&[request]).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_preference_is_shared_with_our_like_only() {
        let filter = |preference, kind: &str, protocol| Filter {
            preference,
            protocol,
            handle: 1,
            kind: kind.to_owned(),
            ..Filter::default()
        };
        assert_eq!(preferences(&[]).first(), Some(&1));
        assert_eq!(preferences(&[filter(1, "bpf", filter::ALL), filter(2, "u32", 8)]).first(), Some(&1));
        let taken = [filter(1, "flower", filter::ALL), filter(2, "bpf", 8)];
        assert_eq!(preferences(&taken).first(), Some(&3));
    }
}
