//! DNS transactions: from the kernel's entries to queries with names, joined over the devices that saw them.
//!
//! Rule: names come from the network: decoded with bounds, shown through `printable` only. Pure, like [`super::Book`].

mod beside;
mod book;
mod kin;
mod name;
mod query;
mod search;
mod transaction;

#[cfg(test)]
mod tests;

pub use book::Book;
pub(super) use name::first;
pub use name::{NOERROR, NXDOMAIN, Question, REFUSED, SERVFAIL, decode, rcode_name};
pub use query::{Choice, Query, Search, Sibling, TcpFailure, is_failed};
pub(crate) use transaction::NODE_LOCAL;

use super::{Pair, Tunnel, Tuple};

/// What one device saw of one transaction until now; a later one with the same device, tuple, DNS id and first packet replaces
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySighting {
    pub device: u64,
    pub tuple: Tuple,
    /// Of the DNS header.
    pub dns_id: u16,
    pub netns: u32,
    pub netns_cookie: u64,
    pub ifindex: u32,
    pub tunnel: Option<Tunnel>,
    /// `CLOCK_MONOTONIC` ns.
    pub first: u64,
    pub last: u64,
    pub answered: Option<u64>,
    pub asked: Pair,
    pub answers: Pair,
    pub original: Option<Tuple>,
    /// Bytes 2 and 3 of the answer's header.
    pub answer_flags: u16,
    pub answer_count: u16,
    /// Wire format, perhaps cut; empty if the message had none.
    pub question: Vec<u8>,
}
