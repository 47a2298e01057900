//! From a dropped packet to what rules are asked about it.
//!
//! Rule: which devices a rule saw depends on the hook (the `state->in` and `state->out` of `NF_HOOK` there, 6.18), not
//! on where the packet stood when it was freed.

use tracer_common::{ENTRY, FLAG_OWNER, HEAD_LENGTH, HEAD_MAC, HEAD_NETWORK};
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Mark, Socket, Tuple};
use tracer_netfilter::walk::Layer;
use tracer_netfilter::{Hook, Packet};

use crate::decode::{self, Dropped, protocol};

/// The devices that a packet came by and was to leave by, as the event has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// `skb->dev` when it was freed.
    pub on: Device,
    /// `skb->skb_iif`: 0 for a packet from here.
    pub in_index: u32,
    /// The device of its route; index 0 if it has none yet.
    pub out: Device,
}

/// The packet as the rules of `hook` saw it; `None` if the event holds no header of it.
pub fn packet(dropped: &Dropped, ends: &Ends, hook: Hook, layer: Layer) -> Option<Packet> {
    let event = &dropped.event;
    let length = usize::from(event.head_length).min(HEAD_LENGTH);
    let head = event.head.get(..length)?;
    let mut packet = match event.head_kind {
        HEAD_MAC => Packet::from_frame(event.ethertype, head),
        HEAD_NETWORK => Packet::from_network(event.ethertype, head),
        _ => return None,
    };
    packet.network?;
    packet.length = Some(event.length);
    packet.mark = Mark::After(event.mark);
    packet.packet_type = Some(event.packet_type);
    packet.cpu = Some(event.cpu);
    packet.vlan = packet.vlan.or((event.vlan != 0).then_some(event.vlan));
    packet.connection = Known::Is(connection(dropped));
    packet.socket = socket(dropped, hook);
    devices(&mut packet, ends, hook, layer);
    let port = |index| match index {
        0 => Known::Absent,
        index => Known::Is(Device { index, ..Device::default() }),
    };
    packet.bridge_input = port(event.bridge_in_ifindex);
    packet.bridge_output = port(event.bridge_out_ifindex);
    Some(packet)
}

fn connection(dropped: &Dropped) -> Connection {
    let (state, is_reply) = state(dropped.event.conntrack);
    let read = dropped.connection();
    Connection {
        state,
        is_reply,
        mark: read.as_ref().map(|read| read.mark),
        status: read.as_ref().map(|read| read.status),
        original: read.as_ref().map(|read| tuple(&read.original)),
        reply: read.as_ref().map(|read| tuple(&read.reply)),
    }
}

fn tuple(read: &decode::Tuple) -> Tuple {
    // Of ICMP the kernel keeps the id as one port, and type and code as the other.
    let is_icmp = matches!(read.protocol, protocol::ICMP | protocol::ICMPV6);
    let destination_port = if is_icmp { read.source_port } else { read.destination_port };
    Tuple {
        source: read.source,
        destination: read.destination,
        source_port: read.source_port,
        destination_port,
        protocol: read.protocol,
    }
}

/// `enum ip_conntrack_info` in the low three bits (`include/uapi/linux/netfilter/nf_conntrack_common.h`); a packet
/// without entry is what rules call invalid.
const fn state(bits: u32) -> (ConnectionState, bool) {
    match (bits & 7, bits & ENTRY != 0) {
        (7, _) => (ConnectionState::Untracked, false),
        (0, true) => (ConnectionState::Established, false),
        (1, true) => (ConnectionState::Related, false),
        (2, true) => (ConnectionState::New, false),
        (3, true) => (ConnectionState::Established, true),
        (4, true) => (ConnectionState::Related, true),
        _ => (ConnectionState::Invalid, false),
    }
}

/// Only a packet that is sent from here has an owner that rules ask about.
fn socket(dropped: &Dropped, hook: Hook) -> Known<Socket> {
    let event = &dropped.event;
    let is_owned = event.flags & FLAG_OWNER != 0;
    let cgroup = (event.cgroup != 0).then_some(event.cgroup);
    match hook {
        Hook::Forward => Known::Absent,
        Hook::Output | Hook::Postrouting if event.in_ifindex != 0 => Known::Absent,
        _ if is_owned || cgroup.is_some() => {
            Known::Is(Socket { user: is_owned.then_some(event.uid), group: is_owned.then_some(event.gid), cgroup })
        }
        _ => Known::Unknown,
    }
}

fn devices(packet: &mut Packet, ends: &Ends, hook: Hook, layer: Layer) {
    let by_index = |index| match index {
        0 => Known::Unknown,
        index => Known::Is(Device { index, ..Device::default() }),
    };
    let known = |device: &Device| if device.index == 0 { Known::Unknown } else { Known::Is(device.clone()) };
    let (on, out) = (known(&ends.on), known(&ends.out));
    let came_by = || if ends.in_index == 0 { Known::Absent } else { by_index(ends.in_index) };
    (packet.input, packet.output) = match (layer, hook) {
        (Layer::Bridge, Hook::Forward) | (_, Hook::Postrouting) => (came_by(), on),
        (Layer::Bridge, Hook::Input) => (came_by(), Known::Absent),
        (_, Hook::Prerouting | Hook::Input | Hook::Ingress) => (on, Known::Absent),
        (_, Hook::Output | Hook::Egress) if ends.on.index != 0 => (Known::Absent, on),
        (_, Hook::Output) => (Known::Absent, out),
        (_, Hook::Forward) => (on, out),
        _ => (Known::Unknown, Known::Unknown),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_without_entry_is_invalid_and_answers_are_told_apart() {
        assert_eq!(state(0), (ConnectionState::Invalid, false));
        assert_eq!(state(7), (ConnectionState::Untracked, false));
        assert_eq!(state(ENTRY), (ConnectionState::Established, false));
        assert_eq!(state(ENTRY + 2), (ConnectionState::New, false));
        assert_eq!(state(ENTRY + 3), (ConnectionState::Established, true));
        assert_eq!(state(ENTRY + 4), (ConnectionState::Related, true));
    }
}
