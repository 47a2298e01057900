//! All attempts that were seen, by whom they were for: the background against which silence means something.
//!
//! Rule: bounded; what does not fit is counted as "others".

use std::collections::HashMap;
use std::net::SocketAddr;

use super::Way;

/// Services remembered, some 200 bytes each.
pub const MOST_SERVICES: usize = 16_384;

/// Whom attempts are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// As the client named it.
    pub server: SocketAddr,
    pub way: Way,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub established: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub no_answer: u64,
    /// Begun, and not decided when the run ended.
    pub pending: u64,
}

/// The attempts of a run.
#[derive(Clone, Debug, Default)]
pub struct Census {
    pub services: HashMap<Service, Tally>,
    /// Attempts for services that did not fit.
    pub others: u64,
}
