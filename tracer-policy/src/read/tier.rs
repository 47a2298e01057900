//! AdminNetworkPolicy, BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1), ClusterNetworkPolicy (v1alpha2,
//! v1beta1).
//!
//! Rule: these kinds still change: a field that is not known is kept as unknown, so that its rule may match or not.

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ReadError, each, quoted, typed};
use super::interner::Interner;
use super::meta::{Meta, title};
use super::selector::{LabelSelector, SHAPE as SELECTOR, optional};
use super::shape::Shape;
use super::tier_rule::rule;
use crate::model::{PolicyKind, Selector, Text, TierLevel, TierRule, TieredPolicy};

pub(super) const PODS: Shape = Shape::Fields(&[("namespaceSelector", SELECTOR), ("podSelector", SELECTOR)]);
const SPEC: Shape = Shape::Fields(&[
    ("tier", Shape::Any),
    ("priority", Shape::Any),
    ("subject", Shape::Fields(&[("namespaces", SELECTOR), ("pods", PODS)])),
    // Each rule is looked at by itself.
    ("ingress", Shape::Any),
    ("egress", Shape::Any),
]);
/// The lowest precedence.
const LAST: i64 = 1000;

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
}

#[derive(Deserialize)]
struct Spec<'a> {
    tier: Option<&'a str>,
    priority: Option<i64>,
    #[serde(borrow)]
    subject: Option<Subject<'a>>,
}

#[derive(Default, Deserialize)]
struct Subject<'a> {
    #[serde(borrow)]
    namespaces: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    pods: Option<NamespacedPods<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamespacedPods<'a> {
    #[serde(borrow)]
    namespace_selector: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    pod_selector: Option<LabelSelector<'a>>,
}

impl NamespacedPods<'_> {
    pub(super) fn read(self, interner: &mut Interner) -> Result<(Selector, Option<Selector>), Fault> {
        let namespaces = optional("namespaceSelector", self.namespace_selector, interner)?.unwrap_or_default();
        Ok((namespaces, optional("podSelector", self.pod_selector, interner)?))
    }
}

/// Reads a policy of one of the kinds.
pub(super) fn tiered(kind: PolicyKind, value: &Value, interner: &mut Interner) -> Result<TieredPolicy, ReadError> {
    read(kind, value, interner).map_err(|fault| fault.of(title(kind.as_str(), value)))
}

fn read(kind: PolicyKind, value: &Value, interner: &mut Interner) -> Result<TieredPolicy, Fault> {
    let id = typed::<Named<'_>>(value)?.metadata.clusterwide(interner)?;
    let spec = value.get("spec").ok_or_else(|| Fault::new("spec", "is missing"))?;
    let within = |fault: Fault| fault.under("spec");
    let fields: Spec<'_> = typed(spec).map_err(within)?;
    let level = level(kind, fields.tier).map_err(within)?;
    let priority = priority(kind, fields.priority).map_err(within)?;
    let subject = fields.subject.ok_or_else(|| Fault::new("spec.subject", "is missing"))?;
    let (namespaces, pods) = subject.read(interner).map_err(|fault| fault.under("spec.subject"))?;
    let mut rules = |field| rules(kind, spec, field, interner).map_err(within);
    let (ingress, egress) = (rules("ingress")?, rules("egress")?);
    let unknown = SPEC.unknown(spec).into_iter().map(|path| Text::from(format!("spec.{path}"))).collect();
    Ok(TieredPolicy { kind, id, level, priority, namespaces, pods, ingress, egress, unknown })
}

impl Subject<'_> {
    fn read(self, interner: &mut Interner) -> Result<(Selector, Option<Selector>), Fault> {
        match (self.namespaces, self.pods) {
            (Some(_), Some(_)) => Err(Fault::new("pods", "can't be with namespaces: exactly one of them is set")),
            (None, Some(pods)) => pods.read(interner).map_err(|fault| fault.under("pods")),
            (namespaces, None) => Ok((optional("namespaces", namespaces, interner)?.unwrap_or_default(), None)),
        }
    }
}

fn level(kind: PolicyKind, tier: Option<&str>) -> Result<TierLevel, Fault> {
    match kind {
        PolicyKind::ClusterNetworkPolicy => match tier {
            Some("Admin") => Ok(TierLevel::Admin),
            Some("Baseline") => Ok(TierLevel::Baseline),
            Some(other) => Err(Fault::new("tier", format!("{} is none of Admin, Baseline", quoted(other)))),
            None => Err(Fault::new("tier", "is missing")),
        },
        PolicyKind::BaselineAdminNetworkPolicy => Ok(TierLevel::Baseline),
        _ => Ok(TierLevel::Admin),
    }
}

fn priority(kind: PolicyKind, priority: Option<i64>) -> Result<u32, Fault> {
    if kind == PolicyKind::BaselineAdminNetworkPolicy {
        return Ok(0);
    }
    let priority = priority.ok_or_else(|| Fault::new("priority", "is missing"))?;
    u32::try_from(priority)
        .ok()
        .filter(|_| priority <= LAST)
        .ok_or_else(|| Fault::new("priority", format!("{priority} is not between 0 and {LAST}")))
}

fn rules(kind: PolicyKind, spec: &Value, field: &str, interner: &mut Interner) -> Result<Box<[TierRule]>, Fault> {
    let entries = match spec.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::Array(entries)) => Some(entries.iter().collect()),
        Some(_) => return Err(Fault::new(field, "is no list")),
    };
    each(field, entries, |entry| rule(kind, field == "ingress", entry, interner))
}

/// The first field that is not known, where that is a mistake.
pub(super) fn first_unknown(policy: &TieredPolicy) -> Option<String> {
    let in_rules = |field: &'static str, rules: &[TierRule]| {
        let mut found = rules.iter().enumerate().filter_map(|(at, rule)| Some((at, rule.unknown.first()?)));
        found.next().map(|(at, unknown)| format!("spec.{field}[{at}].{unknown}"))
    };
    let first = policy.unknown.first().map(ToString::to_string);
    first.or_else(|| in_rules("ingress", &policy.ingress)).or_else(|| in_rules("egress", &policy.egress))
}
