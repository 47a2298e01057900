//! Policies of every kind, as they are evaluated.

use std::fmt;

use ipnet::IpNet;

use super::{ObjectName, Selector, Text};

/// Protocols that a policy's port can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// As events and commands write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kinds of policy that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKind {
    NetworkPolicy,
    AdminNetworkPolicy,
    BaselineAdminNetworkPolicy,
    /// policy.networking.k8s.io/v1alpha2, in the place of the two before.
    ClusterNetworkPolicy,
    CiliumNetworkPolicy,
    CiliumClusterwideNetworkPolicy,
    /// projectcalico.org and crd.projectcalico.org.
    CalicoNetworkPolicy,
    CalicoGlobalNetworkPolicy,
}

impl PolicyKind {
    /// The `kind` of its objects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetworkPolicy | Self::CalicoNetworkPolicy => "NetworkPolicy",
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::CiliumNetworkPolicy => "CiliumNetworkPolicy",
            Self::CiliumClusterwideNetworkPolicy => "CiliumClusterwideNetworkPolicy",
            Self::CalicoGlobalNetworkPolicy => "GlobalNetworkPolicy",
        }
    }

    /// As `kubectl get` takes it, with its group where the plain name would mean another.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "networkpolicy",
            Self::AdminNetworkPolicy => "adminnetworkpolicy",
            Self::BaselineAdminNetworkPolicy => "baselineadminnetworkpolicy",
            Self::ClusterNetworkPolicy => "clusternetworkpolicy",
            Self::CiliumNetworkPolicy => "ciliumnetworkpolicy",
            Self::CiliumClusterwideNetworkPolicy => "ciliumclusterwidenetworkpolicy",
            Self::CalicoNetworkPolicy => "networkpolicies.crd.projectcalico.org",
            Self::CalicoGlobalNetworkPolicy => "globalnetworkpolicies.crd.projectcalico.org",
        }
    }
}

/// Tells one policy from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    pub kind: PolicyKind,
    pub id: ObjectName,
}

/// `NetworkPolicy shop/web`.
impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}

/// A policy of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    Network(NetworkPolicy),
    Tiered(TieredPolicy),
    Vendor(VendorPolicy),
}

impl Policy {
    pub fn id(&self) -> PolicyId {
        PolicyId { kind: self.kind(), id: self.name().clone() }
    }

    pub const fn kind(&self) -> PolicyKind {
        match self {
            Self::Network(_) => PolicyKind::NetworkPolicy,
            Self::Tiered(policy) => policy.kind,
            Self::Vendor(policy) => policy.kind,
        }
    }

    pub const fn name(&self) -> &ObjectName {
        match self {
            Self::Network(policy) => &policy.id,
            Self::Tiered(policy) => &policy.id,
            Self::Vendor(policy) => &policy.id,
        }
    }
}

/// networking.k8s.io/v1 NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicy {
    pub id: ObjectName,
    /// Which pods of its namespace it is about.
    pub pods: Selector,
    /// `None`: it says nothing about this direction (`policyTypes`, with the API's defaults applied); no rules: it allows nothing.
    pub ingress: Option<Box<[Rule]>>,
    pub egress: Option<Box<[Rule]>>,
}

/// One entry of `spec.ingress` or `spec.egress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Empty: everybody.
    pub peers: Box<[Peer]>,
    /// Empty: every port of every protocol.
    pub ports: Box<[PortMatch]>,
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Pods {
        /// `None`: the policy's own namespace.
        namespaces: Option<Selector>,
        /// `None`: all pods of these namespaces.
        pods: Option<Selector>,
    },
    Block {
        range: IpNet,
        except: Box<[IpNet]>,
    },
}

/// One entry of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortMatch {
    pub protocol: Protocol,
    pub range: PortRange,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortRange {
    All,
    /// First and last, both included.
    Numbers(u16, u16),
    /// A container's port of the pod that is connected to.
    Name(Text),
}

/// AdminNetworkPolicy, BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1) or ClusterNetworkPolicy (v1alpha2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TieredPolicy {
    pub kind: PolicyKind,
    pub id: ObjectName,
    pub level: TierLevel,
    /// 0 to 1000, the lowest first; 0 for a baseline of v1alpha1, of which there is one.
    pub priority: u32,
    /// The subject: namespaces, and pods in them (`None`: all).
    pub namespaces: Selector,
    pub pods: Option<Selector>,
    pub ingress: Box<[TierRule]>,
    pub egress: Box<[TierRule]>,
    /// Fields that are not understood: what they would match can't be decided.
    pub unknown: Box<[Text]>,
}

/// Before or after the NetworkPolicies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierLevel {
    Admin,
    Baseline,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRule {
    pub name: Option<Text>,
    pub action: TierAction,
    pub peers: Box<[TierPeer]>,
    /// Empty: every port of every protocol.
    pub ports: Box<[PortMatch]>,
    /// What in it is not understood: the rule may match or not.
    pub unknown: Box<[Text]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TierAction {
    /// `Allow`, and `Accept` of v1alpha2.
    Allow,
    Deny,
    /// Leaves it to the NetworkPolicies.
    Pass,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierPeer {
    /// Pods of the namespaces; `None`: all of them.
    Pods {
        namespaces: Selector,
        pods: Option<Selector>,
    },
    Nodes(Selector),
    Networks(Box<[IpNet]>),
    /// Names that are resolved by the engine: not decided here.
    Domains(Box<[Text]>),
}

/// A policy of Cilium's or Calico's own kind, evaluated by [`crate::evaluate::vendor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorPolicy {
    pub kind: PolicyKind,
    pub id: ObjectName,
    /// As the API serves it: `spec` for Calico; for Cilium the list of `spec` and all `specs`.
    pub spec: serde_json::Value,
}
