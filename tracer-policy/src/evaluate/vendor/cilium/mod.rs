//! CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy (cilium.io/v2).
//!
//! Rule: a denial wins over what is allowed; a direction without rules is not restricted, unless `enableDefaultDeny` says so.

mod entity;
mod label;
mod port;
mod rule;
mod shape;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::Opinion;
use super::fields::list;
use super::question::Question;
use super::truth::Truth;
use crate::evaluate::Direction;
use crate::model::{PolicyKind, VendorPolicy};

pub(super) use shape::unknown;

/// The namespace that the selectors of a policy are about; none for one of the whole cluster.
fn scope(policy: &VendorPolicy) -> Option<&str> {
    (policy.kind == PolicyKind::CiliumNetworkPolicy).then_some(&*policy.id.namespace)
}

/// `spec` and the entries of `specs`.
fn specs(policy: &VendorPolicy) -> &[Value] {
    policy.spec.as_array().map_or(std::slice::from_ref(&policy.spec), Vec::as_slice)
}

/// What the rules of a policy say, one after the other.
#[derive(Default)]
struct Tally {
    denied_by: Option<u32>,
    allowed_by: Option<u32>,
    /// Whether the pod is restricted to what is allowed.
    restricts: bool,
    /// What a denial, an allowance, a restriction hang on.
    unknown: [Option<String>; 3],
    /// Rules in the specs before.
    counted: [u32; 2],
}

pub(super) fn judge(question: &Question<'_>, policy: &VendorPolicy) -> Opinion {
    let scope = scope(policy);
    let mut tally = Tally::default();
    for spec in specs(policy) {
        tally.add(question, spec, scope);
    }
    tally.opinion()
}

impl Tally {
    fn add(&mut self, question: &Question<'_>, spec: &Value, scope: Option<&str>) {
        let (allows, denies) = match question.direction {
            Direction::Ingress => ("ingress", "ingressDeny"),
            Direction::Egress => ("egress", "egressDeny"),
        };
        let selected = rule::selected(question, spec, scope);
        let lists = [list(spec, denies), list(spec, allows)];
        if selected != Truth::No {
            self.note(2, restricts(spec, allows, &lists), &selected, 0);
            for (which, rules) in lists.into_iter().enumerate() {
                for (at, entry) in rules.iter().enumerate() {
                    let number = self.counted[which] + at as u32 + 1;
                    self.note(which, rule::matches(question, entry, which == 0, scope), &selected, number);
                }
            }
        }
        for (count, rules) in self.counted.iter_mut().zip(lists) {
            *count += rules.len() as u32;
        }
    }

    fn note(&mut self, which: usize, truth: Truth, selected: &Truth, rule: u32) {
        match truth.and(|| selected.clone()) {
            Truth::No => {}
            Truth::Yes if which == 0 => self.denied_by = self.denied_by.or(Some(rule)),
            Truth::Yes if which == 1 => self.allowed_by = self.allowed_by.or(Some(rule)),
            Truth::Yes => self.restricts = true,
            Truth::Unknown(why) => {
                if let Some(place) = self.unknown.get_mut(which) {
                    place.get_or_insert(why);
                }
            }
        }
    }

    fn opinion(self) -> Opinion {
        let [denial, allowance, restriction] = self.unknown;
        match (self.denied_by, denial, self.allowed_by, allowance) {
            (Some(rule), ..) => Opinion::Denies { rule },
            (None, Some(why), ..) | (None, None, None, Some(why)) => Opinion::Undecided(why),
            (None, None, Some(rule), _) => Opinion::Allows { rule },
            (None, None, None, None) if self.restricts => Opinion::DeniesByDefault,
            (None, None, None, None) => restriction.map_or(Opinion::NotAbout, Opinion::Undecided),
        }
    }
}

/// `enableDefaultDeny`; where it is left out, any rule restricts.
fn restricts(spec: &Value, direction: &str, lists: &[&[Value]; 2]) -> Truth {
    let told = spec.get("enableDefaultDeny").and_then(|default| default.get(direction)).and_then(Value::as_bool);
    let truth = Truth::of(told.unwrap_or_else(|| lists.iter().any(|rules| !rules.is_empty())));
    // A field that is not known may be a rule of its own.
    truth.or(|| shape::unknown_of(spec))
}
