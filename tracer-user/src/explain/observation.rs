//! What is known of one drop when it is explained: plain values, so that explaining is a pure function.

use std::net::IpAddr;

use crate::netfilter::Ruling;
use crate::node::State;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

/// `PACKET_BROADCAST`, `PACKET_MULTICAST`, `PACKET_OTHERHOST` of `include/uapi/linux/if_packet.h`.
const PACKET_BROADCAST: u8 = 1;
const PACKET_MULTICAST: u8 = 2;
const PACKET_OTHERHOST: u8 = 3;

const TCP_FIN: u8 = 0x01;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;
const TCP_ACK: u8 = 0x10;

/// One drop. What is not known is `None`, empty or zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation<'a> {
    /// Name of the drop reason; `None` on a kernel that gives none (before 5.17).
    pub reason: Option<&'a str>,
    /// Function that freed the packet; compiler suffixes do not matter.
    pub location: Option<&'a str>,
    /// Functions of the kernel stack, innermost first; tracing frames do not matter.
    pub stack: &'a [&'a str],
    /// `skb->protocol`; 0 for messages of local sockets.
    pub ethertype: u16,
    /// IP protocol number.
    pub protocol: Option<u8>,
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    /// The flags byte of the TCP header.
    pub tcp_flags: Option<u8>,
    /// Type of an ICMP or ICMPv6 message.
    pub icmp_type: Option<u8>,
    /// TTL or hop limit, as in the packet at the drop.
    pub ttl: Option<u8>,
    /// Bytes that were there at the drop (`skb->len`).
    pub length: Option<u32>,
    /// `skb->pkt_type`.
    pub packet_type: u8,
    pub interface: Option<&'a str>,
    /// How to run a command in the packet's network namespace, complete and already quoted:
    /// `nsenter --net=/run/netns/NAME`; `None` if a command needs no prefix.
    pub netns_entry: Option<&'a str>,
    /// What the ruleset of the namespace says, for a drop by netfilter.
    pub ruling: Option<&'a Ruling>,
    /// What was read of the node's own state, for other drops.
    pub state: Option<&'a State>,
}

impl<'a> Observation<'a> {
    /// The function that freed the packet, without compiler suffixes; empty if unknown.
    pub(crate) fn symbol(&self) -> &'a str {
        self.location.map_or("", bare)
    }

    /// Whether the function that freed the packet was called by this one.
    pub(super) fn called_by(&self, function: &str) -> bool {
        let caller = self.stack.iter().map(|frame| bare(frame)).skip_while(|frame| *frame != self.symbol()).nth(1);
        caller == Some(function)
    }

    pub(super) const fn is_arp(&self) -> bool {
        self.ethertype == ETH_P_ARP
    }

    pub(super) const fn is_ipv6(&self) -> bool {
        self.ethertype == ETH_P_IPV6 || matches!(self.destination, Some(IpAddr::V6(_)))
    }

    /// As short as what every link takes that IPv6 goes over (RFC 8200, section 5).
    pub(super) fn fits_every_ipv6_link(&self) -> bool {
        self.length.is_some_and(|length| length <= 1280)
    }

    pub(super) const fn is_ip(&self) -> bool {
        self.ethertype == ETH_P_IP || self.ethertype == ETH_P_IPV6 || self.destination.is_some()
    }

    /// A message between local sockets (unix, netlink, vsock): it has no network protocol.
    pub(super) const fn is_local_message(&self) -> bool {
        self.ethertype == 0 && self.destination.is_none() && self.source.is_none()
    }

    pub(super) const fn is_icmp(&self) -> bool {
        matches!(self.protocol, Some(ICMP | ICMPV6))
    }

    /// Sent to many: by its IP address, or by its frame.
    pub(super) fn is_multicast(&self) -> bool {
        let by_address = match self.destination {
            Some(IpAddr::V4(address)) => address.is_multicast() || address.is_broadcast(),
            Some(IpAddr::V6(address)) => address.is_multicast(),
            None => false,
        };
        by_address || matches!(self.packet_type, PACKET_BROADCAST | PACKET_MULTICAST)
    }

    /// Looks like the broadcast address of a subnet: the last eight bits are ones, as in all but the smallest subnets.
    pub(super) const fn is_subnet_broadcast(&self) -> bool {
        matches!(self.destination, Some(IpAddr::V4(address)) if address.octets()[3] == 255)
    }

    /// A question or answer for an address: to a solicited-node group (RFC 4291, `ff02::1:ff00:0/104`), or a neighbour
    /// solicitation or advertisement (RFC 4861).
    pub(super) fn is_neighbour_discovery(&self) -> bool {
        let group = match self.destination {
            Some(IpAddr::V6(address)) => address.octets().starts_with(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]),
            _ => false,
        };
        group || (self.protocol == Some(ICMPV6) && matches!(self.icmp_type, Some(135 | 136)))
    }

    pub(super) const fn is_otherhost(&self) -> bool {
        self.packet_type == PACKET_OTHERHOST
    }

    pub(super) fn tcp(&self) -> Option<Segment> {
        let flags = self.tcp_flags.filter(|_| self.protocol.is_none_or(|protocol| protocol == TCP))?;
        Some(match flags {
            flags if flags & TCP_RST != 0 => Segment::Reset,
            flags if flags & TCP_SYN != 0 && flags & (TCP_ACK | TCP_FIN) == 0 => Segment::Open,
            flags if flags & TCP_SYN != 0 => Segment::OpenAnswer,
            flags if flags & TCP_FIN != 0 => Segment::Close,
            _ => Segment::Other,
        })
    }

    /// TTL or hop limit used up: forwarding takes one more than there is.
    pub(super) fn ttl_spent(&self) -> bool {
        self.ttl.is_some_and(|ttl| ttl <= 1)
    }
}

