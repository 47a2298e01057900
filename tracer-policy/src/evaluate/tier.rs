//! The policies of the administrator: AdminNetworkPolicy and BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1),
//! ClusterNetworkPolicy (v1alpha2).
//!
//! Rule: the lowest priority first, and of each policy the first rule that is about the connection. What policies of one
//! priority say together is defined only where they agree.

use super::course::Course;
use super::fit::{self, Fit};
use super::view::{Far, View};
use super::{Direction, RuleId, Verdict, Why};
use crate::model::{Policy, PolicyId, Text, TierAction, TierLevel, TierPeer, TierRule, TieredPolicy};

/// A policy, and whether it selects the pod: `Yes` or `Maybe`.
type Selecting<'a> = (&'a TieredPolicy, Fit);

/// Policies of one level that select the pod, or may, and have rules for the direction, in the order of priority.
pub(super) fn selecting<'a>(view: &View<'a>, level: TierLevel) -> Vec<Selecting<'a>> {
    let tiered = view.world.policies_in("").iter().filter_map(|policy| match &**policy {
        Policy::Tiered(policy) if policy.level == level && !rules(policy, view.direction).is_empty() => Some(policy),
        _ => None,
    });
    let mut policies: Vec<Selecting<'a>> =
        tiered.map(|policy| (policy, selects(view, policy))).filter(|(_, selects)| *selects != Fit::No).collect();
    policies.sort_by_key(|(policy, _)| policy.priority);
    policies
}

/// Those that select it for certain.
pub(super) fn names(policies: &[Selecting<'_>]) -> impl Iterator<Item = PolicyId> {
    policies.iter().filter(|(_, selects)| *selects == Fit::Yes).map(|(policy, _)| name(policy))
}

fn name(policy: &TieredPolicy) -> PolicyId {
    PolicyId { kind: policy.kind, id: policy.id.clone() }
}

/// Judges by one level; whether the connection may come to what follows: the NetworkPolicies after `Admin`, the default after
/// `Baseline`.
pub(super) fn judge(view: &View<'_>, policies: &[Selecting<'_>], course: &mut Course) -> bool {
    let mut leads_on = false;
    for group in policies.chunk_by(|(one, _), (other, _)| one.priority == other.priority) {
        let mut actions: Vec<(TierAction, bool, RuleId)> = Vec::new();
        for (policy, selects) in group {
            matching(view, policy, *selects, course, &mut actions);
        }
        tell_disagreement(&actions, course);
        let is_last = actions.iter().any(|(_, is_certain, _)| *is_certain);
        for (action, is_certain, rule) in actions {
            let verdict = match action {
                TierAction::Allow => Verdict::Allowed,
                TierAction::Deny => Verdict::Denied,
                TierAction::Pass => {
                    leads_on = true;
                    continue;
                }
            };
            if is_certain {
                course.ends(verdict, Why::Rule, Some(rule));
            } else {
                course.may_end(verdict, Why::Rule, Some(rule));
            }
        }
        if is_last {
            return leads_on;
        }
    }
    true
}

fn rules(policy: &TieredPolicy, direction: Direction) -> &[TierRule] {
    match direction {
        Direction::Egress => &policy.egress,
        Direction::Ingress => &policy.ingress,
    }
}

/// A field that is not understood may narrow the subject.
fn selects(view: &View<'_>, policy: &TieredPolicy) -> Fit {
    if policy.pods.as_ref().is_some_and(|pods| !pods.matches(&view.pod.labels)) {
        return Fit::No;
    }
    let selects = fit::namespace(view.world, &policy.namespaces, &view.pod.id.namespace);
    if policy.unknown.is_empty() { selects } else { selects.min(Fit::Maybe) }
}

