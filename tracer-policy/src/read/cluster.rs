//! Namespaces and nodes (core/v1).
//!
//! Rule: a namespace has its name as a label, also in a manifest that was never sent to a server.

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ReadError, each};
use super::interner::Interner;
use super::meta::{Meta, titled};
use super::{address, block};
use crate::model::{Labels, Namespace, Node};

/// Set by the API server on every namespace (since 1.21).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

#[derive(Deserialize)]
struct NamespaceManifest<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
}

#[derive(Deserialize)]
struct NodeManifest<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<NodeSpec<'a>>,
    #[serde(borrow)]
    status: Option<NodeStatus<'a>>,
}

#[derive(Default, Deserialize)]
struct NodeSpec<'a> {
    #[serde(borrow, rename = "podCIDRs")]
    blocks: Option<Vec<&'a str>>,
    #[serde(rename = "podCIDR")]
    block: Option<&'a str>,
}

#[derive(Default, Deserialize)]
struct NodeStatus<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<NodeAddress<'a>>>,
}

#[derive(Deserialize)]
struct NodeAddress<'a> {
    r#type: &'a str,
    address: &'a str,
}

/// Reads a namespace of the API.
pub fn namespace(value: &Value, interner: &mut Interner) -> Result<Namespace, ReadError> {
    titled("Namespace", value, |manifest: NamespaceManifest<'_>| {
        let name = interner.text(manifest.metadata.name()?);
        let labels = named(manifest.metadata.labels(interner)?, &name, interner);
        Ok(Namespace { name, labels })
    })
}

fn named(labels: Labels, name: &str, interner: &mut Interner) -> Labels {
    if labels.get(NAME_LABEL).is_some() {
        return labels;
    }
    interner.labels(&labels.iter().chain([(NAME_LABEL, name)]).collect())
}

/// Reads a node of the API.
pub fn node(value: &Value, interner: &mut Interner) -> Result<Node, ReadError> {
    titled("Node", value, |manifest: NodeManifest<'_>| manifest.read(interner))
}

impl NodeManifest<'_> {
    fn read(self, interner: &mut Interner) -> Result<Node, Fault> {
        let addresses = each("status.addresses", self.status.unwrap_or_default().addresses, |entry| {
            // A hostname is no address.
            let is_address = matches!(entry.r#type, "InternalIP" | "ExternalIP");
            is_address.then(|| address(entry.address).map_err(|fault| fault.under("address"))).transpose()
        })?;
        let spec = self.spec.unwrap_or_default();
        let mut pod_ranges = each("spec.podCIDRs", spec.blocks, block)?;
        if let Some(text) = spec.block.filter(|text| pod_ranges.is_empty() && !text.is_empty()) {
            pod_ranges = [block(text).map_err(|fault| fault.under("spec.podCIDR"))?].into();
        }
        Ok(Node {
            name: interner.text(self.metadata.name()?),
            labels: self.metadata.labels(interner)?,
            addresses: addresses.into_iter().flatten().collect(),
            pod_ranges,
        })
    }
}
