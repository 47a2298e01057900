//! Calico's NetworkPolicy and GlobalNetworkPolicy (projectcalico.org/v3, crd.projectcalico.org/v1).
//!
//! Rule: the first rule that is about the connection decides; where none is, the end of the tier does.

mod entity;
mod expression;
mod label;
mod port;
mod rule;
mod shape;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::Opinion;
use super::fields::{is_set, list, short, text};
use super::question::Question;
use super::truth::Truth;
use crate::evaluate::Direction;
use crate::model::{PolicyKind, VendorPolicy};

pub(super) use shape::unknown;

/// Where a policy stands in its tier: the lowest first, one without an order last; policies of one order go by name.
pub fn order(policy: &VendorPolicy) -> f64 {
    policy.spec.get("order").and_then(Value::as_f64).unwrap_or(f64::INFINITY)
}

/// The tier of a policy; those of Kubernetes itself are in `default` as well, with the order 1000.
pub fn tier(policy: &VendorPolicy) -> &str {
    text(&policy.spec, "tier").unwrap_or("default")
}

/// The namespace of a policy; none for one of the whole cluster.
fn scope(policy: &VendorPolicy) -> Option<&str> {
    (policy.kind == PolicyKind::CalicoNetworkPolicy).then_some(&*policy.id.namespace)
}

pub(super) fn judge(question: &Question<'_>, policy: &VendorPolicy) -> Opinion {
    let (spec, scope) = (&policy.spec, scope(policy));
    if !is_about(spec, question.direction) {
        return Opinion::NotAbout;
    }
    let opinion = match selected(question, spec, scope) {
        Truth::No => return Opinion::NotAbout,
        Truth::Unknown(why) => return Opinion::Undecided(why),
        Truth::Yes => decide(question, spec, scope),
    };
    // They change what the policy is about, or when.
    let hooks = ["doNotTrack", "preDNAT", "applyOnForward"].into_iter().find(|field| is_set(spec, field));
    let strange = shape::of_spec(spec);
    match (hooks, strange) {
        (Some(field), _) => Opinion::Undecided(format!("{field} is set, which is for the interfaces of hosts")),
        (None, Some(field)) => Opinion::Undecided(format!("the field {} is not known", short(&field))),
        (None, None) => opinion,
    }
}

fn rules_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

/// `types`; where they are left out, the directions that have rules, or ingress if none has.
fn is_about(spec: &Value, direction: Direction) -> bool {
    let types = list(spec, "types");
    if !types.is_empty() {
        let is_named = |entry: &Value| entry.as_str().is_some_and(|name| name.eq_ignore_ascii_case(direction.as_str()));
        return types.iter().any(is_named);
    }
    let has = |field| is_set(spec, field);
    match direction {
        Direction::Ingress => has("ingress") || !has("egress"),
        Direction::Egress => has("egress"),
    }
}

/// Whether the policy's own selectors take the pod.
fn selected(question: &Question<'_>, spec: &Value, scope: Option<&str>) -> Truth {
    let pod = question.subject;
    let near = Truth::of(scope.is_none_or(|namespace| *pod.id.namespace == *namespace));
    near.and(|| label::namespace_matches(question, pod, text(spec, "namespaceSelector")))
        .and(|| label::pod_matches(question, pod, text(spec, "selector")))
        .and(|| label::account_matches(text(spec, "serviceAccountSelector")))
}

fn decide(question: &Question<'_>, spec: &Value, scope: Option<&str>) -> Opinion {
    let mut doubts = Vec::new();
    let mut decided = Opinion::DeniesByDefault;
    for (at, rule) in list(spec, rules_of(question.direction)).iter().enumerate() {
        let rule_number = at as u32 + 1;
        let effect = match text(rule, "action").unwrap_or_default() {
            "Allow" => Opinion::Allows { rule: rule_number },
            "Deny" => Opinion::Denies { rule: rule_number },
            "Pass" => Opinion::Passes,
            "Log" => continue,
            other => Opinion::Undecided(format!("the action {} is not known", short(other))),
        };
        match rule::matches(question, rule, scope) {
            Truth::No => {}
            Truth::Unknown(why) => doubts.push((effect, why)),
            Truth::Yes => {
                decided = effect;
                break;
            }
        }
    }
    // A rule that may match matters only if it would decide something else.
    let is_same = |effect: &Opinion| std::mem::discriminant(effect) == std::mem::discriminant(&decided);
    match doubts.into_iter().find(|(effect, _)| !is_same(effect)) {
        Some((_, why)) => Opinion::Undecided(why),
        None => decided,
    }
}
