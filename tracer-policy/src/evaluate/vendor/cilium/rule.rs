//! Whom a rule is about.
//!
//! Rule: blocks of addresses are about what is outside the cluster only: pods and nodes have identities, and match by these.

use serde_json::Value;

use super::super::fields::{contains, is_set, list, short, text};
use super::super::question::{Party, Question};
use super::super::truth::Truth;
use super::{entity, label, port, shape};
use crate::evaluate::Direction;
use crate::model::ObjectName;

/// Whether a rule's selector takes the pod.
pub(super) fn selected(question: &Question<'_>, spec: &Value, scope: Option<&str>) -> Truth {
    match (spec.get("endpointSelector"), is_set(spec, "nodeSelector")) {
        (Some(selector), _) if selector.is_object() => label::selects_subject(question, selector, scope),
        // About nodes, not about pods.
        (_, true) => Truth::No,
        _ if spec.get("nodeSelector").is_some() => Truth::No,
        _ => Truth::Unknown("a rule without endpointSelector".into()),
    }
}

/// Whether a rule is about the connection.
pub(super) fn matches(question: &Question<'_>, rule: &Value, is_denial: bool, scope: Option<&str>) -> Truth {
    let unknown = shape::unknown_of_rule(rule);
    if unknown != Truth::No {
        return unknown;
    }
    let truth = match (peers(question, rule, scope), port::matches(question, rule)) {
        // An empty rule is about nobody: it only restricts.
        (None, None) => Truth::No,
        (Some(truth), None) | (None, Some(truth)) => truth,
        (Some(peers), Some(ports)) => peers.and(|| ports),
    };
    let mode = rule.get("authentication").and_then(|authentication| text(authentication, "mode"));
    match mode.filter(|mode| *mode != "disabled" && !is_denial) {
        Some(mode) => truth.and(|| Truth::Unknown(format!("authentication of the peer ({}) is demanded", short(mode)))),
        None => truth,
    }
}

/// Whether the peer is one of those that are listed; none if the rule has no list of peers.
fn peers(question: &Question<'_>, rule: &Value, scope: Option<&str>) -> Option<Truth> {
    let from = question.direction == Direction::Ingress;
    let of = |from_field: &'static str, to_field: &'static str| {
        rule.get(if from { from_field } else { to_field }).and_then(Value::as_array).map(Vec::as_slice)
    };
    let any = |entries: Option<&[Value]>, holds: &dyn Fn(&Value) -> Truth| {
        entries.map(|entries| Truth::any(entries.iter().map(holds)))
    };
    let services = (!from).then(|| rule.get("toServices").and_then(Value::as_array).map(Vec::as_slice)).flatten();
    let names = (!from).then(|| rule.get("toFQDNs").and_then(Value::as_array).map(Vec::as_slice)).flatten();
    let found: Vec<Truth> = [
        any(of("fromEndpoints", "toEndpoints"), &|selector| label::selects_peer(question, selector, scope)),
        any(of("fromCIDR", "toCIDR"), &|block| outside(question, || contains(block, question.address))),
        any(of("fromCIDRSet", "toCIDRSet"), &|entry| outside(question, || block(question, entry))),
        any(of("fromEntities", "toEntities"), &|name| entity::is(question, name.as_str().unwrap_or_default())),
        any(of("fromNodes", "toNodes"), &|_| node(question)),
        any(of("fromGroups", "toGroups"), &|_| outside(question, || unknown("which addresses a group of a cloud has"))),
        any(services, &|entry| service(question, entry, scope)),
        any(names, &|_| outside(question, || unknown("which addresses a name of toFQDNs has"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    match found.as_slice() {
        [] => None,
        [_] => found.into_iter().next(),
        [first, rest @ ..] if rest.iter().all(|truth| truth == first) => found.into_iter().next(),
        // Cilium refuses most of these.
        _ => Some(unknown("how lists of peers of several kinds in one rule go together")),
    }
}

fn unknown(why: &str) -> Truth {
    Truth::Unknown(why.into())
}

/// Asks about addresses, which only what is outside the cluster has. An address on the link (as that of a DNS cache on each
/// node, 169.254.20.10) is no node's to Cilium.
fn outside(question: &Question<'_>, holds: impl FnOnce() -> Truth) -> Truth {
    match question.peer {
        Party::Outside => holds(),
        Party::Node(_) if entity::is_on_link(question.address) => holds(),
        Party::Pod(_) | Party::Node(_) => Truth::No,
    }
}

/// An entry of `fromCIDRSet` or `toCIDRSet`.
fn block(question: &Question<'_>, entry: &Value) -> Truth {
    let range = match entry.get("cidr") {
        Some(cidr) => contains(cidr, question.address),
        None => unknown("which addresses a CiliumCIDRGroup has"),
    };
    let except = || list(entry, "except").iter().map(|except| contains(except, question.address));
    range.and(|| Truth::any(except()).not())
}

fn node(question: &Question<'_>) -> Truth {
    match question.peer {
        Party::Node(_) => unknown("whether the identities of nodes have their labels (enable-node-selector-labels)"),
        Party::Pod(_) | Party::Outside => Truth::No,
    }
}

/// An entry of `toServices`: the backends of a Service.
fn service(question: &Question<'_>, entry: &Value, scope: Option<&str>) -> Truth {
    let Some(named) = entry.get("k8sService") else {
        return unknown("which Services a k8sServiceSelector selects");
    };
    let namespace = text(named, "namespace").or(scope).unwrap_or_default();
    let id = ObjectName::new(namespace, text(named, "serviceName").unwrap_or_default());
    let Some(service) = question.world.service(&id) else {
        return Truth::Unknown(format!("the Service {} is not known", short(&id.to_string())));
    };
    let slices = question.world.slices().filter(|slice| slice.service == id.name && slice.id.namespace == id.namespace);
    let is_backend =
        slices.flat_map(|slice| &slice.backends).any(|backend| backend.addresses.contains(&question.address));
    match (is_backend, &service.selector) {
        (true, None) => Truth::Yes,
        (true, Some(_)) => unknown("whether this Cilium takes Services with a selector in toServices"),
        (false, _) => Truth::No,
    }
}
