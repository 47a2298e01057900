//! What keeps a rule from allowing a connection, and how that is said.
//!
//! Rule: one plain sentence with the values of both sides, as the one who wrote the policy sees it.

use std::net::IpAddr;

use super::Direction;
use crate::model::{Protocol, Text};

/// What keeps a rule from allowing a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The policy has no rule at all for the direction.
    NoRule,
    /// A label of the peer's pod is absent or has another value (`found`). `wanted` is the whole condition, as
    /// [`crate::model::Requirement`] is shown: `app=client`, `app in (a,b)`, `!app`.
    PodLabel { key: Text, wanted: String, found: Option<Text> },
    /// The same of its namespace.
    NamespaceLabel { key: Text, wanted: String, found: Option<Text> },
    /// A peer without `namespaceSelector` means pods of the policy's own namespace.
    OtherNamespace { own: Text, found: Text },
    /// The peer's address lies in no block of the rule (`wanted`: all of them), or in an exception.
    Address { address: IpAddr, wanted: String },
    /// The peer is no pod of the pod network, and the rule's peers are pods.
    NotAPod { address: IpAddr },
    /// The rule has another port or protocol. `wanted`: `5432`, `80-90`, `http (8080)`, `53/udp`, `udp`, joined by commas; the
    /// protocol is told where it is not the connection's.
    Port { wanted: String, found: u16, protocol: Protocol },
    /// The named port is not one of the pod that is connected to.
    PortName { name: Text },
}

impl Mismatch {
    /// A sentence without a full stop; the peer is the client of an ingress rule, the server of an egress rule.
    pub fn describe(&self, direction: Direction) -> String {
        let peer = match direction {
            Direction::Ingress => "client",
            Direction::Egress => "server",
        };
        match self {
            Self::NoRule => format!("the policy has no {} rule", direction.as_str()),
            Self::PodLabel { wanted, found: None, .. } => format!("the {peer} lacks the label {wanted}"),
            Self::PodLabel { key, wanted, found: Some(found) } => {
                format!("the {peer}'s label {key} is \"{found}\", the rule wants {wanted}")
            }
            Self::NamespaceLabel { wanted, found: None, .. } => {
                format!("the {peer}'s namespace lacks the label {wanted}")
            }
            Self::NamespaceLabel { key, wanted, found: Some(found) } => {
                format!("the label {key} of the {peer}'s namespace is \"{found}\", the rule wants {wanted}")
            }
            Self::OtherNamespace { own, found } => {
                format!("the policy means pods of its own namespace {own}, the {peer} is in {found}")
            }
            Self::Address { address, wanted } => format!("{address} is in no allowed range ({wanted})"),
            Self::NotAPod { address } => {
                format!("the rule allows pods only, and the {peer} {address} is not a pod of the pod network")
            }
            Self::Port { wanted, found, protocol } => port(wanted, *found, *protocol),
            Self::PortName { name } => format!("the server has no port named {name}"),
        }
    }

    /// How much of a change it would be: less is the likelier slip.
    pub(super) const fn weight(&self) -> u32 {
        match self {
            Self::PodLabel { .. } => 1,
            Self::Port { .. } | Self::PortName { .. } => 2,
            Self::NamespaceLabel { .. } => 3,
            Self::OtherNamespace { .. } => 4,
            Self::Address { .. } => 5,
            Self::NotAPod { .. } => 6,
            Self::NoRule => 7,
        }
    }
}

/// The protocol is told where the wanted one is another.
fn port(wanted: &str, found: u16, protocol: Protocol) -> String {
    if Protocol::parse(wanted).is_some() {
        return format!("{wanted} is allowed, {protocol} was used");
    }
    let used = if wanted.contains('/') { format!("{found}/{protocol}") } else { found.to_string() };
    // A name may hold a dash too: `http-alt (8080)`.
    let is_range = || wanted.contains('-') && wanted.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if wanted.contains(", ") || is_range() {
        format!("the ports {wanted} are allowed, {used} was used")
    } else {
        format!("port {wanted} is allowed, {used} was used")
    }
}
