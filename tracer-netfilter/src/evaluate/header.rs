//! Extension headers and options (`net/netfilter/nft_exthdr.c`, Linux 6.18).

use super::View;
use super::load::Loaded;
use super::payload;
use crate::model::ExtensionHeader;
use crate::packet::Packet;

/// Longest chain of headers that is looked at.
const HEADERS: usize = 32;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// Where a header or option starts, counted in all bytes.
enum Found {
    At { start: usize, length: Option<usize> },
    Absent,
    Unknown,
}

pub(super) struct Wanted {
    pub header: ExtensionHeader,
    pub kind: u8,
    pub offset: u32,
    pub length: u32,
    pub present: bool,
}

pub(super) fn load(view: &View<'_>, wanted: &Wanted) -> Loaded {
    let packet = view.packet;
    let found = match wanted.header {
        ExtensionHeader::Ipv6 => ipv6(packet, wanted.kind),
        ExtensionHeader::TcpOption => tcp(view, wanted.kind),
        ExtensionHeader::Ipv4Option => ipv4(packet, wanted.kind),
        ExtensionHeader::SctpChunk | ExtensionHeader::DccpOption => Found::Unknown,
    };
    let (offset, length) = (wanted.offset as usize, wanted.length as usize);
    match found {
        Found::Unknown if wanted.present => Loaded::unknown(4, what(wanted.header)),
        Found::Unknown => Loaded::unknown(length, what(wanted.header)),
        Found::Absent if wanted.present => Loaded::number(0),
        Found::At { .. } if wanted.present => Loaded::number(1),
        Found::At { length: Some(has), .. } if offset.saturating_add(length) > has => Loaded::Break,
        Found::At { start, .. } => payload::bytes(packet, start.saturating_add(offset), length),
        Found::Absent => Loaded::Break,
    }
}

const fn what(header: ExtensionHeader) -> &'static str {
    match header {
        ExtensionHeader::Ipv6 => "the packet's extension headers",
        ExtensionHeader::TcpOption => "its TCP options",
        ExtensionHeader::Ipv4Option => "its IP options",
        ExtensionHeader::SctpChunk => "its SCTP chunks",
        ExtensionHeader::DccpOption => "its DCCP options",
    }
}

/// `ipv6_find_hdr` without flags.
fn ipv6(packet: &Packet, kind: u8) -> Found {
    let Some(network) = packet.network else { return Found::Unknown };
    if !packet.is_ipv6() {
        return Found::Absent;
    }
    let Some(&[mut next]) = packet.at(Some(network), 6, 1) else { return Found::Unknown };
    let mut start = network.saturating_add(40);
    for _ in 0..HEADERS {
        if next == kind {
            return Found::At { start, length: None };
        }
        if !matches!(next, 0 | 43 | FRAGMENT | AUTHENTICATION | 60 | 135) {
            return Found::Absent;
        }
        let Some(&[following, size, high, low]) = packet.at(Some(start), 0, 4) else { return Found::Unknown };
        if next == FRAGMENT && u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
            return Found::Absent;
        }
        start = start.saturating_add(match next {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(size) + 2) * 4,
            _ => (usize::from(size) + 1) * 8,
        });
        next = following;
    }
    Found::Unknown
}

fn tcp(view: &View<'_>, kind: u8) -> Found {
    let packet = view.packet;
    if packet.protocol.is_some_and(|protocol| protocol != 6) || packet.fragment_offset != 0 {
        return Found::Absent;
    }
    let Some(transport) = packet.transport else { return Found::Unknown };
    let Some(&[offset]) = packet.at(Some(transport), 12, 1) else { return Found::Unknown };
    option(packet, (transport, 20), usize::from(offset >> 4) * 4, kind)
}

fn ipv4(packet: &Packet, kind: u8) -> Found {
    let Some(network) = packet.network else { return Found::Unknown };
    if !packet.is_ipv4() {
        return Found::Absent;
    }
    let Some(&[first]) = packet.at(Some(network), 0, 1) else { return Found::Unknown };
    option(packet, (network, 20), usize::from(first & 0xf) * 4, kind)
}

/// Options of one byte (0 and 1), or with their length behind.
fn option(packet: &Packet, (header, first): (usize, usize), end: usize, kind: u8) -> Found {
    let mut at = first;
    while at < end {
        let Some(&[this]) = packet.at(Some(header), at, 1) else { return Found::Unknown };
        let length = match this {
            0 | 1 => 1,
            _ => match packet.at(Some(header), at + 1, 1) {
                Some(&[length]) => usize::from(length).max(1),
                _ => return Found::Unknown,
            },
        };
        if this == kind {
            return if at + length > end {
                Found::Absent
            } else {
                Found::At { start: header + at, length: Some(length) }
            };
        }
        at += length;
    }
    Found::Absent
}
