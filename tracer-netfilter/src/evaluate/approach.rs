//! The packet as a base chain sees it: before and behind connection tracking and address translation.
//!
//! Rule: an event shows the packet as it was dropped. What the chains before saw is told by the connection's addresses; of
//! a packet that was not seen, an address that a rule may change is cut away, so that nothing can depend on it.

use std::net::IpAddr;
use std::rc::Rc;

use super::action::{Target, Translation};
use super::stops::{CONNTRACK, Stop, is_loopback, nat_priority};
use crate::model::{ChainKind, Hook, NatKind};
use crate::packet::{Connection, ConnectionState, Known, Mark, Packet, Tuple};
use crate::walk::{Layer, Question};

/// `IPS_SRC_NAT`, `IPS_DST_NAT` and the `DONE` bits of both.
const TRANSLATED: u32 = 0x10 | 0x20 | 0x80 | 0x100;

/// An address with its port.
type End = (IpAddr, u16);

/// A packet on its way past the base chains of a hook.
pub(super) struct Approach {
    /// As the chains from here on see it.
    packet: Rc<Packet>,
    /// As the chains up to address translation saw it, where that is another one.
    before: Option<Rc<Packet>>,
    /// The packet was seen behind the translation; `None` if there is none.
    is_behind: Option<bool>,
    hook: Hook,
    layer: Layer,
}

impl Approach {
    pub(super) fn new(question: &Question<'_>) -> Self {
        let packet = Rc::new(question.packet.clone());
        let mut approach = Self { packet, before: None, is_behind: None, hook: question.hook, layer: question.layer };
        if let (Mark::After(_), Layer::Ip, Known::Is(connection)) =
            (question.packet.mark, question.layer, &question.packet.connection)
        {
            approach.look_back(connection);
        }
        approach
    }

    fn look_back(&mut self, connection: &Connection) {
        let (Some(original), Some(reply)) = (connection.original, connection.reply) else { return };
        let (this, other) = if connection.is_reply { (reply, original) } else { (original, reply) };
        let Some(kind) = kind(self.hook) else { return };
        let (was, is, seen) = match kind {
            NatKind::Destination => {
                ((this.destination, this.destination_port), source(&other), self.packet.destination)
            }
            NatKind::Source => (source(&this), (other.destination, other.destination_port), self.packet.source),
        };
        if was == is {
            return;
        }
        let is_behind = seen == Some(is.0) && (was.0 != is.0 || self.port(kind) == Some(is.1));
        self.is_behind = Some(is_behind);
        if is_behind {
            let mut before = rewritten(&self.packet, kind, was);
            if connection.state == ConnectionState::New {
                before.connection = Known::Is(untranslated(connection, original));
            }
            self.before = Some(Rc::new(before));
        }
    }

    fn port(&self, kind: NatKind) -> Option<u16> {
        match kind {
            NatKind::Destination => self.packet.destination_port,
            NatKind::Source => self.packet.source_port,
        }
    }

    /// The packet as it is by now.
    pub(super) fn packet(&self) -> Packet {
        Packet::clone(&self.packet)
    }

    /// What comes to a base chain.
    pub(super) fn at(&self, stop: &Stop) -> Rc<Packet> {
        let packet = if self.is_before(stop) { self.before.as_ref().unwrap_or(&self.packet) } else { &self.packet };
        let is_early = self.layer == Layer::Ip
            && stop.priority < CONNTRACK
            && (self.hook == Hook::Output || self.hook == Hook::Prerouting && !is_loopback(&packet.input));
        if !is_early || packet.connection == Known::Absent {
            return Rc::clone(packet);
        }
        Rc::new(Packet { connection: Known::Absent, ..Packet::clone(packet) })
    }

    /// Whether the packet can have been dropped there, by the addresses it was seen with.
    pub(super) fn can_end_at(&self, stop: &Stop) -> bool {
        self.is_behind.is_none_or(|is_behind| is_behind != self.is_before(stop))
    }

    fn is_before(&self, stop: &Stop) -> bool {
        nat_priority(self.hook).is_some_and(|nat| stop.priority < nat || stop.kind == ChainKind::Nat)
    }

