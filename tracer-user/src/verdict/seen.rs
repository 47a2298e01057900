//! What became of connections, as far as it tells of policies.

use crate::event::{Cause, Confidence, Explanation, Flow, Outcome, PolicyDirection};

/// Owners of rules and programs that put policies into force.
const ENGINES: [&str; 8] =
    ["calico", "azure-npm", "kube-router", "cilium", "antrea", "kube-network-policies", "weave-npc", "ovn-kubernetes"];

/// What was seen of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// It got to the other end: that one answered, or refused by itself.
    Through(Confidence),
    /// A policy denied it; in which direction, where that is told.
    Denied(&'a Explanation, Option<PolicyDirection>),
    /// A rule or program of an engine dropped it; whether for a policy is not told.
    Engine(&'a Explanation),
    /// It failed for another reason.
    Otherwise(&'a Explanation),
    /// Nothing tells.
    Silent,
}

impl<'a> Seen<'a> {
    pub(super) fn of(flow: &'a Flow) -> Self {
        let explanation = flow.explanation.as_ref();
        match (flow.outcome, explanation) {
            (Outcome::Established, _) => Self::Through(Confidence::Certain),
            (_, None) => Self::Silent,
            (_, Some(said)) if said.cause == Cause::NetworkPolicy => {
                Self::Denied(said, said.policy.as_ref().map(|policy| policy.direction))
            }
            (_, Some(said)) if said.owner.as_deref().is_some_and(|owner| ENGINES.contains(&owner)) => {
                Self::Engine(said)
            }
            // The server's own RST, or what was answered from beyond this node.
            (Outcome::Rejected, Some(said)) if matches!(said.cause, Cause::NoSocket | Cause::Upstream) => {
                Self::Through(Confidence::Derived)
            }
            (_, Some(said)) if matches!(said.cause, Cause::NoAnswer | Cause::Unknown) => Self::Silent,
            (_, Some(said)) => Self::Otherwise(said),
        }
    }

    /// In one sentence, where there is one.
    pub(super) fn explanation(self) -> Option<&'a Explanation> {
        match self {
            Self::Denied(said, _) | Self::Engine(said) | Self::Otherwise(said) => Some(said),
            Self::Through(_) | Self::Silent => None,
        }
    }

    /// What put policies into force, where it was seen to.
    pub(super) fn engine(self) -> Option<&'a str> {
        let said = match self {
            Self::Denied(said, _) | Self::Engine(said) => said,
            Self::Through(_) | Self::Otherwise(_) | Self::Silent => return None,
        };
        said.policy.as_ref().and_then(|policy| policy.enforced_by.as_deref()).or(said.owner.as_deref())
    }
}