/// The action of the first rule that is about the connection, after those of rules before it that may be.
fn matching(
    view: &View<'_>,
    policy: &TieredPolicy,
    selects: Fit,
    course: &mut Course,
    actions: &mut Vec<(TierAction, bool, RuleId)>,
) {
    let id = name(policy);
    for (number, rule) in (1..).zip(rules(policy, view.direction)) {
        let about = rule_fits(view, rule);
        if about == Fit::No {
            continue;
        }
        let is_certain = about == Fit::Yes && selects == Fit::Yes;
        if !is_certain {
            tell_open(view, policy, number, rule, course);
        }
        actions.push((rule.action, is_certain, RuleId { policy: id.clone(), number, name: rule.name.clone() }));
        if about == Fit::Yes {
            return;
        }
    }
}

/// A rule without peers is about nobody: the API has none.
fn rule_fits(view: &View<'_>, rule: &TierRule) -> Fit {
    if !rule.unknown.is_empty() {
        return Fit::Maybe;
    }
    if !view.ports_fit(&rule.ports) {
        return Fit::No;
    }
    Fit::any(rule.peers.iter().map(|peer| peer_fits(view, peer)))
}

/// Networks are about the addresses of pods too, as v1alpha1 says; names are resolved by the engine.
fn peer_fits(view: &View<'_>, peer: &TierPeer) -> Fit {
    match (peer, view.far) {
        (TierPeer::Pods { namespaces, pods }, Far::Pod(far)) => {
            if pods.as_ref().is_some_and(|pods| !pods.matches(&far.labels)) {
                return Fit::No;
            }
            fit::namespace(view.world, namespaces, &far.id.namespace)
        }
        (TierPeer::Nodes(selector), Far::Node(name)) => {
            let node = name.and_then(|name| view.world.node(name));
            fit::labels(selector, node.map(|node| &node.labels))
        }
        (TierPeer::Pods { .. }, Far::Node(_) | Far::Outside) | (TierPeer::Nodes(_), Far::Pod(_) | Far::Outside) => {
            Fit::No
        }
        (TierPeer::Networks(ranges), _) => ranges.iter().any(|range| range.contains(&view.address)).into(),
        (TierPeer::Domains(_), _) => Fit::Maybe,
    }
}

/// Says why a rule may be about the connection.
fn tell_open(view: &View<'_>, policy: &TieredPolicy, number: u32, rule: &TierRule, course: &mut Course) {
    let id = name(policy);
    if fit::namespace(view.world, &policy.namespaces, &view.pod.id.namespace) == Fit::Maybe {
        course.unknown(namespace_sentence(&view.pod.id.namespace));
    }
    for field in &policy.unknown {
        course.unknown(format!("{id} has a field that is not understood: {field}"));
    }
    for field in &rule.unknown {
        course.unknown(format!("rule {number} of {id} has a field that is not understood: {field}"));
    }
    if !rule.unknown.is_empty() {
        return;
    }
    for peer in rule.peers.iter().filter(|peer| peer_fits(view, peer) == Fit::Maybe) {
        course.unknown(match (peer, view.far) {
            (TierPeer::Domains(names), _) => domains_sentence(&id.to_string(), names, view),
            (_, Far::Pod(far)) => namespace_sentence(&far.id.namespace),
            (_, Far::Node(Some(name))) => format!("the labels of the node {name} are not known"),
            _ => format!("which node has the address {} is not known", view.address),
        });
    }
}

pub(super) fn namespace_sentence(namespace: &str) -> String {
    format!("the labels of the namespace {namespace} are not known")
}

fn domains_sentence(policy: &str, names: &[Text], view: &View<'_>) -> String {
    let first = names.first().map_or("a domain", |name| &**name);
    format!("{policy} allows {first}, and whether {} is an address of it is not known", view.address)
}

/// Policies of one priority that say different things: which of them is asked first is not defined.
fn tell_disagreement(actions: &[(TierAction, bool, RuleId)], course: &mut Course) {
    let Some((first, _, one)) = actions.first() else { return };
    let other = actions.iter().find(|(action, _, rule)| action != first && rule.policy != one.policy);
    if let Some((_, _, other)) = other {
        let (one, other) = (&one.policy, &other.policy);
        course
            .unknown(format!("{one} and {other} have the same priority and disagree: the API does not say which wins"));
    }
}
