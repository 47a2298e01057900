//! What ipset takes for a packet's port (`ip_set_getport.c`, Linux 6.18).

use super::Port;
use crate::packet::{Known, Packet};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;
/// IPv6: nothing follows.
const NO_NEXT_HEADER: u8 = 59;

/// Port with protocol: of TCP, UDP, UDP-Lite and SCTP their port, of ICMP type and code, 0 of others; `Absent` where the
/// kernel finds none and so nothing in the set (a later fragment).
pub(super) fn of(packet: &Packet, is_source: bool) -> Known<Port> {
    if packet.fragment_offset != 0 {
        return Known::Absent;
    }
    let Some(protocol) = packet.protocol else { return Known::Unknown };
    let number = match protocol {
        0 | NO_NEXT_HEADER => return Known::Absent,
        TCP => number(packet, is_source, 20),
        UDP | UDPLITE => number(packet, is_source, 8),
        SCTP => number(packet, is_source, 12),
        ICMP | ICMPV6 => icmp(packet),
        _ => Known::Is(0),
    };
    match number {
        Known::Is(number) => Known::Is(Port { protocol: Some(protocol), number }),
        Known::Absent => Known::Absent,
        Known::Unknown => Known::Unknown,
    }
}

/// Port of TCP or UDP, as `bitmap:port` takes it.
pub(super) fn bare(packet: &Packet, is_source: bool) -> Known<Port> {
    match of(packet, is_source) {
        Known::Is(Port { protocol: Some(TCP | UDP), number }) => Known::Is(Port { protocol: None, number }),
        Known::Is(_) => Known::Absent,
        other => other,
    }
}

fn number(packet: &Packet, is_source: bool, header: u32) -> Known<u16> {
    if is_cut(packet, header) {
        return Known::Absent;
    }
    let (known, at) = if is_source { (packet.source_port, 0) } else { (packet.destination_port, 2) };
    known.or_else(|| word(packet, at)).map_or(Known::Unknown, Known::Is)
}

fn icmp(packet: &Packet) -> Known<u16> {
    if is_cut(packet, 8) {
        return Known::Absent;
    }
    word(packet, 0).map_or(Known::Unknown, Known::Is)
}

fn word(packet: &Packet, at: usize) -> Option<u16> {
    packet.at(packet.transport, at, 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The packet itself, not only what is known of it, ends within its transport header.
fn is_cut(packet: &Packet, header: u32) -> bool {
    let (Some(length), Some(network), Some(transport)) = (packet.length, packet.network, packet.transport) else {
        return false;
    };
    let before = transport.saturating_sub(network);
    u64::from(length) < (before as u64).saturating_add(header.into())
}
