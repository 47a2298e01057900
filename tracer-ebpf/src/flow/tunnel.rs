//! What carries whole packets: VXLAN, Geneve, IP in IP. One layer is looked into.

use tracer_common::{TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_VXLAN};

use super::Context;
use super::copied::{Inner, load};
use super::packet::{ETH_P_IP, ETH_P_IPV6, ETHERNET, IPIP, IPV6, Packet};

/// RFC 7348, section 5, with the frame's Ethernet header.
pub const VXLAN_HEADER: u32 = 8 + ETHERNET;
/// "The I flag MUST be set to 1".
const VXLAN_VALID: u8 = 8;

/// RFC 8926, section 3.4, without options.
const GENEVE_HEADER: u32 = 8;
/// Transparent Ethernet bridging.
const ETH_P_TEB: u16 = 0x6558_u16.to_be();

#[inline(always)]
pub fn in_ip(packet: &Packet, protocol: u8) -> Inner {
    let protocol = match protocol {
        IPIP => ETH_P_IP as u16,
        IPV6 => ETH_P_IPV6 as u16,
        _ => return Inner::NONE,
    };
    if packet.tunnel != 0 {
        return Inner::NONE;
    }
    Inner { at: packet.transport, protocol, tunnel: u16::from(TUNNEL_IPIP) }
}

#[inline(always)]
pub fn vxlan(context: Context, at: u32) -> Inner {
    let Some(flags) = load::<u8>(context, at) else { return Inner::NONE };
    if flags & VXLAN_VALID == 0 {
        return Inner::NONE;
    }
    frame(context, at + 8, TUNNEL_VXLAN)
}

#[inline(always)]
pub fn geneve(context: Context, at: u32) -> Inner {
    let Some([first, protocol]) = load::<[u16; 2]>(context, at) else { return Inner::NONE };
    // Two bits of version, which is 0, and six of the options' length in words.
    if first & 0xc0 != 0 {
        return Inner::NONE;
    }
    let inner = at + GENEVE_HEADER + u32::from(first & 0x3f) * 4;
    if protocol == ETH_P_TEB {
        return frame(context, inner, TUNNEL_GENEVE);
    }
    Inner { at: inner, protocol, tunnel: u16::from(TUNNEL_GENEVE) }
}

/// An Ethernet frame.
#[inline(always)]
fn frame(context: Context, at: u32, tunnel: u8) -> Inner {
    let Some(protocol) = load::<u16>(context, at + ETHERNET - 2) else { return Inner::NONE };
    Inner { at: at + ETHERNET, protocol, tunnel: u16::from(tunnel) }
}
