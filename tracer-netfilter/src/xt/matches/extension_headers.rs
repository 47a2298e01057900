//! The extension headers of IPv6.
//!
//! Rule: they are walked as `ipv6_find_hdr` (`net/ipv6/exthdrs_core.c`) does: not behind the fragment header of a later
//! fragment, and not into ESP.

use crate::packet::Packet;

use super::seen::{self, Seen};

pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const AUTHENTICATION: u8 = 51;
pub(super) const NONE: u8 = 59;
pub(super) const DESTINATION: u8 = 60;

/// Bytes of the IPv6 header, and where in it the first kind stands.
const IPV6_HEADER: usize = 40;
const NEXT_HEADER: usize = 6;

/// Where a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Bytes behind the network header.
    At(usize),
    /// It has none, or ends before it.
    Absent,
    Unknown,
}

/// Whether the kernel takes it for an extension header (`ipv6_ext_hdr`): ESP is none.
pub(super) const fn is_one(kind: u8) -> bool {
    matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | NONE | DESTINATION)
}

/// One header in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub kind: u8,
    pub offset: usize,
    pub next: u8,
    /// Its bytes.
    pub length: usize,
}

/// The headers in their order, up to the first that is no extension header or [`NONE`], whose kind alone is given; it has
/// no length. Ends with `Short` or `Unknown` where it can't be read on.
pub(super) fn links(packet: &Packet) -> impl Iterator<Item = Seen<Link>> + '_ {
    let first = seen::network(packet, NEXT_HEADER).map(|[kind]| (kind, IPV6_HEADER));
    let mut next = packet.is_ipv6().then_some(first);
    std::iter::from_fn(move || {
        let link = next.take()?.and_then(|(kind, offset)| read(packet, kind, offset));
        if let Seen::Is(Link { next: kind, offset, length: length @ 1.., .. }) = link {
            next = Some(Seen::Is((kind, offset.saturating_add(length))));
        }
        Some(link)
    })
}

fn read(packet: &Packet, kind: u8, offset: usize) -> Seen<Link> {
    if !is_one(kind) || kind == NONE {
        return Seen::Is(Link { kind, offset, next: NONE, length: 0 });
    }
    seen::network(packet, offset).map(|[next, length]: [u8; 2]| {
        let length = match kind {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        Link { kind, offset, next, length }
    })
}

/// The first header of a kind.
pub(super) fn find(packet: &Packet, kind: u8) -> Found {
    for link in links(packet) {
        let link = match link {
            Seen::Is(link) => link,
            Seen::Short => return Found::Absent,
            Seen::Unknown => return Found::Unknown,
        };
        if link.kind == kind {
            return Found::At(link.offset);
        }
        if link.kind == FRAGMENT {
            match seen::network(packet, link.offset.saturating_add(2)).map(u16::from_be_bytes) {
                Seen::Is(offset) if offset & !0x7 == 0 => {}
                Seen::Unknown => return Found::Unknown,
                Seen::Is(_) | Seen::Short => return Found::Absent,
            }
        }
    }
    Found::Absent
}
