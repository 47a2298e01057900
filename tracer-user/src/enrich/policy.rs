//! What the evaluator says of one direction of a connection, as events tell it.
//!
//! Rule: words only; what is allowed and denied is decided by the evaluator, and what it can't decide has no `policy` here.

use tracer_policy::evaluate::{Direction, Nearest, RuleId, Side, Verdict};
use tracer_policy::model::{PolicyId, PolicyKind};

use crate::event::{self, Policy, PolicyDirection, PolicyName, PolicyRule, PolicyVerdict};

/// The verdict of the policies; `None` where they do not decide it ([`Side::unknown`]). `enforced_by` is what was seen to put
/// policies into force on this node.
pub fn policy(side: &Side, enforced_by: Option<&str>) -> Option<Policy> {
    let verdict = match side.verdict {
        Verdict::Allowed => PolicyVerdict::Allowed,
        Verdict::Denied => PolicyVerdict::Denied,
        Verdict::Unknown => return None,
    };
    let rule = |rule: &RuleId| PolicyRule { policy: name(&rule.policy), rule: rule.number };
    Some(Policy {
        direction: direction(side.direction),
        verdict,
        selected_by: side.selected_by.iter().map(name).collect(),
        decided_by: side.decided_by.as_ref().map(rule),
        nearest: side.nearest.as_ref().map(|found| nearest(found, side.direction)),
        enforced_by: enforced_by.map(str::to_owned),
        contradiction: None,
    })
}

pub const fn direction(direction: Direction) -> PolicyDirection {
    match direction {
        Direction::Egress => PolicyDirection::Egress,
        Direction::Ingress => PolicyDirection::Ingress,
    }
}

/// A policy by the names that `kubectl get` finds it by.
pub fn name(policy: &PolicyId) -> PolicyName {
    let kind = match policy.kind {
        PolicyKind::NetworkPolicy => None,
        // Its kind has the same name as the API's own.
        PolicyKind::CalicoNetworkPolicy => Some("NetworkPolicy.projectcalico.org".to_owned()),
        kind => Some(kind.as_str().to_owned()),
    };
    let namespace = (!policy.id.namespace.is_empty()).then(|| policy.id.namespace.to_string());
    PolicyName { kind, namespace, name: policy.id.name.to_string() }
}

fn nearest(nearest: &Nearest, direction: Direction) -> event::Nearest {
    event::Nearest { policy: name(&nearest.policy), rule: nearest.rule, mismatch: nearest.describe(direction) }
}

#[cfg(test)]
mod tests {
    use tracer_policy::evaluate::{Mismatch, Why};
    use tracer_policy::model::{ObjectName, Protocol};

    use super::*;

    fn id(kind: PolicyKind, namespace: &str, name: &str) -> PolicyId {
        PolicyId { kind, id: ObjectName::new(namespace, name) }
    }

    fn denied() -> Side {
        let policy = id(PolicyKind::NetworkPolicy, "shop", "db");
        let port = Mismatch::Port { wanted: "5432".into(), found: 5433, protocol: Protocol::Tcp };
        Side {
            verdict: Verdict::Denied,
            selected_by: vec![policy.clone(), id(PolicyKind::AdminNetworkPolicy, "", "strict")],
            nearest: Some(Nearest { policy, rule: 2, peer: 0, mismatch: vec![port] }),
            ..Side::open(Direction::Ingress, Why::Default)
        }
    }

    #[test]
    fn a_denial_names_the_policies_and_the_nearest_rule() {
        let told = serde_json::to_value(policy(&denied(), Some("calico")).unwrap()).unwrap();
        let expected = serde_json::json!({
            "direction": "ingress", "verdict": "denied", "enforced_by": "calico",
            "selected_by": [{"namespace": "shop", "name": "db"}, {"type": "AdminNetworkPolicy", "name": "strict"}],
            "nearest": {
                "namespace": "shop", "name": "db", "rule": 2, "mismatch": "port 5432 is allowed, 5433 was used"
            }
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn the_rule_that_decided_has_its_number_and_its_policy_kind() {
        let policy_id = id(PolicyKind::CalicoNetworkPolicy, "shop", "web");
        let decided_by = Some(RuleId { policy: policy_id, number: 3, name: None });
        let side = Side { decided_by, ..Side::open(Direction::Egress, Why::Rule) };
        let told = policy(&side, None).unwrap();
        assert_eq!((told.direction, told.verdict), (PolicyDirection::Egress, PolicyVerdict::Allowed));
        let rule = told.decided_by.unwrap();
        assert_eq!((rule.policy.kind.as_deref(), rule.rule), (Some("NetworkPolicy.projectcalico.org"), 3));
    }

    #[test]
    fn what_is_not_decided_is_not_told_as_decided() {
        assert_eq!(policy(&Side { verdict: Verdict::Unknown, ..denied() }, None), None);
    }
}
