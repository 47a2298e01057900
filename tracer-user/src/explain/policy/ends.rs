//! The connection that a packet belongs to, and who its ends are.
//!
//! Rule: policies are about who opens a connection and what it reaches after the translation of a Service's address. Where that can't
//! be told for sure there is no connection to ask about.

use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::evaluate::End;
use tracer_policy::model::{Pod, Protocol, Text};

use crate::event::{ConntrackState, ConntrackTuple, Drop, Endpoint, Flow, Outcome, Packet};
use crate::kubernetes::{Holder, Index, Span};

/// First port of the range from which Linux clients take theirs (`net.ipv4.ip_local_port_range`).
const FIRST_OF_CLIENTS: u16 = 32_768;

/// Who opened what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opener {
    pub(super) client: IpAddr,
    /// After translation.
    pub(super) server: IpAddr,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

/// Who has an address.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Pod(Arc<Pod>, IpAddr),
    Node(Text, IpAddr),
    Outside(IpAddr),
}

impl Held {
    pub(super) fn pod(&self) -> Option<&Pod> {
        match self {
            Self::Pod(pod, _) => Some(pod),
            Self::Node(..) | Self::Outside(_) => None,
        }
    }

    pub(super) fn end(&self) -> End<'_> {
        match self {
            Self::Pod(pod, address) => End::Pod(pod, *address),
            Self::Node(name, address) => End::Node(Some(name), *address),
            Self::Outside(address) => End::Outside(*address),
        }
    }
}

/// `None`: it is not known whose it is, or it is a Service's, behind which anybody may be.
pub(super) fn held(address: IpAddr, index: &Index, span: Span) -> Option<Held> {
    let world = index.world();
    match index.pod_at(address, span) {
        Holder::Pod(pod) => return Some(Held::Pod(pod, address)),
        Holder::Contested(_) => return None,
        Holder::Nobody => {}
    }
    if let Some(node) = world.node_at(address) {
        return Some(Held::Node(Arc::clone(&node.name), address));
    }
    // A pod that is not known yet, or of another node where only those of this one are read.
    let is_of_pods = || world.nodes().any(|node| node.pod_ranges.iter().any(|range| range.contains(&address)));
    if world.services_at(address).next().is_some() || is_of_pods() {
        return None;
    }
    Some(Held::Outside(address))
}

/// The connection of a dropped packet.
pub(super) fn of_drop(drop: &Drop) -> Option<Opener> {
    let packet = &drop.packet;
    let protocol = Protocol::parse(&packet.protocol)?;
    if let Some((original, reply)) = tuples(drop) {
        let (client, server, port) = (original.source.address, reply.source.address, reply.source.port?);
        return Some(Opener { client, server, protocol, port });
    }
    let is_new = drop.conntrack.as_ref().is_some_and(|conntrack| conntrack.state == ConntrackState::New);
    let (client, server) = if is_new || is_of_client(packet)? {
        (&packet.source, &packet.destination)
    } else {
        (&packet.destination, &packet.source)
    };
    Some(Opener { client: client.address?, server: server.address?, protocol, port: server.port? })
}

/// Both directions, if the packet is one of the connection: an ICMP error about it is not.
fn tuples(drop: &Drop) -> Option<(&ConntrackTuple, &ConntrackTuple)> {
    let conntrack = drop.conntrack.as_ref()?;
    let tuples = conntrack.original.as_ref().zip(conntrack.reply.as_ref())?;
    (tuples.0.protocol == drop.packet.protocol).then_some(tuples)
}

/// Whether the packet goes from the client to the server; `None` if that can't be told by it.
fn is_of_client(packet: &Packet) -> Option<bool> {
    if let Some(flags) = packet.tcp_flags.as_deref().filter(|flags| flags.contains('S')) {
        return Some(!flags.contains('A'));
    }
    match (packet.source.port?, packet.destination.port?) {
        (FIRST_OF_CLIENTS.., 1..FIRST_OF_CLIENTS) => Some(true),
        (1..FIRST_OF_CLIENTS, FIRST_OF_CLIENTS..) => Some(false),
        _ => None,
    }
}

/// The connection of an attempt that nobody answered. One whose source was translated reaches its server as somebody else's.
pub(super) fn of_flow(flow: &Flow) -> Option<Opener> {
    if flow.outcome != Outcome::NoAnswer {
        return None;
    }
    let (source, destination): (&Endpoint, &Endpoint) = match &flow.translated {
        Some(translated) => (&translated.source, &translated.destination),
        None => (&flow.source, &flow.destination),
    };
    if source.address != flow.source.address {
        return None;
    }
    let protocol = Protocol::parse(&flow.protocol)?;
    Some(Opener { client: source.address?, server: destination.address?, protocol, port: destination.port? })
}
