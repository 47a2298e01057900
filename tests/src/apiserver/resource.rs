//! Kinds, and where the API serves them.

use serde_json::{Value, json};

/// Always served, as by a cluster without anything installed.
pub(super) const BUILT_IN: [(&str, &str); 6] = [
    ("v1", "Pod"),
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
];

/// Kinds whose objects are the whole cluster's.
const CLUSTER_WIDE: [&str; 8] = [
    "Namespace",
    "Node",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "GlobalNetworkPolicy",
    "CustomResourceDefinition",
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    /// `v1`, `networking.k8s.io/v1`
    pub(super) api_version: String,
    pub(super) kind: String,
}

impl Resource {
    pub(super) fn new(api_version: &str, kind: &str) -> Self {
        Self { api_version: api_version.to_owned(), kind: kind.to_owned() }
    }

    /// Of an object; `apiVersion` may be left out for what is built in.
    pub(super) fn of(object: &Value) -> Self {
        let kind = object["kind"].as_str().unwrap_or_else(|| panic!("an object without kind: {object}"));
        let built_in = || BUILT_IN.iter().find(|(_, known)| *known == kind).map(|(version, _)| *version);
        let version = object["apiVersion"].as_str().or_else(built_in);
        Self::new(version.unwrap_or_else(|| panic!("{kind} without apiVersion")), kind)
    }

    /// `networkpolicies`
    pub(super) fn plural(&self) -> String {
        let lower = self.kind.to_lowercase();
        match lower.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{lower}s"),
        }
    }

    pub(super) fn is_namespaced(&self) -> bool {
        !CLUSTER_WIDE.contains(&self.kind.as_str())
    }

    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }

    /// `/apis/networking.k8s.io/v1/networkpolicies`
    pub(super) fn path(&self) -> String {
        let root = if self.group().is_empty() { "api" } else { "apis" };
        format!("/{root}/{}/{}", self.api_version, self.plural())
    }

    /// An entry of `APIResourceList`.
    pub(super) fn described(&self) -> Value {
        json!({
            "name": self.plural(),
            "singularName": self.kind.to_lowercase(),
            "namespaced": self.is_namespaced(),
            "kind": self.kind,
            "verbs": ["get", "list", "watch"],
        })
    }
}
