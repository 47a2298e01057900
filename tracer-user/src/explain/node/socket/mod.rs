//! Sockets that were not there, or took no more: which, whose, and how full.
//!
//! Rule: what the kernel said stays; a socket list that was read later and says otherwise is told as that.

mod absent;
mod busy;
#[cfg(test)]
mod tests;
pub(in crate::explain) mod words;

use crate::event::Explanation;
use crate::explain::Observation;
use crate::node::socket::Sockets;

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &Sockets, drop: &Observation<'_>) {
    match state {
        Sockets::Absent(absent) => absent::refine(explanation, absent, drop),
        Sockets::Busy(busy) => busy::refine(explanation, busy, drop),
        Sockets::NoHandler { protocol, is_known } => absent::no_handler(explanation, *protocol, *is_known, drop),
    }
}
