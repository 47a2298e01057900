//! The messages about clsact and its filters (uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h), put together and read.
//!
//! Rule: a filter of ours can be told from all others, also after whoever attached it is gone: by its name.

use std::fs;

use libc::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_core::NlasIterator;
use tracer_netfilter::netlink::transaction::{Body, Request};

use super::Direction;
use crate::host::netlink::Message;

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
/// `struct tcmsg`.
const HEADER: usize = 20;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const CHAIN: u16 = 11;
const BPF_FD: u16 = 6;
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const BPF_FLAGS_GEN: u16 = 9;
/// `TCA_BPF_FLAG_ACT_DIRECT`: what the program returns is the verdict. `TCA_CLS_FLAGS_SKIP_HW`: not in the card.
const DIRECT: u32 = 1;
const SKIP_HARDWARE: u32 = 1;
/// `TC_H_CLSACT`, the parent of the qdisc; its handle; the parents of the filters.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// `ETH_P_ALL` in network order, as in the lower half of `tcm_info`.
pub(super) const ALL: u16 = (libc::ETH_P_ALL as u16).to_be();
/// "wd" and the process: not the low numbers that others choose, which would replace ours, or ours theirs.
const HANDLES: u32 = 0x7764_0000;

/// One filter, as the kernel lists them: in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) preference: u16,
    /// In network order.
    pub(super) protocol: u16,
    pub(super) handle: u32,
    pub(super) kind: String,
    pub(super) chain: u32,
    /// Of a BPF filter.
    pub(super) name: Option<String>,
}

/// Who attached a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    /// Of the process, ticks since boot: another process with its number has another.
    pub(super) start: u64,
    /// Inode of the PID namespace that the number is of.
    pub(super) pid_namespace: u64,
    /// The qdisc is its own too.
    pub(super) with_qdisc: bool,
}

impl Owner {
    /// This process.
    pub(super) fn ourselves(with_qdisc: bool) -> Self {
        let pid = std::process::id();
        let start = start_of("self").unwrap_or_default();
        Self { pid, start, pid_namespace: own_pid_namespace().unwrap_or_default(), with_qdisc }
    }

