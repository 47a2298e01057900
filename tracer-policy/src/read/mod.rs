//! From the API's JSON, or from files, to the [`crate::model`].
//!
//! Rule: whoever reads an object says which: an error names the file, the object and the field, in one sentence. Fields that
//! mean nothing to names and policies are passed over; a field of a policy that is not understood is an error or kept as
//! unknown, never ignored.

mod cluster;
mod error;
mod file;
mod interner;
mod meta;
mod network;
mod pod;
mod port;
mod selector;
mod service;
pub(crate) mod shape;
mod template;
mod tier;
mod tier_rule;
mod vendor;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::Value;

use crate::World;
use crate::evaluate::vendor::unknown_fields;
use crate::model::{Namespace, Node, Pod, Policy, PolicyKind, Service, Slice};
use error::{Fault, quoted};

pub use cluster::{namespace, node};
pub use error::ReadError;
pub use file::{file, objects};
pub use interner::Interner;
pub use network::network_policy;
pub use pod::pod;
pub use service::{service, slice};

/// One object of the kinds that matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Pod(Pod),
    Namespace(Namespace),
    Node(Node),
    Service(Service),
    Slice(Slice),
    Policy(Arc<Policy>),
}

/// Where an object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A server, that has checked it: what is not known here is newer.
    Server,
    /// A file: what is not known is a mistake.
    File,
}

/// Reads one object of the API; `None` for a kind that means nothing here. Who reads many passes an interner, with
/// [`object_with`].
pub fn object(value: &Value) -> Result<Option<Object>, ReadError> {
    object_with(value, &mut Interner::default())
}

/// Reads one object of the API, with text that is shared with those before.
pub fn object_with(value: &Value, interner: &mut Interner) -> Result<Option<Object>, ReadError> {
    read(value, Source::Server, interner)
}

/// Reads one policy of the API, of a kind that is known from where it was asked for: objects in a list do not tell it.
pub fn policy(kind: PolicyKind, value: &Value, interner: &mut Interner) -> Result<Policy, ReadError> {
    read_policy(kind, value, Source::Server, interner)
}

fn read(value: &Value, source: Source, interner: &mut Interner) -> Result<Option<Object>, ReadError> {
    let of = |field| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (of("apiVersion"), of("kind"));
    // Objects in a list may come without: who reads them knows their kind.
    if version.is_empty() || kind.is_empty() {
        let field = if kind.is_empty() { "kind" } else { "apiVersion" };
        return Err(Fault::new(field, "is missing").of(meta::title("object", value)));
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Ok(Some(match (group, kind) {
        ("", "Pod") => Object::Pod(pod(value, interner)?),
        ("", "Namespace") => Object::Namespace(namespace(value, interner)?),
        ("", "Node") => Object::Node(node(value, interner)?),
        ("", "Service") => Object::Service(service(value, interner)?),
        ("discovery.k8s.io", "EndpointSlice") => return Ok(slice(value, interner)?.map(Object::Slice)),
        ("extensions", "NetworkPolicy") => {
            let problem = format!("{} was served until Kubernetes 1.15: write networking.k8s.io/v1", quoted(version));
            return Err(Fault::new("apiVersion", problem).of(meta::title(kind, value)));
        }
        _ => match policy_kind(group, kind) {
            Some(kind) => Object::Policy(Arc::new(read_policy(kind, value, source, interner)?)),
            None => return Ok(None),
        },
    }))
}

/// The kind of policy that an API group's kind is; `None` for other kinds, and for those that are never enforced.
fn policy_kind(group: &str, kind: &str) -> Option<PolicyKind> {
    Some(match (group, kind) {
        ("networking.k8s.io", "NetworkPolicy") => PolicyKind::NetworkPolicy,
        ("policy.networking.k8s.io", "AdminNetworkPolicy") => PolicyKind::AdminNetworkPolicy,
        ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy") => PolicyKind::BaselineAdminNetworkPolicy,
        ("policy.networking.k8s.io", "ClusterNetworkPolicy") => PolicyKind::ClusterNetworkPolicy,
        ("cilium.io", "CiliumNetworkPolicy") => PolicyKind::CiliumNetworkPolicy,
        ("cilium.io", "CiliumClusterwideNetworkPolicy") => PolicyKind::CiliumClusterwideNetworkPolicy,
        ("projectcalico.org" | "crd.projectcalico.org", "NetworkPolicy") => PolicyKind::CalicoNetworkPolicy,
        ("projectcalico.org" | "crd.projectcalico.org", "GlobalNetworkPolicy") => PolicyKind::CalicoGlobalNetworkPolicy,
        _ => return None,
    })
}

fn read_policy(kind: PolicyKind, value: &Value, source: Source, interner: &mut Interner) -> Result<Policy, ReadError> {
    let (policy, unknown) = match kind {
        PolicyKind::NetworkPolicy => (Policy::Network(network_policy(value, interner)?), None),
        PolicyKind::AdminNetworkPolicy | PolicyKind::BaselineAdminNetworkPolicy | PolicyKind::ClusterNetworkPolicy => {
            let policy = tier::tiered(kind, value, interner)?;
            let unknown = tier::first_unknown(&policy);
            (Policy::Tiered(policy), unknown)
        }
        _ => {
            let policy = vendor::vendor(kind, value, interner)?;
            let unknown = unknown_fields(&policy).into_iter().next();
            (Policy::Vendor(policy), unknown)
        }
    };
    match unknown.filter(|_| source == Source::File) {
        Some(field) => Err(Fault::new(field, "is not known").of(meta::title(kind.as_str(), value))),
        None => Ok(policy),
    }
}

fn address(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| Fault::new("", format!("{} is no address", quoted(text))))
}

fn block(text: &str) -> Result<IpNet, Fault> {
    let wrong = || Fault::new("", format!("{} is no block of addresses such as 10.0.0.0/8", quoted(text)));
    text.parse().map_err(|_| wrong())
}

/// Text that is not empty: the API leaves out what is.
fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl World {
    /// Adds what was read, in place of the object with the same name.
    pub fn add(&mut self, object: Object) {
        match object {
            Object::Pod(pod) => self.set_pod(Arc::new(pod)),
            Object::Namespace(namespace) => self.set_namespace(namespace),
            Object::Node(node) => self.set_node(node),
            Object::Service(service) => self.set_service(Arc::new(service)),
            Object::Slice(slice) => self.set_slice(Arc::new(slice)),
            Object::Policy(policy) => self.set_policy(policy),
        }
    }
}