/// What a TCP segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Open,
    OpenAnswer,
    Close,
    Reset,
    Other,
}

/// A symbol without offset and without the suffixes that compilers add (`.isra.0`, `.constprop.0`, `.cold`).
pub(super) fn bare(symbol: &str) -> &str {
    let end = symbol.find(['.', '+']).unwrap_or(symbol.len());
    symbol.get(..end).unwrap_or(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_and_offsets_go() {
        for symbol in ["ip_rcv_finish_core.constprop.0", "ip_rcv_finish_core.isra.0+0x1a", "ip_rcv_finish_core"] {
            assert_eq!(bare(symbol), "ip_rcv_finish_core");
        }
        assert_eq!(bare(""), "");
    }

    #[test]
    fn the_caller_is_the_frame_behind_the_location() {
        let stack = ["bpf_prog_drop", "ip6_pkt_drop.isra.0", "ip6_pkt_prohibit", "ipv6_rcv"];
        let drop = Observation { location: Some("ip6_pkt_drop"), stack: &stack, ..Observation::default() };
        assert!(drop.called_by("ip6_pkt_prohibit") && !drop.called_by("ipv6_rcv"));
        assert!(!Observation::default().called_by("ipv6_rcv"));
    }

    #[test]
    fn segments_are_told_apart() {
        let segment =
            |flags| Observation { tcp_flags: Some(flags), protocol: Some(TCP), ..Observation::default() }.tcp();
        assert_eq!(segment(0x02), Some(Segment::Open));
        assert_eq!(segment(0xc2), Some(Segment::Open), "ECN set-up");
        assert_eq!(segment(0x12), Some(Segment::OpenAnswer));
        assert_eq!(segment(0x03), Some(Segment::OpenAnswer), "SYN and FIN opens nothing");
        assert_eq!(segment(0x14), Some(Segment::Reset));
        assert_eq!(segment(0x11), Some(Segment::Close));
        assert_eq!(segment(0), Some(Segment::Other));
        let udp = Observation { tcp_flags: Some(2), protocol: Some(UDP), ..Observation::default() };
        assert_eq!(udp.tcp(), None);
    }

    #[test]
    fn multicast_by_address_or_frame() {
        let to = |address: &str| Observation { destination: address.parse().ok(), ..Observation::default() };
        assert!(
            to("224.0.0.251").is_multicast() && to("255.255.255.255").is_multicast() && to("ff02::16").is_multicast()
        );
        assert!(!to("10.0.0.1").is_multicast() && !to("fd00::1").is_multicast());
        assert!(Observation { packet_type: PACKET_BROADCAST, ..to("10.0.0.255") }.is_multicast());
        assert!(to("ff02::1:ff00:1").is_neighbour_discovery() && !to("ff02::16").is_neighbour_discovery());
    }
}
