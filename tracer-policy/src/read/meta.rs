//! `metadata` of an object (`ObjectMeta`, k8s.io/apimachinery meta/v1).
//!
//! Rule: names and labels have the API's lengths: what is longer can't be an object of a cluster.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ReadError, quoted, short, typed};
use super::interner::Interner;
use crate::model::{Labels, ObjectName};

/// Bytes of an object's name, and of the prefix of a label's key (RFC 1123 subdomain).
const NAME: usize = 253;
/// Bytes of a label's value, and of a label's key after its prefix.
const LABEL: usize = 63;

pub(super) type Pairs<'a> = BTreeMap<&'a str, &'a str>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    pub(super) uid: Option<&'a str>,
    #[serde(borrow)]
    pub(super) labels: Option<Pairs<'a>>,
    #[serde(borrow)]
    owner_references: Option<Vec<Owner<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Owner<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    controller: Option<bool>,
}

impl<'a> Meta<'a> {
    pub(super) fn name(&self) -> Result<&'a str, Fault> {
        let name = self.name.unwrap_or_default();
        match name.len() {
            0 => Err(Fault::new("metadata.name", "is missing")),
            1..=NAME => Ok(name),
            length => {
                Err(Fault::new("metadata.name", format!("has {length} characters, and a name has at most {NAME}")))
            }
        }
    }

    /// `default` where a manifest leaves it out, as kubectl does without a context of its own.
    pub(super) fn namespace(&self) -> Result<&'a str, Fault> {
        match self.namespace.filter(|namespace| !namespace.is_empty()) {
            None => Ok("default"),
            Some(namespace) if namespace.len() <= LABEL => Ok(namespace),
            Some(namespace) => {
                Err(Fault::new("metadata.namespace", format!("{} is too long for a namespace", quoted(namespace))))
            }
        }
    }

    pub(super) fn namespaced(&self, interner: &mut Interner) -> Result<ObjectName, Fault> {
        Ok(interner.name(self.namespace()?, self.name()?))
    }

    /// Of an object of the whole cluster.
    pub(super) fn clusterwide(&self, interner: &mut Interner) -> Result<ObjectName, Fault> {
        Ok(interner.name("", self.name()?))
    }

    pub(super) fn labels(&self, interner: &mut Interner) -> Result<Labels, Fault> {
        labels(self.labels.as_ref(), interner).map_err(|fault| fault.under("metadata.labels"))
    }

    /// What controls it.
    pub(super) fn controller(&self) -> Option<&Owner<'a>> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }
}

pub(super) fn labels(pairs: Option<&Pairs<'_>>, interner: &mut Interner) -> Result<Labels, Fault> {
    let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else { return Ok(Labels::default()) };
    for (key, value) in pairs {
        label(key, value)?;
    }
    Ok(interner.labels(pairs))
}

/// Whether a label can be one: the field of the fault is its key.
pub(super) fn label(key: &str, value: &str) -> Result<(), Fault> {
    let name = key.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.len() > LABEL || key.len() - name.len() > NAME + 1 {
        let problem = format!("{} can't be the key of a label: its name has 1 to {LABEL} characters", quoted(key));
        return Err(Fault::new("", problem));
    }
    if value.len() > LABEL {
        let problem = format!("has {} characters, and the value of a label has at most {LABEL}", value.len());
        return Err(Fault::new(key, problem));
    }
    Ok(())
}

/// `NetworkPolicy shop/web`, for errors: whatever of it can be read.
pub(super) fn title(kind: &str, value: &Value) -> String {
    let of = |field: &str| value.pointer(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = of("/metadata/name").or_else(|| of("/metadata/generateName")).unwrap_or("without a name");
    let slash = |namespace| format!("{}/", short(namespace, LABEL));
    let namespace = of("/metadata/namespace").map(slash).unwrap_or_default();
    format!("{} {namespace}{}", short(kind, LABEL), short(name, NAME))
}

/// Reads an object by `read`; a fault names it.
pub(super) fn titled<'a, T: Deserialize<'a>, U>(
    kind: &str,
    value: &'a Value,
    read: impl FnOnce(T) -> Result<U, Fault>,
) -> Result<U, ReadError> {
    typed(value).and_then(read).map_err(|fault| fault.of(title(kind, value)))
}
