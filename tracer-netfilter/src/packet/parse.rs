//! From the first bytes of a packet to a [`Packet`].
//!
//! Rule: no length in the packet is believed beyond the bytes that are there, and every loop is bounded.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Known, Mark, Packet};

const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;
const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
/// IPv6 extension headers followed at most (RFC 8200 orders seven).
const MOST_EXTENSIONS: usize = 8;

/// Protocols with ports in their first four bytes: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

impl Packet {
    /// A packet of which nothing is known but its bytes, which start at the network header.
    pub fn from_network(ethertype: u16, bytes: &[u8]) -> Self {
        let mut packet = Self::bare(ethertype, bytes);
        packet.network(0);
        packet
    }

    /// The same for bytes that start at an Ethernet header. `ethertype` is the kernel's word (`skb->protocol`) for what
    /// follows; 0 if there is none.
    pub fn from_frame(ethertype: u16, bytes: &[u8]) -> Self {
        let mut packet = Self::bare(ethertype, bytes);
        packet.link = Some(0);
        let mut at = ETHERNET;
        for _ in 0..2 {
            match packet.word(at - 2) {
                Some(ETH_P_8021Q | ETH_P_8021AD) => {
                    packet.vlan = packet.vlan.or(packet.word(at));
                    at += VLAN_TAG;
                }
                _ => break,
            }
        }
        let frame = packet.word(at - 2);
        // A device without link-layer header: what follows is not what the bytes in its place say.
        let has_header = ethertype == 0 || frame == Some(ethertype) || !matches!(ethertype, ETH_P_IP | ETH_P_IPV6);
        if has_header {
            packet.ethertype = frame.unwrap_or(ethertype);
            packet.network(at);
        } else {
            packet.link = None;
            packet.network(0);
        }
        packet
    }

    fn bare(ethertype: u16, bytes: &[u8]) -> Self {
        Self {
            ethertype,
            bytes: bytes.to_vec(),
            link: None,
            network: None,
            transport: None,
            protocol: None,
            fragment_offset: 0,
            length: None,
            source: None,
            destination: None,
            source_port: None,
            destination_port: None,
            input: Known::Unknown,
            output: Known::Unknown,
            bridge_input: Known::Absent,
            bridge_output: Known::Absent,
            mark: Mark::Before(0),
            connection: Known::Unknown,
            socket: Known::Unknown,
            packet_type: None,
            vlan: None,
            cpu: None,
        }
    }