    /// A rule translates a packet that was not seen; `false` if what it becomes is not known.
    pub(super) fn translate(&mut self, translation: &Translation, sure: bool) -> bool {
        let now = match translation.kind {
            NatKind::Destination => (self.packet.destination, self.packet.destination_port),
            NatKind::Source => (self.packet.source, self.packet.source_port),
        };
        let becomes = match (becomes(translation.address, now.0), becomes(translation.port, now.1)) {
            (Some(address), Some(port)) if sure => Some((address, port)),
            // A packet without ports.
            (Some(address), None) if sure && translation.port == Target::Stays => Some((address, 0)),
            _ => None,
        };
        // The port that a source gets is what is free.
        let becomes = becomes.filter(|_| translation.kind == NatKind::Destination);
        self.packet = Rc::new(match becomes {
            Some(end) => rewritten(&self.packet, translation.kind, end),
            None => cut(&self.packet, translation.kind),
        });
        becomes.is_some()
    }
}

fn becomes<T>(target: Target<T>, now: Option<T>) -> Option<T> {
    match target {
        Target::Stays => now,
        Target::Becomes(value) => Some(value),
        Target::Unknown => None,
    }
}

const fn source(tuple: &Tuple) -> End {
    (tuple.source, tuple.source_port)
}

/// What is translated at a hook.
const fn kind(hook: Hook) -> Option<NatKind> {
    match hook {
        Hook::Prerouting | Hook::Output => Some(NatKind::Destination),
        Hook::Input | Hook::Postrouting => Some(NatKind::Source),
        Hook::Forward | Hook::Ingress | Hook::Egress => None,
    }
}

/// The connection as it was before its first packet was translated.
fn untranslated(connection: &Connection, original: Tuple) -> Connection {
    let reply = Tuple {
        source: original.destination,
        destination: original.source,
        source_port: original.destination_port,
        destination_port: original.source_port,
        protocol: original.protocol,
    };
    let status = connection.status.map(|status| status & !TRANSLATED);
    Connection { reply: Some(reply), status, ..connection.clone() }
}

/// Where an address stands behind the network header.
const fn address_at(kind: NatKind, is_ipv6: bool) -> usize {
    match (kind, is_ipv6) {
        (NatKind::Source, false) => 12,
        (NatKind::Destination, false) => 16,
        (NatKind::Source, true) => 8,
        (NatKind::Destination, true) => 24,
    }
}

const fn has_ports(protocol: Option<u8>) -> bool {
    matches!(protocol, Some(6 | 17 | 33 | 132 | 136))
}

/// The packet with another end.
fn rewritten(packet: &Packet, kind: NatKind, (address, port): End) -> Packet {
    let mut packet = packet.clone();
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    put(&mut packet.bytes, packet.network, address_at(kind, address.is_ipv6()), &octets);
    if has_ports(packet.protocol) {
        let at = if kind == NatKind::Source { 0 } else { 2 };
        put(&mut packet.bytes, packet.transport, at, &port.to_be_bytes());
        match kind {
            NatKind::Source => packet.source_port = Some(port),
            NatKind::Destination => packet.destination_port = Some(port),
        }
    }
    match kind {
        NatKind::Source => packet.source = Some(address),
        NatKind::Destination => packet.destination = Some(address),
    }
    packet
}

fn put(bytes: &mut [u8], header: Option<usize>, offset: usize, value: &[u8]) {
    let Some(start) = header.and_then(|header| header.checked_add(offset)) else { return };
    for (to, from) in bytes.iter_mut().skip(start).zip(value) {
        *to = *from;
    }
}

/// The packet without the end that may have become another: its bytes are cut off in front of the address.
fn cut(packet: &Packet, kind: NatKind) -> Packet {
    let mut packet = packet.clone();
    if let Some(network) = packet.network {
        packet.bytes.truncate(network.saturating_add(address_at(kind, packet.is_ipv6())));
    }
    packet.transport = None;
    match kind {
        NatKind::Source => (packet.source, packet.source_port) = (None, None),
        NatKind::Destination => (packet.destination, packet.destination_port) = (None, None),
    }
    packet
}
