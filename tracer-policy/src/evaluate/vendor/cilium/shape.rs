//! Fields of Cilium's rules (pkg/policy/api of Cilium 1.18).

use serde_json::Value;

use super::super::truth::Truth;
use super::specs;
use crate::model::VendorPolicy;
use crate::read::shape::Shape;

const SPEC: Shape = Shape::Fields(&[
    ("endpointSelector", Shape::Any),
    ("nodeSelector", Shape::Any),
    ("ingress", Shape::Any),
    ("ingressDeny", Shape::Any),
    ("egress", Shape::Any),
    ("egressDeny", Shape::Any),
    ("enableDefaultDeny", Shape::Fields(&[("ingress", Shape::Any), ("egress", Shape::Any)])),
    ("labels", Shape::Any),
    ("description", Shape::Any),
    ("log", Shape::Any),
]);
const PORT: Shape = Shape::Fields(&[("port", Shape::Any), ("endPort", Shape::Any), ("protocol", Shape::Any)]);
/// What is beyond ports is looked at after the connection was let in.
const PORTS: Shape = Shape::Fields(&[
    ("ports", Shape::List(&PORT)),
    ("rules", Shape::Any),
    ("listener", Shape::Any),
    ("terminatingTLS", Shape::Any),
    ("originatingTLS", Shape::Any),
    ("serverNames", Shape::Any),
]);
const BLOCK: Shape = Shape::Fields(&[
    ("cidr", Shape::Any),
    ("except", Shape::Any),
    ("cidrGroupRef", Shape::Any),
    ("cidrGroupSelector", Shape::Any),
]);
const RULE: Shape = Shape::Fields(&[
    ("fromEndpoints", Shape::Any),
    ("fromCIDR", Shape::Any),
    ("fromCIDRSet", Shape::List(&BLOCK)),
    ("fromEntities", Shape::Any),
    ("fromGroups", Shape::Any),
    ("fromNodes", Shape::Any),
    ("toEndpoints", Shape::Any),
    ("toCIDR", Shape::Any),
    ("toCIDRSet", Shape::List(&BLOCK)),
    ("toEntities", Shape::Any),
    ("toGroups", Shape::Any),
    ("toNodes", Shape::Any),
    ("toServices", Shape::Any),
    ("toFQDNs", Shape::Any),
    ("toPorts", Shape::List(&PORTS)),
    ("icmps", Shape::Any),
    ("authentication", Shape::Any),
]);

/// Paths of the fields that are not known.
pub(in super::super) fn unknown(policy: &VendorPolicy) -> Vec<String> {
    let mut found = Vec::new();
    for (at, spec) in specs(policy).iter().enumerate() {
        // `spec` and `specs` are rarely both set; the place of the rule is what matters.
        let place = if at == 0 { "spec".to_owned() } else { format!("specs[{at}]") };
        found.extend(SPEC.unknown(spec).into_iter().map(|path| format!("{place}.{path}")));
        for field in ["ingress", "ingressDeny", "egress", "egressDeny"] {
            for (at, rule) in super::list(spec, field).iter().enumerate() {
                found.extend(RULE.unknown(rule).into_iter().map(|path| format!("{place}.{field}[{at}].{path}")));
            }
        }
    }
    found
}

/// No, or that there are fields that are not known.
pub(super) fn unknown_of(spec: &Value) -> Truth {
    told(SPEC, spec)
}

pub(super) fn unknown_of_rule(rule: &Value) -> Truth {
    told(RULE, rule)
}

fn told(shape: Shape, value: &Value) -> Truth {
    let unknown = shape.unknown(value).into_iter().next();
    unknown.map_or(Truth::No, |path| Truth::Unknown(format!("the field {path} is not known")))
}
