//! Policies of Cilium's and Calico's own kinds, each judged by itself: which of several wins is the caller's.
//!
//! Rule: what hangs on something outside the objects that are known (an engine's settings, names, sets of addresses) is
//! undecided, and what it hangs on is told.

mod calico;
mod cilium;
mod fields;
#[cfg(test)]
mod fixture;
mod question;
mod truth;

use crate::World;
use crate::evaluate::{Connection, Direction};
use crate::model::{PolicyKind, VendorPolicy};
use question::Question;

pub use calico::{order as calico_order, tier as calico_tier};

/// What one policy says about one direction of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It does not select the pod in this direction, or has no say in what is not listed.
    NotAbout,
    /// By the rule at this position, from 1, in the list of the direction (for Cilium counted through all of `spec` and
    /// `specs`).
    Allows { rule: u32 },
    /// The same; for Cilium in the list of denials of the direction.
    Denies { rule: u32 },
    /// It selects the pod, and none of its rules is about the connection: it is denied unless another policy allows it.
    DeniesByDefault,
    /// A rule of Calico's leaves it to the next tier.
    Passes,
    /// What it hangs on.
    Undecided(String),
}

/// Judges a connection by one policy.
pub fn judge(world: &World, policy: &VendorPolicy, connection: &Connection<'_>, direction: Direction) -> Opinion {
    let Some(question) = Question::new(world, connection, direction) else { return Opinion::NotAbout };
    match policy.kind {
        PolicyKind::CiliumNetworkPolicy | PolicyKind::CiliumClusterwideNetworkPolicy => {
            cilium::judge(&question, policy)
        }
        PolicyKind::CalicoNetworkPolicy | PolicyKind::CalicoGlobalNetworkPolicy => calico::judge(&question, policy),
        _ => Opinion::NotAbout,
    }
}

/// Paths of the fields that are not known, as the manifest has them: what they change can't be decided.
pub fn unknown_fields(policy: &VendorPolicy) -> Vec<String> {
    match policy.kind {
        PolicyKind::CiliumNetworkPolicy | PolicyKind::CiliumClusterwideNetworkPolicy => cilium::unknown(policy),
        _ => calico::unknown(policy),
    }
}
