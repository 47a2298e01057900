//! A connection, seen from the pod that is selected.

use std::net::IpAddr;

use crate::World;
use crate::evaluate::{Connection, Direction, End};
use crate::model::Pod;

use super::truth::{Found, Truth};

/// Who is at an end, to an engine: a pod in the network of its node is its node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Party<'a> {
    Pod(&'a Pod),
    /// Its name, where it is known.
    Node(Option<&'a str>),
    Outside,
}

impl<'a> Party<'a> {
    fn of(end: &End<'a>) -> Self {
        match *end {
            End::Pod(pod, _) if pod.host_network => Self::Node(pod.node.as_deref()),
            End::Pod(pod, _) => Self::Pod(pod),
            End::Node(name, _) => Self::Node(name),
            End::Outside(_) => Self::Outside,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) world: &'a World,
    pub(super) connection: &'a Connection<'a>,
    pub(super) direction: Direction,
    /// The pod whose policies are asked.
    pub(super) subject: &'a Pod,
    /// The other end.
    pub(super) peer: Party<'a>,
    pub(super) address: IpAddr,
}

impl<'a> Question<'a> {
    /// None if the end is no pod of the pod network.
    pub(super) fn new(world: &'a World, connection: &'a Connection<'a>, direction: Direction) -> Option<Self> {
        let (own, other) = match direction {
            Direction::Egress => (&connection.source, &connection.destination),
            Direction::Ingress => (&connection.destination, &connection.source),
        };
        let Party::Pod(subject) = Party::of(own) else { return None };
        let (peer, address) = (Party::of(other), other.address());
        Some(Self { world, connection, direction, subject, peer, address })
    }

    pub(super) fn source(&self) -> (Party<'a>, IpAddr) {
        (Party::of(&self.connection.source), self.connection.source.address())
    }

    pub(super) fn destination(&self) -> (Party<'a>, IpAddr) {
        (Party::of(&self.connection.destination), self.connection.destination.address())
    }

    /// Whether the port that is connected to has this name in its pod.
    pub(super) fn is_port_named(&self, name: &str) -> Truth {
        let (number, protocol) = (self.connection.port, self.connection.protocol);
        let ports = self.connection.destination.pod().map_or(&[][..], |pod| &pod.ports);
        Truth::of(ports.iter().any(|port| *port.name == *name && port.number == number && port.protocol == protocol))
    }

    /// A label of a pod's namespace.
    pub(super) fn namespace_label(&self, pod: &Pod, key: &str) -> Found<'a> {
        match self.world.namespace(&pod.id.namespace) {
            Some(namespace) => namespace.labels.get(key).into(),
            None => Found::Unknown(format!("the labels of the namespace {} are not known", pod.id.namespace)),
        }
    }
}
