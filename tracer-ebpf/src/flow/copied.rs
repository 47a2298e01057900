//! The second look, at bytes that the helper copies from wherever the packet has them: lengths are known only now, headers may
//! be in pages, one packet in another.
//!
//! Rule: lengths in the packet only ever make it read less. These are functions of their own: the first look stays short.

use core::mem::MaybeUninit;
use core::ptr::read_volatile;

use aya_ebpf::helpers::generated;
use tracer_common::{AttemptCounter, FAMILY_IPV4, FAMILY_IPV6, TUNNEL_NONE};

use super::packet::{
    ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, FRAGMENT_OFFSET, ICMP, ICMPV6, IPIP, IPV6, Packet, Scratch, TCP,
    UDP,
};
use super::{Context, dns, entry, icmp, tcp, tunnel, udp};
use crate::maps::SCRATCH;
use crate::packet::MAPPED;

/// IPv6 extension headers that are passed over (RFC 8200, section 4).
const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;

/// Copies what stands at an offset, if the packet is that long.
#[inline(always)]
pub fn load<T: Copy>(context: Context, at: u32) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes the whole value, of which any bytes are one, or says that it did not.
    unsafe {
        let result =
            generated::bpf_skb_load_bytes(context.cast(), at, value.as_mut_ptr().cast(), size_of::<T>() as u32);
        if result == 0 { Some(value.assume_init()) } else { None }
    }
}

/// What [`network`] makes of a packet.
pub const FOUND: u32 = 0;
/// None of the protocols that are looked at.
pub const OTHER: u32 = 1;
/// Cut short, or its lengths lie.
pub const UNREADABLE: u32 = 2;

#[inline(never)]
pub fn look(context: Context, start: u32, direction: u32) {
    // SAFETY: the context of a tc program.
    let mut protocol = unsafe { read_volatile(&raw const (*context).protocol) };
    let mut at = start;
    if protocol == ETH_P_8021Q || protocol == ETH_P_8021AD {
        let Some(inner) = load::<u16>(context, start + 2) else { return entry::count(AttemptCounter::Unreadable) };
        protocol = u32::from(inner);
        at = start + 4;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own value (see there).
    let scratch = unsafe { &mut *scratch };
    scratch.packet.direction = direction;
    scratch.packet.tunnel = TUNNEL_NONE;
    layer(context, at, protocol, scratch);
    if scratch.packet.inner != 0 {
        layer(context, scratch.packet.inner, u32::from(scratch.packet.inner_protocol), scratch);
    }
}

/// One packet, not what it carries.
#[inline(never)]
fn layer(context: Context, at: u32, protocol: u32, scratch: &mut Scratch) {
    let packet = &mut scratch.packet;
    packet.inner = 0;
    packet.message = 0;
    let found = network(context, at, protocol, packet);
    // SAFETY: the context of a tc program.
    let length = unsafe { read_volatile(&raw const (*context).len) };
    if found == UNREADABLE || (found == FOUND && packet.end > length) {
        return entry::count(AttemptCounter::Unreadable);
    }
    if found != FOUND {
        return;
    }
    match packet.protocol {
        TCP => tcp::segment(context, packet),
        UDP => udp::datagram(context, packet),
        ICMP | ICMPV6 => icmp::error(context, scratch),
        protocol => tunnel::in_ip(packet, protocol),
    }
    if scratch.packet.message != 0 {
        dns::see(context, scratch);
    }
}

/// Reads the network header and the ports.
#[inline(never)]
pub fn network(context: Context, at: u32, protocol: u32, packet: &mut Packet) -> u32 {
    let result = match protocol {
        ETH_P_IP => ipv4(context, at, packet),
        ETH_P_IPV6 => ipv6(context, at, packet),
        _ => OTHER,
    };
    if result != FOUND || (packet.protocol != TCP && packet.protocol != UDP) {
        return result;
    }
    let Some([source, destination]) = load::<[u16; 2]>(context, packet.transport) else { return UNREADABLE };
    packet.source_port = u16::from_be(source);
    packet.destination_port = u16::from_be(destination);
    FOUND
}

#[inline(always)]
fn ipv4(context: Context, at: u32, packet: &mut Packet) -> u32 {
    let Some(words) = load::<[u32; 5]>(context, at) else { return UNREADABLE };
    let header = (words[0] & 0xf) * 4;
    let length = u32::from(((words[0] >> 16) as u16).swap_bytes());
    if words[0] & 0xf0 != 0x40 || header < 20 || length < header {
        return UNREADABLE;
    }
    if (words[1] >> 16) as u16 & FRAGMENT_OFFSET != 0 {
        return OTHER;
    }
    packet.source = [0, 0, MAPPED, words[3]];
    packet.destination = [0, 0, MAPPED, words[4]];
    packet.family = FAMILY_IPV4;
    packet.ttl = words[2] as u8;
    packet.protocol = (words[2] >> 8) as u8;
    packet.transport = at + header;
    packet.end = at + length;
    is_known(packet)
}

#[inline(always)]
fn ipv6(context: Context, at: u32, packet: &mut Packet) -> u32 {
    let Some(words) = load::<[u32; 10]>(context, at) else { return UNREADABLE };
    if words[0] & 0xf0 != 0x60 {
        return UNREADABLE;
    }
    packet.source = [words[2], words[3], words[4], words[5]];
    packet.destination = [words[6], words[7], words[8], words[9]];
    packet.family = FAMILY_IPV6;
    packet.ttl = (words[1] >> 24) as u8;
    packet.end = at + 40 + u32::from((words[1] as u16).swap_bytes());
    let mut protocol = (words[1] >> 16) as u8;
    let mut transport = at + 40;
    if protocol == HOP_BY_HOP {
        let Some([next, length]) = load::<[u8; 2]>(context, transport) else { return UNREADABLE };
        protocol = next;
        transport += (u32::from(length) + 1) * 8;
    }
    if protocol == FRAGMENT {
        let Some([first, second]) = load::<[u16; 2]>(context, transport) else { return UNREADABLE };
        if second & 0xfff8_u16.to_be() != 0 {
            return OTHER;
        }
        protocol = first as u8;
        transport += 8;
    }
    packet.protocol = protocol;
    packet.transport = transport;
    is_known(packet)
}

#[inline(always)]
fn is_known(packet: &Packet) -> u32 {
    match packet.protocol {
        TCP | UDP | ICMP | ICMPV6 | IPIP | IPV6 if packet.transport + 8 > packet.end => UNREADABLE,
        TCP | UDP | ICMP | ICMPV6 | IPIP | IPV6 => FOUND,
        _ => OTHER,
    }
}
