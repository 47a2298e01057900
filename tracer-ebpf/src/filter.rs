//! The user's filter, applied before anything is counted or copied.
//!
//! Rule: a dimension that is not in use costs nothing; within one, any value lets the packet pass.

use aya_ebpf::maps::lpm_trie::Key;
use tracer_common::{BY_IFACE, BY_NETNS, BY_PORT, BY_PROTOCOL, BY_REASON, BY_SUBNET, FAMILY_OTHER, FilterKey};

use crate::globals;
use crate::maps::{FILTER, SUBNETS};
use crate::packet::Packet;
use crate::read::Read;
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
pub fn wants_packet(packet: &Packet) -> bool {
    (!used(BY_PROTOCOL) || number(BY_PROTOCOL, u32::from(packet.protocol)))
        && (!used(BY_PORT) || port(packet))
        && (!used(BY_SUBNET) || subnet(packet))
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
