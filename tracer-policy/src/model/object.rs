//! Pods, namespaces, Services, nodes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Labels, Protocol, Selector};

/// Text that several objects may share.
pub type Text = Arc<str>;

/// `namespace/name`; the namespace is empty for an object of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    pub namespace: Text,
    pub name: Text,
}

impl ObjectName {
    pub fn new(namespace: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub id: ObjectName,
    pub uid: Text,
    pub labels: Labels,
    /// Its own; those of its node for one with `hostNetwork`.
    pub addresses: Box<[IpAddr]>,
    pub node: Option<Text>,
    pub host_network: bool,
    /// Only ports with a name: others say nothing to a policy.
    pub ports: Box<[ContainerPort]>,
    pub workload: Option<Workload>,
    pub service_account: Option<Text>,
    /// It has ended (`Succeeded`, `Failed`): its addresses may be another's.
    pub is_finished: bool,
}

impl Pod {
    /// A running pod without addresses, labels or node, for its reader to fill.
    pub fn new(namespace: impl Into<Text>, name: impl Into<Text>, uid: impl Into<Text>) -> Self {
        Self {
            id: ObjectName::new(namespace, name),
            uid: uid.into(),
            labels: Labels::default(),
            addresses: Box::default(),
            node: None,
            host_network: false,
            ports: Box::default(),
            workload: None,
            service_account: None,
            is_finished: false,
        }
    }
}

/// A named port of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerPort {
    pub name: Text,
    pub number: u16,
    pub protocol: Protocol,
}

/// What made a pod: a Deployment (by its ReplicaSet), StatefulSet, DaemonSet, Job, …
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Workload {
    pub kind: Text,
    pub name: Text,
}

/// A namespace of the cluster. Its label `kubernetes.io/metadata.name` is its name, also if a file leaves it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub name: Text,
    pub labels: Labels,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub name: Text,
    pub labels: Labels,
    pub addresses: Box<[IpAddr]>,
    pub pod_ranges: Box<[IpNet]>,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: ObjectName,
    /// Cluster addresses, external addresses and those of its load balancer; none if it is headless.
    pub addresses: Box<[IpAddr]>,
    pub ports: Box<[ServicePort]>,
    /// `None`: its endpoints are set by somebody else.
    pub selector: Option<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    pub name: Option<Text>,
    pub number: u16,
    pub protocol: Protocol,
    pub target: TargetPort,
    pub node_port: Option<u16>,
}

/// The port of the pods behind a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetPort {
    Number(u16),
    Name(Text),
}

/// An EndpointSlice: some of the pods behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub id: ObjectName,
    pub service: Text,
    pub backends: Box<[Backend]>,
    /// Port name (empty for none), number, protocol.
    pub ports: Box<[(Text, u16, Protocol)]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    pub addresses: Box<[IpAddr]>,
    /// The pod's name, if it is one; in the slice's namespace.
    pub pod: Option<Text>,
    pub is_ready: bool,
}