    pub(super) fn name(self) -> String {
        let Self { pid, start, pid_namespace, with_qdisc } = self;
        format!("whydrop-{pid}-{start}-{pid_namespace}-{}", if with_qdisc { "q" } else { "f" })
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("whydrop-")?.split('-');
        let owner = Self {
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            pid_namespace: parts.next()?.parse().ok()?,
            with_qdisc: parts.next()? == "q",
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether its process has ended; `None` if its number is of a PID namespace that can't be looked into.
    pub(super) fn is_gone(self) -> Option<bool> {
        (own_pid_namespace()? == self.pid_namespace).then(|| start_of(&self.pid.to_string()) != Some(self.start))
    }
}

fn own_pid_namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// Field 22 of `/proc/PID/stat`; the name before it may hold anything, also brackets.
fn start_of(process: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn header(device: u32, handle: u32, parent: u32, info: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    for (at, word) in [(4, device), (8, handle), (12, parent), (16, info)] {
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }
    bytes
}

fn handle() -> u32 {
    HANDLES | (std::process::id() & 0xffff).max(1)
}

const fn parent(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => INGRESS,
        Direction::Egress => EGRESS,
    }
}

/// Refused (`EEXIST`) where there is one already, or the older `ingress`, which stands at the same place.
pub(super) fn add_qdisc(device: u32) -> Request {
    let body = Body::new(&header(device, CLSACT_HANDLE, CLSACT, 0)).text(KIND, "clsact");
    Request { kind: RTM_NEWQDISC, flags: (NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) as u16, body }
}

pub(super) fn delete_qdisc(device: u32) -> Request {
    let body = Body::new(&header(device, CLSACT_HANDLE, CLSACT, 0)).text(KIND, "clsact");
    Request { kind: RTM_DELQDISC, flags: NLM_F_ACK as u16, body }
}

/// A new filter, which replaces none: the handle is ours.
pub(super) fn add(device: u32, direction: Direction, preference: u16, program: u32, name: &str) -> Request {
    let info = u32::from(preference) << 16 | u32::from(ALL);
    let options = Body::default()
        .put(BPF_FD, &program.to_ne_bytes())
        .text(BPF_NAME, name)
        .put(BPF_FLAGS, &DIRECT.to_ne_bytes())
        .put(BPF_FLAGS_GEN, &SKIP_HARDWARE.to_ne_bytes());
    let body = Body::new(&header(device, handle(), parent(direction), info)).text(KIND, "bpf").nest(OPTIONS, &options);
    Request { kind: RTM_NEWTFILTER, flags: (NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) as u16, body }
}

pub(super) fn delete(device: u32, direction: Direction, filter: &Filter) -> Request {
    let info = u32::from(filter.preference) << 16 | u32::from(filter.protocol);
    let body = Body::new(&header(device, filter.handle, parent(direction), info)).text(KIND, "bpf");
    Request { kind: RTM_DELTFILTER, flags: NLM_F_ACK as u16, body }
}

pub(super) fn list(device: u32, direction: Direction) -> Message {
    Message { kind: RTM_GETTFILTER, payload: header(device, 0, parent(direction), 0).to_vec() }
}

/// `None` for anything that is no filter: the list has an entry for each preference too, without a handle.
pub(super) fn parse(message: &Message) -> Option<Filter> {
    let (header, attributes) = message.payload.split_at_checked(HEADER)?;
    let word = |at: usize| header.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let info = word(16)?;
    let mut filter =
        Filter { preference: (info >> 16) as u16, protocol: info as u16, handle: word(8)?, ..Filter::default() };
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            KIND => filter.kind = text(attribute.value()),
            CHAIN => filter.chain = attribute.value().first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes)),
            OPTIONS => {
                let mut options = NlasIterator::new(attribute.value()).map_while(Result::ok);
                filter.name = options.find(|option| option.kind() == BPF_NAME).map(|option| text(option.value()));
            }
            _ => {}
        }
    }
    filter.name = filter.name.filter(|_| filter.kind == "bpf");
    (message.kind == RTM_NEWTFILTER && filter.handle != 0).then_some(filter)
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::netlink::noise;

    #[test]
    fn a_name_tells_who_attached_it() {
        let owner = Owner { pid: 12, start: 3456, pid_namespace: 4_026_531_836, with_qdisc: true };
        assert_eq!(owner.name(), "whydrop-12-3456-4026531836-q");
        assert_eq!(Owner::parse(&owner.name()), Some(owner));
        for other in ["whydrop", "whydrop-1-2-3", "whydrop-1-2-3-q-4", "whydrop-x-2-3-q", "cil_from_netdev", ""] {
            assert_eq!(Owner::parse(other), None, "{other}");
        }
        let ourselves = Owner::ourselves(false);
        assert_eq!(ourselves.is_gone(), Some(false));
        assert_eq!(Owner { start: ourselves.start + 1, ..ourselves }.is_gone(), Some(true));
        assert_eq!(Owner { pid_namespace: 1, ..ourselves }.is_gone(), None, "it can't be told");
    }

    #[test]
    fn what_is_asked_for_is_read_the_same() {
        let request = add(7, Direction::Egress, 1, 9, "whydrop-1-2-3-q");
        let message = Message { kind: RTM_NEWTFILTER, payload: request.body.bytes().to_vec() };
        let filter = parse(&message).unwrap();
        assert_eq!((filter.preference, filter.protocol, filter.handle), (1, ALL, handle()));
        assert_eq!((filter.kind.as_str(), filter.name.as_deref()), ("bpf", Some("whydrop-1-2-3-q")));
        noise(&message.payload, |bytes| {
            let _ = parse(&Message { kind: RTM_NEWTFILTER, payload: bytes.to_vec() });
        });
    }
}
