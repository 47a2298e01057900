//! From a dropped packet to what rules are asked about it.
//!
//! Rule: which devices a rule saw depends on the hook (the `state->in` and `state->out` of `NF_HOOK` there, 6.18), not
//! on where the packet stood when it was freed.

use tracer_common::{HEAD_LENGTH, HEAD_MAC, HEAD_NETWORK};
use tracer_netfilter::Packet;
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Mark, Socket};
use tracer_netfilter::walk::Layer;

use crate::decode::Dropped;
use crate::event::Hook;

/// `PACKET_OUTGOING` and the like are `skb->pkt_type` of `include/uapi/linux/if_packet.h`.
const CONNTRACK_ENTRY: u32 = 8;

/// The devices that a packet came by and was to leave by, as the event has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// `skb->dev` when it was freed.
    pub on: Device,
    /// `skb->skb_iif`: 0 for a packet from here.
    pub in_index: u32,
    /// The device of its route, 0 if it has none yet.
    pub out_index: u32,
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
    packet.connection = Known::Is(connection(event.conntrack));
    packet.socket = socket(dropped, hook);
    devices(&mut packet, ends, hook, layer);
    Some(packet)
}

/// `enum ip_conntrack_info` in the low three bits (`include/uapi/linux/netfilter/nf_conntrack_common.h`); a packet
/// without entry is what rules call invalid.
fn connection(bits: u32) -> Connection {
    let (state, is_reply) = match (bits & 7, bits & CONNTRACK_ENTRY != 0) {
        (7, _) => (ConnectionState::Untracked, false),
        (0, true) => (ConnectionState::Established, false),
        (1, true) => (ConnectionState::Related, false),
        (2, true) => (ConnectionState::New, false),
        (3, true) => (ConnectionState::Established, true),
        (4, true) => (ConnectionState::Related, true),
        _ => (ConnectionState::Invalid, false),
    };
    Connection { state, is_reply, mark: None, status: None, original: None, reply: None }
}

/// Only a packet that is sent from here has an owner that rules ask about.
fn socket(dropped: &Dropped, hook: Hook) -> Known<Socket> {
    let cgroup = (dropped.event.cgroup != 0).then_some(dropped.event.cgroup);
    match hook {
        Hook::Forward => Known::Absent,
        Hook::Output | Hook::Postrouting if dropped.event.in_ifindex != 0 => Known::Absent,
        _ if cgroup.is_some() => Known::Is(Socket { cgroup, ..Socket::default() }),
        _ => Known::Unknown,
    }
}

fn devices(packet: &mut Packet, ends: &Ends, hook: Hook, layer: Layer) {
    let by_index = |index| match index {
        0 => Known::Unknown,
        index => Known::Is(Device { index, ..Device::default() }),
    };
    let on = if ends.on.index == 0 { Known::Unknown } else { Known::Is(ends.on.clone()) };
    let came_by = || if ends.in_index == 0 { Known::Absent } else { by_index(ends.in_index) };
    (packet.input, packet.output) = match (layer, hook) {
        (Layer::Bridge, Hook::Forward) | (_, Hook::Postrouting) => (came_by(), on),
        (Layer::Bridge, Hook::Input) => (came_by(), Known::Absent),
        (_, Hook::Prerouting | Hook::Input | Hook::Ingress) => (on, Known::Absent),
        (_, Hook::Output | Hook::Egress) if ends.on.index != 0 => (Known::Absent, on),
        (_, Hook::Output) => (Known::Absent, by_index(ends.out_index)),
        (_, Hook::Forward) => (on, by_index(ends.out_index)),
        _ => (Known::Unknown, Known::Unknown),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_without_entry_is_invalid_and_answers_are_told_apart() {
        let state = |bits| (connection(bits).state, connection(bits).is_reply);
        assert_eq!(state(0), (ConnectionState::Invalid, false));
        assert_eq!(state(7), (ConnectionState::Untracked, false));
        assert_eq!(state(8), (ConnectionState::Established, false));
        assert_eq!(state(8 + 2), (ConnectionState::New, false));
        assert_eq!(state(8 + 3), (ConnectionState::Established, true));
        assert_eq!(state(8 + 4), (ConnectionState::Related, true));
    }
}
