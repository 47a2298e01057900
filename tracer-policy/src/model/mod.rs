//! Kubernetes objects, as far as names and policies need them.
//!
//! Rule: small, because a node may have to remember a whole cluster's pods: text that many objects share is one allocation, and
//! what nobody asks for is not kept.

mod labels;
mod object;
mod policy;
mod selector;

pub use labels::Labels;
pub use object::{
    Backend, ContainerPort, Namespace, Node, ObjectName, Pod, Service, ServicePort, Slice, TargetPort, Text, Workload,
};
pub use policy::{
    NetworkPolicy, Peer, Policy, PolicyId, PolicyKind, PortMatch, PortRange, Protocol, Rule, TierAction, TierLevel,
    TierPeer, TierRule, TieredPolicy, VendorPolicy,
};
pub use selector::{Operator, Requirement, Selector};
