//! The connections that the kernel tracks, of the calling thread's network namespace (ctnetlink).
//!
//! Rules: nothing is changed, no entry is looked at longer than the caller wants, and nothing is asked before the kernel
//! has ctnetlink: the question itself would have it load a module. A list does not set connection tracking to work in a
//! namespace where no rule asked for it.

mod decode;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::netlink::{NetlinkError, Request, Socket, Subsystem};
use crate::packet::Tuple;
use crate::presence::Part;

pub use decode::{Entry, TcpState};

/// `IPCTNL_MSG_CT_` numbers (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`, 6.18).
const GET: u8 = 1;
const GET_STATISTICS: u8 = 4;
/// `CTA_` numbers.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const FILTER: u16 = 25;
/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;

/// Why the connection table was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConntrackError {
    #[error("the connection table is not shown: ctnetlink is not loaded; `modprobe nf_conntrack_netlink` loads it")]
    NotLoaded,
    #[error("the connection table: {0}")]
    Netlink(#[from] NetlinkError),
}

/// Which entries: those whose answers come from one end and go to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answers {
    pub protocol: u8,
    /// Address and port that answers come from.
    pub from: (IpAddr, u16),
    /// Address that they go to.
    pub to: IpAddr,
}

impl Answers {
    fn has(&self, entry: &Entry) -> bool {
        let reply = &entry.reply;
        // Of ICMP the "port" is the id, which is what is translated.
        let is_port = matches!(self.protocol, 1 | 58) || reply.source_port == self.from.1;
        (reply.protocol, reply.source, reply.destination) == (self.protocol, self.from.0, self.to) && is_port
    }
}

/// Nothing is asked that would load ctnetlink.
fn check() -> Result<(), ConntrackError> {
    if Part::Conntrack.may_be_asked() { Ok(()) } else { Err(ConntrackError::NotLoaded) }
}

/// Goes through the table until `each` says that it is enough, or the time is over; whether it was all.
///
/// # Errors
/// Why there is no list.
pub fn walk(time: Duration, mut each: impl FnMut(&Entry) -> ControlFlow<()>) -> Result<bool, ConntrackError> {
    check()?;
    Ok(Socket::open()?.begin(&Request::new(Subsystem::Conntrack, GET, 0), Instant::now() + time, |message| {
        Entry::decode(message.attributes).map_or(ControlFlow::Continue(()), |entry| each(&entry))
    })?)
}

/// As [`walk`], of some entries only: the kernel chooses them, if it can (5.8 and later).
///
/// # Errors
/// Why there is no list.
pub fn walk_answers(
    answers: &Answers,
    time: Duration,
    mut each: impl FnMut(&Entry) -> ControlFlow<()>,
) -> Result<bool, ConntrackError> {
    check()?;
    let deadline = Instant::now() + time;
    let whole = Request::new(Subsystem::Conntrack, GET, family(answers.to));
    let mut take = |message: crate::netlink::Message<'_>| match Entry::decode(message.attributes) {
        Some(entry) if answers.has(&entry) => each(&entry),
        _ => ControlFlow::Continue(()),
    };
    match Socket::open()?.begin(&chosen(whole.clone(), answers), deadline, &mut take) {
        Err(error) if error.is_unsupported() => Ok(Socket::open()?.begin(&whole, deadline, take)?),
        answer => Ok(answer?),
    }
}

/// The entry that a packet belongs to, whichever way it goes; `icmp` is its type and code.
///
/// # Errors
/// Why it can't be told.
pub fn find(tuple: &Tuple, icmp: Option<(u8, u8)>) -> Result<Option<Entry>, ConntrackError> {
    check()?;
    look_up(&mut Socket::open()?, tuple, icmp)
}

/// The entries that packets with these tuples belong to, where there are any: no list is gone through for it.
///
/// # Errors
/// Why it can't be told.
pub fn find_each(tuples: impl Iterator<Item = Tuple>, mut each: impl FnMut(&Entry)) -> Result<(), ConntrackError> {
    check()?;
    let mut socket = Socket::open()?;
    for tuple in tuples {
        if let Some(entry) = look_up(&mut socket, &tuple, None)? {
            each(&entry);
        }
    }
    Ok(())
}

fn look_up(socket: &mut Socket, tuple: &Tuple, icmp: Option<(u8, u8)>) -> Result<Option<Entry>, ConntrackError> {
    let attributes = decode::tuple(tuple, icmp);
    let request = Request::new(Subsystem::Conntrack, GET, family(tuple.source)).with(ORIGINAL | NESTED, &attributes);
    match socket.get(&request, |message| Entry::decode(message.attributes)) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The kernel's counters (`CTA_STATS_`), all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets without a place, ICMP errors included.
    pub invalid: u64,
    pub insert_failed: u64,
    pub drop: u64,
    pub early_drop: u64,
    pub clash_resolve: u64,
    pub chain_too_long: u64,
}

/// Reads the counters.
///
/// # Errors
/// Why they are not known.
pub fn statistics() -> Result<Statistics, ConntrackError> {
    check()?;
    let request = Request::new(Subsystem::Conntrack, GET_STATISTICS, 0);
    let sum = Socket::open()?.dump(&request, |sum: &mut Statistics, message| {
        let number = |kind| u64::from(message.attributes.be32(kind).unwrap_or(0));
        sum.invalid = sum.invalid.saturating_add(number(4)).saturating_add(number(12));
        sum.insert_failed = sum.insert_failed.saturating_add(number(9));
        sum.drop = sum.drop.saturating_add(number(10));
        sum.early_drop = sum.early_drop.saturating_add(number(11));
        sum.clash_resolve = sum.clash_resolve.saturating_add(number(14));
        sum.chain_too_long = sum.chain_too_long.saturating_add(number(15));
    })?;
    Ok(sum.answer)
}

/// `CTA_FILTER` of 5.8 (`ctnetlink_parse_tuple_filter`): which parts of the tuple count. Addresses of IPv6 are not asked
/// for: kernels up to 6.18 at least leave out those that are equal (`ctnetlink_filter_match_tuple`).
fn chosen(request: Request, answers: &Answers) -> Request {
    const SOURCE: u32 = 1 << 0;
    const DESTINATION: u32 = 1 << 1;
    const PROTOCOL: u32 = 1 << 3;
    const SOURCE_PORT: u32 = 1 << 4;
    let is_icmp = matches!(answers.protocol, 1 | 58);
    let addresses = if answers.to.is_ipv4() { SOURCE | DESTINATION } else { 0 };
    let flags = addresses | PROTOCOL | if is_icmp { 0 } else { SOURCE_PORT };
    let tuple = Tuple {
        source: answers.from.0,
        destination: answers.to,
        source_port: answers.from.1,
        destination_port: 0,
        protocol: answers.protocol,
    };
    let mut filter = Vec::new();
    decode::put(&mut filter, 1, &0_u32.to_ne_bytes());
    decode::put(&mut filter, 2, &flags.to_ne_bytes());
    request.with(REPLY | NESTED, &decode::tuple(&tuple, None)).with(FILTER | NESTED, &filter)
}

/// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
const fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 2 } else { 10 }
}
