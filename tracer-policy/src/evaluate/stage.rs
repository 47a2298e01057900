//! The policies of a pod's namespace, and those of vendors for the whole cluster: the stage after the administrator's rules.
//!
//! Rule: policies of the API only ever allow, and so do Cilium's, except that a denial of Cilium's wins over everything. Calico
//! goes by tier, then by `order`; there the NetworkPolicies stand in the tier `default` at the order 1000, as Calico puts them.
//! A tier whose policies select the pod without deciding denies.

use std::cmp::Ordering;

use super::course::Course;
use super::fit::Fit;
use super::vendor::{self, Opinion};
use super::view::{Far, View};
use super::{Connection, Direction, RuleId, Verdict, Why, tier};
use crate::model::{NetworkPolicy, Policy, PolicyId, PolicyKind, Rule, VendorPolicy};

/// What one policy, or all NetworkPolicies together, say in their turn.
#[derive(Debug)]
enum Said {
    Allows(RuleId),
    /// And what it hangs on; if it is not allowed, it is denied by default.
    MayAllow(RuleId, String),
    Denies(RuleId),
    DeniesByDefault,
    Passes,
    Open(String),
}

#[derive(Debug)]
pub(super) struct Turn<'a> {
    tier: Tier<'a>,
    order: f64,
    said: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier<'a> {
    /// What wins over everything.
    Cilium,
    /// Of Calico, before its default one; their order among each other is in objects that are not read.
    Named(&'a str),
    Default,
}

/// Where Calico puts the NetworkPolicies (`projectcalico.org/v3`, `order`).
const NETWORK_POLICY_ORDER: f64 = 1000.0;

/// What the policies say, and which of them select the pod.
pub(super) fn turns<'a>(
    view: &View<'a>,
    connection: &Connection<'_>,
    selected_by: &mut Vec<PolicyId>,
) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    if let Some(said) = network(view, selected_by) {
        turns.push(Turn { tier: Tier::Default, order: NETWORK_POLICY_ORDER, said });
    }
    for namespace in [&*view.pod.id.namespace, ""] {
        vendors(view, namespace, connection, selected_by, &mut turns);
    }
    turns
}

/// Asks one after the other; whether the connection may come to the baseline: no policy here selects the pod, or one passes.
pub(super) fn walk(mut turns: Vec<Turn<'_>>, course: &mut Course) -> bool {
    let by_order = |one: &Turn<'_>, other: &Turn<'_>| one.order.partial_cmp(&other.order).unwrap_or(Ordering::Equal);
    turns.sort_by(|one, other| one.tier.cmp(&other.tier).then_with(|| by_order(one, other)));
    tell_tiers(&turns, course);
    let mut turns = turns.into_iter().peekable();
    while let Some(tier) = turns.peek().map(|turn| turn.tier) {
        let members = std::iter::from_fn(|| turns.next_if(|turn| turn.tier == tier));
        if !leads_on(members, course) {
            return false;
        }
    }
    true
}

/// One tier; whether the connection may come to the next.
fn leads_on<'a>(turns: impl Iterator<Item = Turn<'a>>, course: &mut Course) -> bool {
    let mut is_selected = false;
    let mut passes = false;
    for turn in turns {
        match turn.said {
            // The rest of the tier still has to be taken from the iterator.
            _ if passes => {}
            Said::Allows(rule) => {
                course.ends(Verdict::Allowed, Why::Rule, Some(rule));
                return false;
            }
            Said::Denies(rule) => {
                course.ends(Verdict::Denied, Why::Rule, Some(rule));
                return false;
            }
            Said::MayAllow(rule, sentence) => {
                course.unknown(sentence);
                course.may_end(Verdict::Allowed, Why::Rule, Some(rule));
                is_selected = true;
            }
            Said::DeniesByDefault => is_selected = true,
            Said::Passes => passes = true,
            Said::Open(sentence) => course.is_open(sentence),
        }
    }
    if is_selected && !passes {
        course.ends(Verdict::Denied, Why::Default, None);
    }
    passes || !is_selected
}

/// NetworkPolicies of the namespace that select the pod in this direction, in the order of name, with their rules.
pub(super) fn selecting<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a NetworkPolicy, &'a [Rule])> {
    let View { world, pod, direction, .. } = *view;
    world.policies_in(&pod.id.namespace).iter().filter_map(move |policy| {
        let Policy::Network(policy) = &**policy else { return None };
        let rules = match direction {
            Direction::Egress => policy.egress.as_deref(),
            Direction::Ingress => policy.ingress.as_deref(),
        }?;
        policy.pods.matches(&pod.labels).then_some((policy, rules))
    })
}

