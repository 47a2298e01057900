//! Link-layer and network headers of the packet's first bytes.
//!
//! Rule: no length in the packet is believed beyond the bytes that are there; every loop is bounded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Buf;
use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use tracer_common::{HEAD_MAC, HEAD_NETWORK};

use super::transport::{self, IcmpKind, TcpFlags};
use super::tunnel;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021AD: u16 = 0x88a8;

/// IPv6 extension headers followed at most (RFC 8200 orders seven).
const MOST_EXTENSIONS: usize = 8;

/// What the first bytes of a packet say; what they do not is `None` or zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// EtherType of the innermost frame that was understood; 0 when unknown.
    pub ethertype: u16,
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    /// IP protocol, behind IPv6 extension headers.
    pub protocol: Option<u8>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    pub tcp_flags: Option<TcpFlags>,
    pub icmp: Option<IcmpKind>,
    pub ttl: Option<u8>,
    /// Outermost tag in the frame.
    pub vlan: Option<u16>,
    /// Not the first fragment: there are no ports.
    pub later_fragment: bool,
    /// Name of the tunnel that the packet is, by its port.
    pub tunnel: Option<&'static str>,
    /// A header was expected and could not be read.
    pub unreadable: bool,
}

/// Parses `head`, which starts at the header that `kind` names (`HEAD_` values); `ethertype` is the kernel's word for
/// what the network header is.
pub fn parse(kind: u8, ethertype: u16, head: &[u8]) -> Headers {
    let mut headers = Headers { ethertype, ..Headers::default() };
    match kind {
        HEAD_MAC => link(&mut headers, head),
        HEAD_NETWORK => network(&mut headers, ethertype, head),
        _ => {}
    }
    headers
}

/// An Ethernet frame, or (devices without link-layer header) a network header where it would be.
fn link(headers: &mut Headers, head: &[u8]) {
    let Some((mut frame, mut rest)) = ethertype_at(head, EthHdr::LEN) else {
        return network(headers, headers.ethertype, head);
    };
    for _ in 0..2 {
        if frame != ETH_P_8021Q && frame != ETH_P_8021AD {
            break;
        }
        let mut tag = rest;
        let (Ok(tci), Ok(inner)) = (tag.try_get_u16(), tag.try_get_u16()) else { return };
        headers.vlan.get_or_insert(tci & 0x0fff);
        (frame, rest) = (inner, tag);
    }
    // The kernel's word wins: a tun device has no Ethernet header although a MAC header offset is set.
    if matches!(headers.ethertype, ETH_P_IP | ETH_P_IPV6) && frame != headers.ethertype {
        return network(headers, headers.ethertype, head);
    }
    headers.ethertype = frame;
    network(headers, frame, rest);
}

/// The EtherType in the last two bytes of a header of `length` bytes, and what follows it.
fn ethertype_at(head: &[u8], length: usize) -> Option<(u16, &[u8])> {
    let header = head.get(..length)?;
    let ethertype = header.get(length.checked_sub(2)?..)?.try_into().ok()?;
    Some((u16::from_be_bytes(ethertype), head.get(length..)?))
}

fn network(headers: &mut Headers, ethertype: u16, head: &[u8]) {
    match ethertype {
        ETH_P_IP => drop(ipv4(headers, head)),
        ETH_P_IPV6 => drop(ipv6(headers, head)),
        ETH_P_ARP => drop(arp(headers, head)),
        _ => {}
    }
}

fn ipv4(headers: &mut Headers, head: &[u8]) -> Option<()> {
    let mut header = head.get(..Ipv4Hdr::LEN)?;
    let version = header.get_u8();
    if version >> 4 != 4 {
        return None;
    }
    header.advance(5);
    let fragment = header.get_u16();
    headers.ttl = Some(header.get_u8());
    let protocol = header.get_u8();
    header.advance(2);
    headers.protocol = Some(protocol);
    headers.source = Some(Ipv4Addr::from_bits(header.get_u32()).into());
    headers.destination = Some(Ipv4Addr::from_bits(header.get_u32()).into());
    headers.later_fragment = fragment & 0x1fff != 0;
    let length = usize::from(version & 0xf) * 4;
    if length >= Ipv4Hdr::LEN && !headers.later_fragment {
        transport(headers, protocol, head.get(length..)?);
    }
    Some(())
}

fn ipv6(headers: &mut Headers, head: &[u8]) -> Option<()> {
    let mut header = head.get(..Ipv6Hdr::LEN)?;
    if header.get_u32() >> 28 != 6 {
        return None;
    }
    header.advance(2);
    let mut next = header.get_u8();
    headers.ttl = Some(header.get_u8());
    headers.source = Some(Ipv6Addr::from_bits(header.get_u128()).into());
    headers.destination = Some(Ipv6Addr::from_bits(header.get_u128()).into());
    let mut rest = head.get(Ipv6Hdr::LEN..)?;
    for _ in 0..MOST_EXTENSIONS {
        headers.protocol = Some(next);
        let length = match next {
            // Hop-by-hop, routing, destination options: length in eight bytes, not counting the first (RFC 8200).
            0 | 43 | 60 => 8 * (usize::from(*rest.get(1)?) + 1),
            // Fragment: offset in the upper 13 bits of bytes 2 and 3.
            44 => {
                headers.later_fragment = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) & 0xfff8 != 0;
                8
            }
            _ => break,
        };
        next = *rest.first()?;
        rest = rest.get(length..)?;
        headers.protocol = Some(next);
        if headers.later_fragment {
            return Some(());
        }
    }
    transport(headers, next, rest);
    Some(())
}

/// ARP for IPv4 over Ethernet (RFC 826): the addresses asked for and by.
fn arp(headers: &mut Headers, head: &[u8]) -> Option<()> {
    let mut header = head.get(..28)?;
    if header.get_u32() != 0x0001_0800 || header.get_u16() != 0x0604 {
        return None;
    }
    header.advance(8);
    headers.source = Some(Ipv4Addr::from_bits(header.get_u32()).into());
    header.advance(6);
    headers.destination = Some(Ipv4Addr::from_bits(header.get_u32()).into());
    Some(())
}

fn transport(headers: &mut Headers, protocol: u8, head: &[u8]) {
    let parsed = transport::parse(protocol, head);
    headers.source_port = parsed.source_port;
    headers.destination_port = parsed.destination_port;
    headers.tcp_flags = parsed.tcp_flags;
    headers.icmp = parsed.icmp;
    headers.tunnel = tunnel::name(protocol, parsed.destination_port);
}
