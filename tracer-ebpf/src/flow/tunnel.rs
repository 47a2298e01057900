//! What carries whole packets: VXLAN, Geneve, IP in IP. One layer is looked into.

use tracer_common::{TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_NONE, TUNNEL_VXLAN};

use super::Context;
use super::copied::load;
use super::packet::{ETH_P_IP, ETH_P_IPV6, ETHERNET, IPIP, Packet};

/// RFC 7348, section 5, with the frame's Ethernet header.
pub const VXLAN_HEADER: u32 = 8 + ETHERNET;
/// "The I flag MUST be set to 1".
const VXLAN_VALID: u8 = 8;

/// RFC 8926, section 3.4, without options.
const GENEVE_HEADER: u32 = 8;
/// Transparent Ethernet bridging.
const ETH_P_TEB: u16 = 0x6558_u16.to_be();

/// Notes what a packet carries, unless it is carried itself.
#[inline(always)]
fn carries(packet: &mut Packet, tunnel: u8, at: u32, protocol: u16) {
    if packet.tunnel == TUNNEL_NONE {
        packet.tunnel = tunnel;
        packet.inner = at;
        packet.inner_protocol = protocol;
    }
}

#[inline(always)]
pub fn in_ip(packet: &mut Packet, protocol: u8) {
    let protocol = if protocol == IPIP { ETH_P_IP } else { ETH_P_IPV6 };
    carries(packet, TUNNEL_IPIP, packet.transport, protocol as u16);
}

#[inline(always)]
pub fn vxlan(context: Context, packet: &mut Packet, at: u32) {
    let Some(flags) = load::<u8>(context, at) else { return };
    if flags & VXLAN_VALID != 0 {
        frame(context, packet, TUNNEL_VXLAN, at + 8);
    }
}

#[inline(always)]
pub fn geneve(context: Context, packet: &mut Packet, at: u32) {
    let Some([first, protocol]) = load::<[u16; 2]>(context, at) else { return };
    // Two bits of version, which is 0, and six of the options' length in words.
    if first & 0xc0 != 0 {
        return;
    }
    let inner = at + GENEVE_HEADER + u32::from(first & 0x3f) * 4;
    if protocol == ETH_P_TEB {
        frame(context, packet, TUNNEL_GENEVE, inner);
    } else {
        carries(packet, TUNNEL_GENEVE, inner, protocol);
    }
}

/// An Ethernet frame.
#[inline(always)]
fn frame(context: Context, packet: &mut Packet, tunnel: u8, at: u32) {
    if let Some(protocol) = load::<u16>(context, at + ETHERNET - 2) {
        carries(packet, tunnel, at + ETHERNET, protocol);
    }
}