/// What the NetworkPolicies say; `None` if none selects the pod.
fn network(view: &View<'_>, selected_by: &mut Vec<PolicyId>) -> Option<Said> {
    let (mut allows, mut may_allow, mut last) = (None, None, None);
    for (policy, rules) in selecting(view) {
        let id = PolicyId { kind: PolicyKind::NetworkPolicy, id: policy.id.clone() };
        for (number, rule) in (1..).zip(rules) {
            if allows.is_some() {
                break;
            }
            let found = || Some(RuleId { policy: id.clone(), number, name: None });
            match view.rule_fits(policy, rule) {
                Fit::Yes => allows = found(),
                Fit::Maybe if may_allow.is_none() => may_allow = found(),
                Fit::Maybe | Fit::No => {}
            }
        }
        selected_by.push(id);
        last = Some(policy);
    }
    if let Some(rule) = allows {
        return Some(Said::Allows(rule));
    }
    match (view.world.knows_policies(), last) {
        (false, None) => Some(Said::Open("the NetworkPolicies of the cluster are not known".to_owned())),
        (false, Some(policy)) => Some(Said::Open(format!(
            "NetworkPolicy {} does not allow it, and whether another does is not known: not all were read",
            policy.id
        ))),
        (true, None) => None,
        (true, Some(_)) => Some(match (may_allow, view.far) {
            (Some(rule), Far::Pod(far)) => Said::MayAllow(rule, tier::namespace_sentence(&far.id.namespace)),
            _ => Said::DeniesByDefault,
        }),
    }
}

/// What each policy of a vendor in a namespace says. Their kinds are the last ones, so that the many others are not looked at.
fn vendors<'a>(
    view: &View<'a>,
    namespace: &str,
    connection: &Connection<'_>,
    selected_by: &mut Vec<PolicyId>,
    turns: &mut Vec<Turn<'a>>,
) {
    let policies = view.world.policies_in(namespace);
    let first = policies.partition_point(|policy| policy.kind() < PolicyKind::CiliumNetworkPolicy);
    for policy in policies.iter().skip(first) {
        let Policy::Vendor(policy) = &**policy else { continue };
        let opinion = vendor::judge(view.world, policy, connection, view.direction);
        let id = PolicyId { kind: policy.kind, id: policy.id.clone() };
        let rule = |number| RuleId { policy: id.clone(), number, name: None };
        let said = match opinion {
            Opinion::NotAbout => continue,
            Opinion::Allows { rule: number } => Said::Allows(rule(number)),
            Opinion::Denies { rule: number } => Said::Denies(rule(number)),
            Opinion::DeniesByDefault => Said::DeniesByDefault,
            Opinion::Passes => Said::Passes,
            Opinion::Undecided(sentence) => Said::Open(format!("{id}: {sentence}")),
        };
        let (tier, order) = place(policy, &said);
        if !matches!(said, Said::Open(_)) {
            selected_by.push(id);
        }
        turns.push(Turn { tier, order, said });
    }
}

/// The tier and the place in it.
fn place<'a>(policy: &'a VendorPolicy, said: &Said) -> (Tier<'a>, f64) {
    if matches!(policy.kind, PolicyKind::CiliumNetworkPolicy | PolicyKind::CiliumClusterwideNetworkPolicy) {
        return match said {
            Said::Denies(_) => (Tier::Cilium, 0.0),
            Said::Open(_) => (Tier::Cilium, 1.0),
            _ => (Tier::Default, NETWORK_POLICY_ORDER),
        };
    }
    let tier = match vendor::calico_tier(policy) {
        "default" => Tier::Default,
        name => Tier::Named(name),
    };
    (tier, vendor::calico_order(policy))
}

/// Several tiers of Calico's: which is asked first is not known.
fn tell_tiers(turns: &[Turn<'_>], course: &mut Course) {
    let mut names = turns.iter().filter_map(|turn| match turn.tier {
        Tier::Named(name) => Some(name),
        Tier::Cilium | Tier::Default => None,
    });
    let Some(first) = names.next() else { return };
    if let Some(other) = names.find(|name| *name != first) {
        course.is_open(format!("which of the tiers {first} and {other} comes first is not known"));
    }
}

#[cfg(test)]
mod tests;
