//! Policies of Cilium's and Calico's own kinds.
//!
//! Rule: one policy says what it alone means for a connection; how the policies of several kinds add up is decided by
//! [`super::stage`].

use super::{Connection, Direction};
use crate::World;
use crate::model::VendorPolicy;

/// What one policy says about one direction of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It does not select the pod, or says nothing about the direction.
    NotAbout,
    /// A rule (position in the list of its direction, from 1) allows it.
    Allows { rule: u32 },
    /// A rule forbids it.
    Denies { rule: u32 },
    /// It selects the pod, and none of its rules is about the connection.
    DeniesByDefault,
    /// A rule leaves it to the next tier.
    Passes,
    /// Why that can't be told, in one sentence.
    Undecided(String),
}

/// Judges by one policy.
pub fn judge(_world: &World, policy: &VendorPolicy, _connection: &Connection<'_>, _direction: Direction) -> Opinion {
    Opinion::Undecided(format!("policies of the kind {} are not understood", policy.kind.as_str()))
}
