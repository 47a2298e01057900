//! Policies of Cilium's (cilium.io/v2) and Calico's (crd.projectcalico.org/v1, projectcalico.org/v3) own kinds.
//!
//! Rule: they are kept as they are, and what in them is not understood is told where they are evaluated.

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ReadError, typed};
use super::interner::Interner;
use super::meta::{Meta, title};
use crate::model::{PolicyKind, VendorPolicy};

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
}

pub(super) fn vendor(kind: PolicyKind, value: &Value, interner: &mut Interner) -> Result<VendorPolicy, ReadError> {
    read(kind, value, interner).map_err(|fault| fault.of(title(kind.as_str(), value)))
}

fn read(kind: PolicyKind, value: &Value, interner: &mut Interner) -> Result<VendorPolicy, Fault> {
    let named: Named<'_> = typed(value)?;
    let id = match kind {
        PolicyKind::CiliumNetworkPolicy | PolicyKind::CalicoNetworkPolicy => named.metadata.namespaced(interner)?,
        _ => named.metadata.clusterwide(interner)?,
    };
    let is_cilium = matches!(kind, PolicyKind::CiliumNetworkPolicy | PolicyKind::CiliumClusterwideNetworkPolicy);
    let spec = if is_cilium { Value::Array(rules(value)?) } else { object("spec", value.get("spec"))? };
    Ok(VendorPolicy { kind, id, spec })
}

/// `spec` and each of `specs`, which mean the same.
fn rules(value: &Value) -> Result<Vec<Value>, Fault> {
    let set = |field| value.get(field).filter(|value| !value.is_null());
    let mut rules = Vec::new();
    if let Some(spec) = set("spec") {
        rules.push(object("spec", Some(spec))?);
    }
    match set("specs") {
        None => {}
        Some(Value::Array(specs)) => {
            for (at, spec) in specs.iter().enumerate() {
                rules.push(object(&format!("specs[{at}]"), Some(spec))?);
            }
        }
        Some(_) => return Err(Fault::new("specs", "is no list")),
    }
    if rules.is_empty() { Err(Fault::new("spec", "is missing")) } else { Ok(rules) }
}

fn object(field: &str, value: Option<&Value>) -> Result<Value, Fault> {
    match value {
        Some(value) if value.is_object() => Ok(value.clone()),
        Some(_) => Err(Fault::new(field, "is no object")),
        None => Err(Fault::new(field, "is missing")),
    }
}
