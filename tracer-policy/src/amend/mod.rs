//! The smallest change that would allow a connection that is denied.
//!
//! Rule: what is proposed allows exactly this connection, as far as the API can say that, and what it opens beyond is told. A
//! proposal is evaluated before it is told: one that would not allow the connection is not made.

mod case;
mod label;
mod peer;
mod rule;
#[cfg(test)]
mod tests;

use crate::World;
use crate::evaluate::{Connection, Side, Verdict, Why};
use crate::model::Policy;

use case::Case;

/// One way to allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// `add the label app=client to the pod shop/curl`, `add port 5433 to rule 1 of NetworkPolicy shop/db`.
    pub summary: String,
    /// A whole manifest, or a command of kubectl with its patch, ready to be applied.
    pub apply: String,
    /// What it allows beyond this connection, or may break; empty if nothing else that is known.
    pub opens: Vec<String>,
}

/// Ways to make a denied side allow the connection, the smallest first and what may break something last; none where no change of a NetworkPolicy would do (a rule of an
/// administrator's policy denies it), or the policy is of an engine's own kind.
pub fn amend(world: &World, connection: &Connection<'_>, denied: &Side) -> Vec<Amendment> {
    if denied.verdict != Verdict::Denied || denied.why != Why::Default {
        return Vec::new();
    }
    let Some(nearest) = &denied.nearest else { return Vec::new() };
    let Some(Policy::Network(policy)) = world.policy(&nearest.policy).map(|policy| &**policy) else {
        return Vec::new();
    };
    let Some(case) = Case::new(world, *connection, denied.direction, policy, nearest) else { return Vec::new() };
    let labels = label::missing(&case, world);
    let (first, last) = match labels {
        Some(labels) if labels.is_replaced => (None, Some(labels.amendment)),
        labels => (labels.map(|labels| labels.amendment), None),
    };
    [first, rule::amended(&case), rule::of_its_own(&case), last].into_iter().flatten().collect()
}
