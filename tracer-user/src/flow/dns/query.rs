//! A DNS transaction from end to end, as it was decided.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Question;
use super::name::{NOERROR, NXDOMAIN};
use crate::event::QueryOutcome;
use crate::flow::{DropSeen, Lost, Point, Rejection, Tuple};
use crate::host::Netns;

/// A transaction that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Before any translation: as the client sees it.
    pub tuple: Tuple,
    /// As it was last seen, if that is another: the pod behind a Service.
    pub translated: Option<Tuple>,
    pub question: Question,
    /// Where it was seen first.
    pub at: Arc<Point>,
    /// It came in there; else it left.
    pub came_in: bool,
    pub outcome: QueryOutcome,
    /// Response code of the answer (RFC 6895); `None` without one.
    pub rcode: Option<u16>,
    pub answer_count: u16,
    /// ns, at the device where it was seen first.
    pub latency: Option<u64>,
    /// ns between the query and its answer at the device nearest to the resolver, where that is another one.
    pub beyond: Option<u64>,
    /// Times that it was asked, of the same resolver, also from other ports.
    pub attempts: u32,
    /// `CLOCK_MONOTONIC` ns.
    pub first: u64,
    pub last: u64,
    /// For a query without an answer.
    pub lost: Option<Lost>,
    /// Who refused the packets.
    pub rejection: Option<Rejection>,
    pub drops: Vec<DropSeen>,
    /// The answer did not fit, and asking again over TCP failed.
    pub tcp: Option<TcpFailure>,
    /// The query of another type that the client sent from the same port at the same moment.
    pub sibling: Option<Sibling>,
    /// For names that were looked for along a search path.
    pub search: Option<Search>,
    /// A resolver that answered the same question of the same client meanwhile.
    pub answered_by: Option<SocketAddr>,
}

impl Query {
    /// Whether the client got nothing that it can use, by no fault of its own.
    pub fn is_failed(&self) -> bool {
        is_failed(self.outcome)
    }

    /// The client's namespace, where it is at the other end of the device that saw the query first.
    pub fn client_netns(&self) -> Option<&Netns> {
        let netns = self.at.leads_to.as_deref().filter(|_| self.came_in)?;
        (netns.inode != self.at.netns.inode).then_some(netns)
    }
}

/// Whether a client got nothing that it can use, though its question may have had an answer.
pub const fn is_failed(outcome: QueryOutcome) -> bool {
    matches!(outcome, QueryOutcome::Error | QueryOutcome::Rejected | QueryOutcome::Dropped | QueryOutcome::NoAnswer)
}

/// What an answer's response code makes of a query.
pub(super) const fn outcome(rcode: u16) -> QueryOutcome {
    match rcode {
        NOERROR => QueryOutcome::Answered,
        NXDOMAIN => QueryOutcome::NoSuchName,
        _ => QueryOutcome::Error,
    }
}

/// How asking again over TCP failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpFailure {
    Silent,
    Reset,
}

/// A query beside another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    pub kind: String,
    /// ns after (or before) the other.
    pub apart: u64,
    pub is_answered: bool,
}

/// Names that were asked for in vain on the way to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What the client was asked to look for, as far as the names tell.
    pub base: String,
    /// What it appended to it, in the order of asking.
    pub suffixes: Vec<String>,
    /// Queries of this type that were answered with "no such name".
    pub wasted: u32,
}

/// What of all queries is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Also those that went well; else those that failed or were slow.
    pub all: bool,
    /// An answer that takes longer is slow, ns.
    pub slow: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { all: false, slow: 1_000_000_000 }
    }
}

impl Choice {
    pub fn tells(&self, query: &Query) -> bool {
        self.all || query.is_failed() || query.outcome == QueryOutcome::Slow
    }
}
