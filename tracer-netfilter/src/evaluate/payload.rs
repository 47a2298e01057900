//! The packet's own bytes (`net/netfilter/nft_payload.c`, Linux 6.18).
//!
//! Rule: what lies behind the end of the packet is not there, and the rule does not match; what lies behind the bytes that
//! were kept of it is unknown.

use super::View;
use super::load::Loaded;
use crate::model::{Family, Hook, PayloadBase};
use crate::packet::{ETH_P_IP, ETH_P_IPV6, Packet};

/// `VLAN_HLEN`
const TAG: usize = 4;
/// Where the tag stands in a frame: behind both addresses.
const TAG_AT: usize = 12;

/// `nft_payload_fast_eval` takes what stands where a later fragment would have its transport header, if it had one; until
/// "add check for pkt->fragoff" (7.0 and stable versions of 2026), when it began to break like `nft_payload_eval`.
const LATER_FRAGMENT: &str = "what this kernel takes for the ports of a later fragment";
const NOT_KEPT: &str = "bytes of the packet that were not kept";

/// Where a header starts, as far as it can be told.
enum Start {
    At(usize),
    Absent,
    Unknown,
}

pub(super) fn load(view: &View<'_>, base: PayloadBase, offset: u32, length: u32) -> Loaded {
    let (offset, length) = (offset as usize, length as usize);
    let packet = view.packet;
    let is_fast = matches!(length, 1 | 2 | 4) && offset.is_multiple_of(length);
    if base == PayloadBase::Transport && is_fast && packet.fragment_offset != 0 && has_transport(view) {
        return Loaded::unknown(length, LATER_FRAGMENT);
    }
    match start(view, base) {
        Start::Absent => Loaded::Break,
        Start::Unknown => Loaded::unknown(length, NOT_KEPT),
        Start::At(start) if base == PayloadBase::Link && packet.vlan.is_some() && offset + length > TAG_AT => {
            tagged(packet, start, offset, length)
        }
        Start::At(start) => bytes(packet, start.saturating_add(offset), length),
    }
}

/// Whether the kernel has found the transport header's protocol: of IP packets only.
pub(super) fn has_transport(view: &View<'_>) -> bool {
    view.family() != Family::Arp && matches!(view.packet.ethertype, ETH_P_IP | ETH_P_IPV6)
}

fn start(view: &View<'_>, base: PayloadBase) -> Start {
    let packet = view.packet;
    let at = |header: Option<usize>| header.map_or(Start::Unknown, Start::At);
    match base {
        PayloadBase::Link => packet.link.map_or(Start::Absent, Start::At),
        PayloadBase::Network => at(packet.network),
        PayloadBase::Transport | PayloadBase::Inner if !has_transport(view) || packet.fragment_offset != 0 => {
            Start::Absent
        }
        PayloadBase::Transport => at(packet.transport),
        PayloadBase::Inner => inner(packet),
        PayloadBase::Tunnel => Start::Unknown,
    }
}

/// Behind the transport header.
fn inner(packet: &Packet) -> Start {
    let Some(transport) = packet.transport else { return Start::Unknown };
    match packet.protocol {
        Some(17) => Start::At(transport.saturating_add(8)),
        Some(6) => match packet.at(Some(transport), 12, 1) {
            Some(&[offset]) => Start::At(transport.saturating_add(usize::from(offset >> 4) * 4)),
            _ => Start::Unknown,
        },
        // Later kernels look behind GRE and IPIP too.
        _ => Start::Unknown,
    }
}

/// `length` bytes at `offset` of all that there are.
pub(super) fn bytes(packet: &Packet, offset: usize, length: usize) -> Loaded {
    let end = offset.saturating_add(length);
    if let (Some(network), Some(whole)) = (packet.network, packet.length)
        && end > network.saturating_add(whole as usize)
    {
        return Loaded::Break;
    }
    if let Some(bytes) = packet.bytes.get(offset..end) {
        return Loaded::Bytes(bytes.to_vec());
    }
    let first = packet.bytes.get(offset..).unwrap_or_default();
    Loaded::Partly(first.to_vec(), length, NOT_KEPT.into())
}

/// Where the bytes of an expression lie among those of the packet.
pub(super) fn place(view: &View<'_>, base: PayloadBase, offset: u32, length: u32) -> Option<(usize, usize)> {
    let Start::At(start) = start(view, base) else { return None };
    let from = start.checked_add(offset as usize)?;
    Some((from, from.checked_add(length as usize)?))
}

/// The kernel shows a tag that was taken off where it stood. Its protocol is taken to be 802.1Q.
fn tagged(packet: &Packet, link: usize, offset: usize, length: usize) -> Loaded {
    let mut frame = packet.at(Some(link), 0, TAG_AT).unwrap_or_default().to_vec();
    if frame.len() < TAG_AT {
        return Loaded::unknown(length, NOT_KEPT);
    }
    frame.extend([0x81, 0x00]);
    frame.extend(packet.vlan.unwrap_or_default().to_be_bytes());
    let mut result = frame.get(offset..).unwrap_or_default().to_vec();
    result.truncate(length);
    let behind = (offset + result.len()).saturating_sub(TAG).saturating_add(link);
    match bytes(packet, behind, length - result.len()) {
        Loaded::Bytes(rest) => {
            result.extend(rest);
            Loaded::Bytes(result)
        }
        Loaded::Partly(rest, _, reason) => {
            result.extend(rest);
            Loaded::Partly(result, length, reason)
        }
        other => other,
    }
}

/// `skb->len` as a rule at this hook sees it: on the way out of a device it counts the link-layer header.
pub(super) fn packet_length(view: &View<'_>) -> Option<u32> {
    let packet = view.packet;
    let header = match (view.hook, packet.link, packet.network) {
        (Hook::Egress, Some(link), Some(network)) => u32::try_from(network.saturating_sub(link)).ok()?,
        _ => 0,
    };
    packet.length?.checked_add(header)
}

/// As nft names it.
pub(super) fn name(packet: &Packet, base: PayloadBase, offset: u32, length: u32) -> &'static str {
    let is_ipv6 = packet.is_ipv6();
    match (base, offset, length) {
        (PayloadBase::Link, 0, 6) => "ether daddr",
        (PayloadBase::Link, 6, 6) => "ether saddr",
        (PayloadBase::Link, 12, 2) => "ether type",
        (PayloadBase::Link, 14, 2) => "vlan id",
        (PayloadBase::Link, ..) => "link-layer header",
        (PayloadBase::Network, 8, 16) if is_ipv6 => "ip6 saddr",
        (PayloadBase::Network, 24, 16) if is_ipv6 => "ip6 daddr",
        (PayloadBase::Network, 6, 1) if is_ipv6 => "ip6 nexthdr",
        (PayloadBase::Network, 12, _) if !is_ipv6 => "ip saddr",
        (PayloadBase::Network, 16, _) if !is_ipv6 => "ip daddr",
        (PayloadBase::Network, 9, 1) if !is_ipv6 => "ip protocol",
        (PayloadBase::Network, 6, 2) if !is_ipv6 => "ip frag-off",
        (PayloadBase::Network, ..) => "network header",
        (PayloadBase::Transport, 0, 2) => "th sport",
        (PayloadBase::Transport, 2, 2) => "th dport",
        (PayloadBase::Transport, 13, 1) if packet.protocol == Some(6) => "tcp flags",
        (PayloadBase::Transport, 0, 1) => "icmp type",
        (PayloadBase::Transport, ..) => "transport header",
        (PayloadBase::Inner | PayloadBase::Tunnel, ..) => "payload",
    }
}
