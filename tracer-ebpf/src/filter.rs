//! The user's filter, applied before anything is counted or copied.
//!
//! Rule: a dimension that is not in use costs nothing; within one, any value lets the packet pass.

use aya_ebpf::maps::lpm_trie::Key;
use tracer_common::{
    ABSENT, BY_IFACE, BY_NETNS, BY_POD, BY_PORT, BY_PROTOCOL, BY_REASON, BY_SUBNET, FAMILY_IPV4, FAMILY_OTHER,
    FilterKey, POD_ADDRESS,
};

use crate::conntrack;
use crate::globals::{self, CT_ORIGINAL, CT_REPLY, SKB_NFCT, TUPLE_SOURCE};
use crate::maps::{FILTER, SUBNETS};
use crate::packet::{MAPPED, Packet};
use crate::read::{Probe, Read};
use crate::skb::Skb;

/// What can be decided before the packet is read.
#[inline(always)]
pub fn wants_place<R: Read>(skb: &Skb, reason: u32) -> bool {
    (!used(BY_NETNS) || number(BY_NETNS, skb.netns))
        && (!used(BY_REASON) || number(BY_REASON, reason))
        && (!used(BY_IFACE) || interface::<R>(skb))
}

/// What needs the packet's headers.
#[inline(always)]
pub fn wants_packet<R: Read>(skb: &Skb, packet: &Packet) -> bool {
    (!used(BY_PROTOCOL) || number(BY_PROTOCOL, u32::from(packet.protocol)))
        && (!used(BY_PORT) || port(packet))
        && (!used(BY_SUBNET) || subnet(packet))
        && (!used(BY_POD) || pod::<R>(skb, packet))
}

#[inline(always)]
fn used(dimension: u32) -> bool {
    globals::get(&globals::FILTERS) & (1 << dimension) != 0
}

#[inline(always)]
fn number(dimension: u32, number: u32) -> bool {
    FILTER.get_ptr(FilterKey::number(dimension, number)).is_some()
}

#[inline(always)]
fn interface<R: Read>(skb: &Skb) -> bool {
    FILTER.get_ptr(FilterKey::name(BY_IFACE, skb.interface_name::<R>())).is_some()
}

#[inline(always)]
fn port(packet: &Packet) -> bool {
    let (source, destination) = (packet.source_port, packet.destination_port);
    (source != 0 && number(BY_PORT, u32::from(source))) || (destination != 0 && number(BY_PORT, u32::from(destination)))
}

#[inline(always)]
fn subnet(packet: &Packet) -> bool {
    packet.family != FAMILY_OTHER
        && (SUBNETS.get(Key::new(128, packet.source)).is_some()
            || SUBNETS.get(Key::new(128, packet.destination)).is_some())
}

/// What is seen in a pod's namespace, and what is to or from one of its addresses elsewhere.
#[inline(always)]
fn pod<R: Read>(skb: &Skb, packet: &Packet) -> bool {
    number(BY_POD, skb.netns)
        || packet.family != FAMILY_OTHER
            && (pod_address(packet.source) || pod_address(packet.destination) || translated_pod::<R>(skb, packet))
}

/// Whose connection it is, also where the packet has another address by now (masqueraded, or of a Service): the sources of both
/// directions are the ends themselves.
#[inline(always)]
fn translated_pod<R: Read>(skb: &Skb, packet: &Packet) -> bool {
    let connection = (R::member::<u64>(skb.at, &SKB_NFCT) & conntrack::POINTER) as *const u8;
    !connection.is_null()
        && (pod_address(source(connection, &CT_ORIGINAL, packet.family))
            || pod_address(source(connection, &CT_REPLY, packet.family)))
}

/// The source of a direction of a connection; zeros if it can't be read.
#[inline(always)]
fn source(connection: *const u8, direction: &'static u32, family: u8) -> [u32; 4] {
    let (direction, source) = (globals::get(direction), globals::get(&TUPLE_SOURCE));
    if direction == ABSENT || source == ABSENT {
        return [0; 4];
    }
    let address: [u32; 4] = Probe::at(connection.wrapping_add(direction as usize + source as usize));
    if family == FAMILY_IPV4 { [0, 0, MAPPED, address[0]] } else { address }
}

#[inline(always)]
fn pod_address(address: [u32; 4]) -> bool {
    FILTER.get_ptr(FilterKey::address(POD_ADDRESS, address)).is_some()
}
