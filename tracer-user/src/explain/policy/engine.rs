//! What a policy engine says by its own rule or program.
//!
//! Rule: an engine's housekeeping (invalid packets, spoofed addresses, unknown interfaces) is no verdict of a policy: only what its
//! rules are known to end a pod's policies by is.

use tracer_policy::evaluate::{Answer, Direction, Side};
use tracer_policy::model::PolicyId;

use crate::enrich;
use crate::event::{Cause, Explanation, Nearest, PolicyDirection, PolicyName};

/// Whose rules are about policies only, and name neither the policy nor the direction.
const SILENT: &[&str] = &["weave", "kube-network-policies"];
/// Whose programs put policies into force.
const PROGRAMS: &[&str] = &["cilium", "calico", "aws-network-policy-agent"];

/// The engine that dropped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Engine {
    /// `calico`, `azure-npm`, …
    pub(super) name: String,
    /// Absent: it does not tell.
    pub(super) direction: Option<PolicyDirection>,
    /// The policies that its rules name.
    pub(super) named: Vec<PolicyName>,
    /// By its ruleset.
    pub(super) nearest: Option<Nearest>,
    /// It is known to have dropped it for a policy; else it may have been for something else.
    pub(super) is_sure: bool,
}

impl Engine {
    /// The side that its drop is about; the one that denies, where it does not tell.
    pub(super) fn side<'a>(&self, answer: &'a Answer) -> &'a Side {
        match self.direction {
            Some(PolicyDirection::Egress) => &answer.egress,
            Some(PolicyDirection::Ingress) => &answer.ingress,
            None => answer.deciding(),
        }
    }

    /// It dropped a packet that goes to the client: the direction of its chain is not that of the connection, and what the policies
    /// allow does not speak against it.
    pub(super) fn of_an_answer(self) -> Self {
        Self { direction: None, is_sure: false, ..self }
    }

    /// Whether it names one of these policies.
    pub(super) fn names_any(&self, policies: &[PolicyId]) -> bool {
        policies.iter().map(enrich::policy::name).any(|policy| self.named.iter().any(|named| is_same(named, &policy)))
    }
}

/// An engine often leaves out of which kind the policy is, and Calico's tier `default` is in the object's name or is not.
fn is_same(named: &PolicyName, policy: &PolicyName) -> bool {
    let bare = |policy: &PolicyName| policy.name.strip_prefix("default.").unwrap_or(&policy.name).to_owned();
    named.namespace == policy.namespace
        && bare(named) == bare(policy)
        && (named.kind.is_none() || named.kind == policy.kind)
}

pub(super) const fn direction(direction: PolicyDirection) -> Direction {
    match direction {
        PolicyDirection::Egress => Direction::Egress,
        PolicyDirection::Ingress => Direction::Ingress,
    }
}

/// The engine whose verdict the drop was.
pub(super) fn of(explanation: &Explanation) -> Option<Engine> {
    match explanation.cause {
        Cause::NetfilterRule => by_rule(explanation),
        Cause::BpfProgram => by_program(explanation),
        _ => None,
    }
}

fn by_rule(explanation: &Explanation) -> Option<Engine> {
    let silent = |name: String| Engine { name, direction: None, named: Vec::new(), nearest: None, is_sure: false };
    let Some(policy) = &explanation.policy else {
        return explanation.owner.clone().filter(|owner| SILENT.contains(&owner.as_str())).map(silent);
    };
    Some(Engine {
        direction: Some(policy.direction),
        named: policy.selected_by.clone(),
        nearest: policy.nearest.clone(),
        is_sure: true,
        ..silent(policy.enforced_by.clone()?)
    })
}

fn by_program(explanation: &Explanation) -> Option<Engine> {
    let name = explanation.program.as_ref()?.owner.clone()?;
    // Its counters give the reason, if one of them rose: `…dropped it: Policy denied (ingress)`.
    let reason = explanation.summary.split_once(" dropped it: ").map(|(_, reason)| reason);
    if !PROGRAMS.contains(&name.as_str()) || reason.is_some_and(|reason| !reason.starts_with("Policy denied")) {
        return None;
    }
    let direction = reason.and_then(|reason| match reason {
        reason if reason.ends_with("(ingress)") => Some(PolicyDirection::Ingress),
        reason if reason.ends_with("(egress)") => Some(PolicyDirection::Egress),
        _ => None,
    });
    Some(Engine { name, direction, named: Vec::new(), nearest: None, is_sure: reason.is_some() })
}
