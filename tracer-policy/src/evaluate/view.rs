//! A connection as the policies of one of its pods see it.
//!
//! Rule: facts about the ends are settled here, once: a pod in its node's network is its node, an IPv4 address written as IPv6
//! is that IPv4 address, and an address that is a node's is that node.

use std::net::IpAddr;

use super::fit::{self, Fit};
use super::{Connection, Direction, End};
use crate::World;
use crate::model::{NetworkPolicy, Peer, Pod, PortMatch, PortRange, Protocol, Rule};

/// The far end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Far<'a> {
    /// Of the pod network.
    Pod(&'a Pod),
    /// By name, where it is known; also a pod with `hostNetwork`.
    Node(Option<&'a str>),
    Outside,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) direction: Direction,
    /// The pod whose policies are asked.
    pub(super) pod: &'a Pod,
    pub(super) far: Far<'a>,
    /// Of the far end.
    pub(super) address: IpAddr,
    /// The pod that is connected to: its ports are the named ones, in both directions.
    pub(super) server: Option<&'a Pod>,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

impl<'a> View<'a> {
    /// `None`: the near end is no pod of the pod network.
    pub(super) fn new(world: &'a World, connection: &Connection<'a>, direction: Direction) -> Option<Self> {
        let (near, far) = match direction {
            Direction::Egress => (connection.source, connection.destination),
            Direction::Ingress => (connection.destination, connection.source),
        };
        let pod = near.pod().filter(|pod| !pod.host_network)?;
        let address = far.address().to_canonical();
        let node_at = || world.node_at(address).map(|node| &*node.name);
        let far = match far {
            End::Pod(pod, _) if pod.host_network => Far::Node(pod.node.as_deref().or_else(node_at)),
            End::Pod(pod, _) => Far::Pod(pod),
            End::Node(name, _) => Far::Node(name.or_else(node_at)),
            End::Outside(_) => node_at().map_or(Far::Outside, |name| Far::Node(Some(name))),
        };
        let server = connection.destination.pod().filter(|pod| !pod.host_network);
        let (protocol, port) = (connection.protocol, connection.port);
        Some(Self { world, direction, pod, far, address, server, protocol, port })
    }

    /// Both ends are one pod.
    pub(super) fn is_itself(&self) -> bool {
        matches!(self.far, Far::Pod(far) if far.id == self.pod.id)
    }

    /// The far end is the node that the pod runs on, or a process or `hostNetwork` pod there. A node may have addresses that its
    /// object does not list; the one of its bridge lies in its pods' range.
    pub(super) fn is_own_node(&self) -> Fit {
        let Far::Node(name) = self.far else { return Fit::No };
        let Some(own) = self.pod.node.as_deref() else { return Fit::Maybe };
        if let Some(name) = name {
            return (name == own).into();
        }
        let mut ranges = self.world.node(own).into_iter().flat_map(|node| &node.pod_ranges);
        if ranges.any(|range| range.contains(&self.address)) { Fit::Yes } else { Fit::Maybe }
    }

    /// Whether a rule of a NetworkPolicy allows the connection.
    pub(super) fn rule_fits(&self, policy: &NetworkPolicy, rule: &Rule) -> Fit {
        if !self.ports_fit(&rule.ports) {
            return Fit::No;
        }
        if rule.peers.is_empty() {
            return Fit::Yes;
        }
        Fit::any(rule.peers.iter().map(|peer| self.peer_fits(policy, peer)))
    }

    /// Whether a peer of a NetworkPolicy is the far end.
    ///
    /// That an `ipBlock` is about the addresses of pods too is left to each engine by the API; here it is, as in Calico, OVN,
    /// Antrea and kube-router (Cilium is the exception: its ranges mean what is outside of the cluster).
    pub(super) fn peer_fits(&self, policy: &NetworkPolicy, peer: &Peer) -> Fit {
        match peer {
            Peer::Block { range, except } => {
                let is_excepted = || except.iter().any(|except| except.contains(&self.address));
                (range.contains(&self.address) && !is_excepted()).into()
            }
            Peer::Pods { namespaces, pods } => {
                let Far::Pod(far) = self.far else { return Fit::No };
                if pods.as_ref().is_some_and(|pods| !pods.matches(&far.labels)) {
                    return Fit::No;
                }
                match namespaces {
                    None => (far.id.namespace == policy.id.namespace).into(),
                    Some(namespaces) => fit::namespace(self.world, namespaces, &far.id.namespace),
                }
            }
        }
    }

    /// Whether the port that is connected to is one of these; an empty list means every port.
    pub(super) fn ports_fit(&self, ports: &[PortMatch]) -> bool {
        ports.is_empty() || ports.iter().any(|port| port.protocol == self.protocol && self.port_fits(&port.range))
    }

    fn port_fits(&self, range: &PortRange) -> bool {
        match range {
            PortRange::All => true,
            PortRange::Numbers(first, last) => (*first..=*last).contains(&self.port),
            PortRange::Name(name) => self.numbers_of(name, self.protocol).any(|number| number == self.port),
        }
    }

    /// The numbers that a named port has in the pod that is connected to; only a pod of the pod network has named ports.
    pub(super) fn numbers_of(&self, name: &'a str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let ports = self.server.into_iter().flat_map(|pod| &pod.ports);
        ports.filter(move |port| *port.name == *name && port.protocol == protocol).map(|port| port.number)
    }
}
