//! What is watched.

use tracer_policy::model::PolicyKind;

use crate::kubernetes::index::Kind;

/// A kind of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Empty for the core group.
    pub(super) group: &'static str,
    /// The first that the server has is taken.
    pub(super) versions: &'static [&'static str],
    /// As in paths and in RBAC.
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// `None`: pods.
    pub(super) listed_as: Option<Kind>,
    /// The field that is this node's name, for who may see only what is this node's.
    pub(super) own: Option<&'static str>,
    /// It is not in every cluster, and is asked for only where discovery has it.
    pub(super) is_optional: bool,
}

const fn policy(
    group: &'static str,
    versions: &'static [&'static str],
    name: &'static str,
    kind: PolicyKind,
) -> Resource {
    let is_optional = !matches!(kind, PolicyKind::NetworkPolicy);
    Resource { group, versions, name, kind: kind.as_str(), listed_as: Some(Kind::Policy(kind)), own: None, is_optional }
}

const fn core(name: &'static str, kind: &'static str, listed_as: Option<Kind>, own: Option<&'static str>) -> Resource {
    Resource { group: "", versions: &["v1"], name, kind, listed_as, own, is_optional: false }
}

const TIERED: &str = "policy.networking.k8s.io";
const CALICO: &str = "crd.projectcalico.org";

pub(super) const RESOURCES: [Resource; 13] = [
    core("pods", "Pod", None, Some("spec.nodeName")),
    core("namespaces", "Namespace", Some(Kind::Namespace), None),
    core("services", "Service", Some(Kind::Service), None),
    core("nodes", "Node", Some(Kind::Node), Some("metadata.name")),
    Resource {
        group: "discovery.k8s.io",
        versions: &["v1", "v1beta1"],
        name: "endpointslices",
        kind: "EndpointSlice",
        listed_as: Some(Kind::Slice),
        own: None,
        is_optional: false,
    },
    policy("networking.k8s.io", &["v1"], "networkpolicies", PolicyKind::NetworkPolicy),
    policy(TIERED, &["v1alpha1"], "adminnetworkpolicies", PolicyKind::AdminNetworkPolicy),
    policy(TIERED, &["v1alpha1"], "baselineadminnetworkpolicies", PolicyKind::BaselineAdminNetworkPolicy),
    policy(TIERED, &["v1alpha2"], "clusternetworkpolicies", PolicyKind::ClusterNetworkPolicy),
    policy("cilium.io", &["v2"], "ciliumnetworkpolicies", PolicyKind::CiliumNetworkPolicy),
    policy("cilium.io", &["v2"], "ciliumclusterwidenetworkpolicies", PolicyKind::CiliumClusterwideNetworkPolicy),
    policy(CALICO, &["v1"], "networkpolicies", PolicyKind::CalicoNetworkPolicy),
    policy(CALICO, &["v1"], "globalnetworkpolicies", PolicyKind::CalicoGlobalNetworkPolicy),
];

impl Resource {
    /// `/apis/networking.k8s.io/v1`
    pub(super) fn root(&self, version: &str) -> String {
        if self.group.is_empty() { format!("/api/{version}") } else { format!("/apis/{}/{version}", self.group) }
    }

    /// `networkpolicies.networking.k8s.io`, as `kubectl` names it.
    pub(super) fn full_name(&self) -> String {
        if self.group.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.name, self.group) }
    }

    pub(super) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    pub(super) fn is_policy(&self) -> bool {
        matches!(self.listed_as, Some(Kind::Policy(_)))
    }

    /// The rule of a ClusterRole that lets it be watched.
    pub(super) fn rule(&self) -> String {
        format!("{{apiGroups: [\"{}\"], resources: [{}], verbs: [list, watch]}}", self.group, self.name)
    }
}
