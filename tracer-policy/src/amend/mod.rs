//! The smallest change that would allow a connection that is denied.
//!
//! Rule: what is proposed allows exactly this connection, as far as the API can say that, and what it opens beyond is told. A
//! proposal is evaluated before it is told: one that would not allow the connection is not made.

use crate::World;
use crate::evaluate::{Connection, Side};

/// One way to allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// `add the label app=client to the pod shop/curl`, `add port 5433 to rule 1 of NetworkPolicy shop/db`.
    pub summary: String,
    /// A whole manifest, or a command of kubectl with its patch, ready to be applied.
    pub apply: String,
    /// What it allows beyond this connection; empty if nothing else that is known.
    pub opens: Vec<String>,
}

/// Ways to make a denied side allow the connection, the smallest first; none where no change of a policy would do.
pub fn amend(_world: &World, _connection: &Connection<'_>, _denied: &Side) -> Vec<Amendment> {
    Vec::new()
}