    fn word(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(self.at(Some(at), 0, 2)?.try_into().ok()?))
    }

    fn network(&mut self, at: usize) {
        self.network = Some(at);
        let parsed = match self.ethertype {
            ETH_P_IP => self.ipv4(at),
            ETH_P_IPV6 => self.ipv6(at),
            ETH_P_ARP => self.arp(at),
            _ => None,
        };
        if parsed.is_some() {
            self.transport();
        }
    }

    fn ipv4(&mut self, at: usize) -> Option<()> {
        let header: [u8; 20] = self.at(Some(at), 0, 20)?.try_into().ok()?;
        let [first, _, length1, length2, _, _, fragment1, fragment2, _, protocol, ..] = header;
        if first >> 4 != 4 {
            return None;
        }
        self.source = Some(Ipv4Addr::from(<[u8; 4]>::try_from(header.get(12..16)?).ok()?).into());
        self.destination = Some(Ipv4Addr::from(<[u8; 4]>::try_from(header.get(16..20)?).ok()?).into());
        self.protocol = Some(protocol);
        self.length = Some(u32::from(u16::from_be_bytes([length1, length2])));
        self.fragment_offset = u16::from_be_bytes([fragment1, fragment2]) & 0x1fff;
        let header_length = usize::from(first & 0xf) * 4;
        if self.fragment_offset == 0 && header_length >= 20 {
            self.transport = Some(at + header_length);
        }
        Some(())
    }

    fn ipv6(&mut self, at: usize) -> Option<()> {
        let header: [u8; 40] = self.at(Some(at), 0, 40)?.try_into().ok()?;
        let [first, _, _, _, length1, length2, mut next, ..] = header;
        if first >> 4 != 6 {
            return None;
        }
        self.source = Some(Ipv6Addr::from(<[u8; 16]>::try_from(header.get(8..24)?).ok()?).into());
        self.destination = Some(Ipv6Addr::from(<[u8; 16]>::try_from(header.get(24..40)?).ok()?).into());
        self.length = Some(u32::from(u16::from_be_bytes([length1, length2])) + 40);
        let mut at = at + 40;
        for _ in 0..MOST_EXTENSIONS {
            let length = match next {
                // Hop-by-hop, routing, destination options: length in eight bytes, not counting the first (RFC 8200).
                0 | 43 | 60 => 8 * (usize::from(*self.bytes.get(at + 1)?) + 1),
                // Fragment: offset in the upper 13 bits of bytes 2 and 3.
                44 => {
                    self.fragment_offset = self.word(at + 2)? >> 3;
                    8
                }
                // Authentication header: in four bytes, not counting the first two (RFC 4302).
                51 => 4 * (usize::from(*self.bytes.get(at + 1)?) + 2),
                _ => break,
            };
            next = *self.bytes.get(at)?;
            at += length;
            if self.fragment_offset != 0 {
                break;
            }
        }
        self.protocol = Some(next);
        if self.fragment_offset == 0 {
            self.transport = Some(at);
        }
        Some(())
    }

    /// ARP for IPv4 over Ethernet (RFC 826).
    fn arp(&mut self, at: usize) -> Option<()> {
        let body: [u8; 28] = self.at(Some(at), 0, 28)?.try_into().ok()?;
        self.source = Some(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(14..18)?).ok()?).into());
        self.destination = Some(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(24..28)?).ok()?).into());
        None
    }

    fn transport(&mut self) {
        let (Some(at), Some(protocol)) = (self.transport, self.protocol) else { return };
        if WITH_PORTS.contains(&protocol) {
            self.source_port = self.word(at);
            self.destination_port = self.word(at + 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN from 10.0.0.1:4000 to 10.0.0.2:22.
    fn syn() -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        bytes.extend([0x0f, 0xa0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
        bytes
    }

    fn frame(ethertype: &[u8], rest: &[u8]) -> Vec<u8> {
        [&[2; 12][..], ethertype, rest].concat()
    }

    #[test]
    fn an_ipv4_segment() {
        let packet = Packet::from_network(ETH_P_IP, &syn());
        assert_eq!((packet.protocol, packet.source_port, packet.destination_port), (Some(6), Some(4000), Some(22)));
        assert_eq!((packet.network, packet.transport, packet.length), (Some(0), Some(20), Some(40)));
        let framed = Packet::from_frame(0, &frame(&[8, 0], &syn()));
        assert_eq!((framed.link, framed.network, framed.transport), (Some(0), Some(14), Some(34)));
        assert_eq!(framed.destination, Some("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn a_tag_and_a_device_without_link_header() {
        let tagged = Packet::from_frame(ETH_P_IP, &frame(&[0x81, 0, 0, 7, 8, 0], &syn()));
        assert_eq!((tagged.vlan, tagged.network), (Some(7), Some(18)));
        let tun = Packet::from_frame(ETH_P_IP, &syn());
        assert_eq!((tun.link, tun.network, tun.destination_port), (None, Some(0), Some(22)));
    }

    #[test]
    fn ipv6_extension_headers_and_later_fragments() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 24, 44, 64];
        bytes.extend([0xfd; 32]);
        bytes.extend([17, 0, 0, 0x09, 0, 0, 0, 1, 0x11, 0x11, 0x22, 0x22]);
        let later = Packet::from_network(ETH_P_IPV6, &bytes);
        assert_eq!((later.protocol, later.fragment_offset, later.transport), (Some(17), 1, None));
        assert_eq!(later.destination_port, None);
    }

    #[test]
    fn no_cut_and_no_byte_makes_it_panic() {
        let good = frame(&[8, 0], &syn());
        for cut in 0..good.len() {
            Packet::from_frame(0, &good[..cut]);
            Packet::from_network(ETH_P_IPV6, &good[..cut]);
        }
        let mut state = 1u64;
        for _ in 0..50_000 {
            let mut bytes = good.clone();
            for byte in &mut bytes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if state >> 61 == 0 {
                    *byte = (state >> 33) as u8;
                }
            }
            Packet::from_frame((state >> 20) as u16, &bytes);
            Packet::from_network(ETH_P_IPV6, &bytes);
        }
    }
}
