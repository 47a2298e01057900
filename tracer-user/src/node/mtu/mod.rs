//! What fits: the MTU of the way out, of its route, of a path that was learned, and of the other end of a virtual link.
//!
//! Rule: the largest packet is worked out as the kernel does when it forwards (`ip_dst_mtu_maybe_forward` and
//! `ip6_dst_mtu_maybe_forward`, `include/net`, 5.10 to 6.18); explaining compares it with the packet.

mod tunnel;

pub use tunnel::Below;

use super::checksum::head;
use super::neighbour::hop::{self, NextHop};
use super::neighbour::link::{self, Peer};
use super::{Packet, Scene, sysctl};
use crate::host::error::NetlinkError;
use crate::host::{HostError, Interface};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mtu {
    pub shape: Shape,
    /// The device that the packet was to leave by.
    pub device: Option<Interface>,
    /// The device it came in by.
    pub came_in_by: Option<Interface>,
    /// The route to its destination, with its MTUs.
    pub hop: Option<NextHop>,
    /// `net.ipv6.conf.DEVICE.mtu`: what IPv6 uses instead of the device's own.
    pub ipv6_mtu: Option<u32>,
    /// `net.ipv4.ip_forward_use_pmtu`: whether forwarding obeys a learned path MTU.
    pub obeys_learned: bool,
    /// What carries a tunnel's packets.
    pub below: Option<Below>,
    /// The other end of a veth device.
    pub peer: Option<Peer>,
}

/// How large the packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes from the network header on, as the header says; 0 if not known.
    pub length: u32,
    /// The bit Don't Fragment of IPv4.
    pub dont_fragment: bool,
}

impl Shape {
    fn of(packet: &Packet) -> Self {
        let header = packet.dropped.as_deref().and_then(head::network).unwrap_or_default();
        let told = match header.first().map(|first| first >> 4) {
            Some(4) => head::word(header, 2).map(u32::from),
            // Without the header itself; 0 for a jumbogram.
            Some(6) => head::word(header, 4).filter(|length| *length > 0).map(|length| 40 + u32::from(length)),
            _ => None,
        };
        let is_ipv4 = header.first().is_some_and(|first| first >> 4 == 4);
        let flags = head::word(header, 6).filter(|_| is_ipv4).unwrap_or_default();
        Self { length: told.filter(|length| *length > 0).unwrap_or(packet.length), dont_fragment: flags & 0x4000 != 0 }
    }
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    links: link::Memory,
}

struct Inside {
    hop: Result<Option<NextHop>, NetlinkError>,
    device: Result<Option<Interface>, NetlinkError>,
    came_in_by: Option<Interface>,
    below: Option<Below>,
    ipv6_mtu: Option<u32>,
    obeys_learned: bool,
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Mtu, HostError> {
    let packet = &scene.question.packet;
    let inside = scene.inside(|| look(packet))?;
    let mut facts = Mtu {
        shape: Shape::of(packet),
        came_in_by: inside.came_in_by,
        below: inside.below,
        ipv6_mtu: inside.ipv6_mtu,
        obeys_learned: inside.obeys_learned,
        ..Mtu::default()
    };
    facts.hop = scene.note("the route of the packet", inside.hop).flatten();
    facts.device = scene.note("the device that it was to leave by", inside.device).flatten();
    facts.peer = facts.device.as_ref().and_then(|device| link::peer(scene, &mut memory.links, device));
    Ok(facts)
}

fn look(packet: &Packet) -> Inside {
    let hop = hop::next_hop(packet);
    let left_by = leaves_by(packet, hop.as_ref().ok().and_then(Option::as_ref));
    let device = if left_by == 0 { Ok(None) } else { link::link(left_by) };
    let known = device.as_ref().ok().and_then(Option::as_ref);
    let below = known.and_then(tunnel::below);
    let name = known.map(|device| device.name.clone()).filter(|name| !name.contains('/'));
    let ipv6_mtu = name.filter(|_| packet.is_ipv6()).and_then(|name| number(&format!("net/ipv6/conf/{name}/mtu")));
    let came_in_by = if packet.came_in_by == 0 { None } else { link::link(packet.came_in_by).ok().flatten() };
    let obeys_learned = number("net/ipv4/ip_forward_use_pmtu").is_some_and(|value| value != 0);
    Inside { hop, device, came_in_by, below, ipv6_mtu, obeys_learned }
}

fn number(name: &str) -> Option<u32> {
    sysctl::read(name).ok()?.parse().ok()
}

/// A veth that refused it is the device that it was on; a packet that was forwarded has its way out in its route.
fn leaves_by(packet: &Packet, hop: Option<&NextHop>) -> u32 {
    let at_device = packet.symbol.contains("dev_forward") || packet.symbol.contains("veth");
    match packet.goes_out_by {
        _ if at_device => packet.interface.index,
        0 => hop.map_or(packet.interface.index, |hop| hop.device),
        out => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    #[test]
    fn the_way_out_is_the_route_but_for_a_virtual_link() {
        let interface = event::Interface { index: 5, name: None };
        let forwarded = Packet { interface, goes_out_by: 7, symbol: "ip_forward".into(), ..Packet::default() };
        assert_eq!(leaves_by(&forwarded, None), 7);
        let at_veth = Packet { symbol: "__dev_forward_skb2".into(), ..forwarded.clone() };
        assert_eq!(leaves_by(&at_veth, None), 5);
        let unknown = Packet { goes_out_by: 0, ..forwarded };
        assert_eq!(leaves_by(&unknown, None), 5);
    }
}
