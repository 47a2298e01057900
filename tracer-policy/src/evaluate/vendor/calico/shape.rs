//! Fields of Calico's policies (api/pkg/apis/projectcalico/v3 of Calico 3.30).

use serde_json::Value;

use super::super::fields::list;
use crate::model::VendorPolicy;
use crate::read::shape::Shape;

const SPEC: Shape = Shape::Fields(&[
    ("tier", Shape::Any),
    ("order", Shape::Any),
    ("selector", Shape::Any),
    ("namespaceSelector", Shape::Any),
    ("serviceAccountSelector", Shape::Any),
    ("types", Shape::Any),
    ("ingress", Shape::Any),
    ("egress", Shape::Any),
    ("doNotTrack", Shape::Any),
    ("preDNAT", Shape::Any),
    ("applyOnForward", Shape::Any),
    ("performanceHints", Shape::Any),
]);
const ENTITY: Shape = Shape::Fields(&[
    ("nets", Shape::Any),
    ("notNets", Shape::Any),
    ("selector", Shape::Any),
    ("notSelector", Shape::Any),
    ("namespaceSelector", Shape::Any),
    ("ports", Shape::Any),
    ("notPorts", Shape::Any),
    ("serviceAccounts", Shape::Fields(&[("names", Shape::Any), ("selector", Shape::Any)])),
    ("services", Shape::Fields(&[("name", Shape::Any), ("namespace", Shape::Any)])),
]);
const RULE: Shape = Shape::Fields(&[
    ("action", Shape::Any),
    ("metadata", Shape::Any),
    ("ipVersion", Shape::Any),
    ("protocol", Shape::Any),
    ("notProtocol", Shape::Any),
    ("icmp", Shape::Any),
    ("notICMP", Shape::Any),
    ("http", Shape::Any),
    ("source", ENTITY),
    ("destination", ENTITY),
]);

/// Paths of the fields that are not known.
pub(in super::super) fn unknown(policy: &VendorPolicy) -> Vec<String> {
    let spec = &policy.spec;
    let mut found: Vec<String> = SPEC.unknown(spec).into_iter().map(|path| format!("spec.{path}")).collect();
    for field in ["ingress", "egress"] {
        for (at, rule) in list(spec, field).iter().enumerate() {
            found.extend(RULE.unknown(rule).into_iter().map(|path| format!("spec.{field}[{at}].{path}")));
        }
    }
    found
}

/// The first field beside the rules that is not known.
pub(super) fn of_spec(spec: &Value) -> Option<String> {
    SPEC.unknown(spec).into_iter().next()
}

pub(super) fn of_rule(rule: &Value) -> Option<String> {
    RULE.unknown(rule).into_iter().next()
}
