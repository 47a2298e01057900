//! What a match sees of a packet's headers.
//!
//! Rule: a packet that ends before a header does is another thing than one whose bytes were not kept. The kernel drops the
//! former on the spot whatever the rule's target is (`hotdrop`); here the match just does not hold for it.

use crate::packet::Packet;
use crate::truth::Truth;

/// Part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen<T> {
    Is(T),
    /// The packet is shorter than that.
    Short,
    /// It may be there, but was not kept.
    Unknown,
}

impl<T> Seen<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Is(value) => Seen::Is(change(value)),
            Self::Short => Seen::Short,
            Self::Unknown => Seen::Unknown,
        }
    }

    pub(super) fn and_then<U>(self, change: impl FnOnce(T) -> Seen<U>) -> Seen<U> {
        match self {
            Self::Is(value) => change(value),
            Self::Short => Seen::Short,
            Self::Unknown => Seen::Unknown,
        }
    }

    /// What `holds` says of it; `what` is it that is not known.
    pub(super) fn test(self, what: &'static str, holds: impl FnOnce(T) -> bool) -> Truth {
        match self {
            Self::Is(value) => holds(value).into(),
            Self::Short => Truth::No,
            Self::Unknown => Truth::unknown(what),
        }
    }
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Is)
    }
}

/// `length` bytes at `offset` behind the network header.
pub(super) fn at(packet: &Packet, offset: usize, length: usize) -> Seen<&[u8]> {
    let ends_before = packet.length.is_some_and(|whole| offset.saturating_add(length) > whole as usize);
    if ends_before { Seen::Short } else { packet.at(packet.network, offset, length).into() }
}

/// `N` bytes at `offset` behind the network header.
pub(super) fn network<const N: usize>(packet: &Packet, offset: usize) -> Seen<[u8; N]> {
    at(packet, offset, N).and_then(|bytes| bytes.first_chunk().copied().into())
}

/// Where the transport header starts, behind the network header.
pub(super) fn transport_offset(packet: &Packet) -> Option<usize> {
    packet.transport?.checked_sub(packet.network?)
}

/// `length` bytes at `offset` behind the transport header.
pub(super) fn transport_slice(packet: &Packet, offset: usize, length: usize) -> Seen<&[u8]> {
    Seen::from(transport_offset(packet)).and_then(|start| at(packet, start.saturating_add(offset), length))
}

/// `N` bytes at `offset` behind the transport header.
pub(super) fn transport<const N: usize>(packet: &Packet, offset: usize) -> Seen<[u8; N]> {
    transport_slice(packet, offset, N).and_then(|bytes| bytes.first_chunk().copied().into())
}

pub(super) const fn is_later_fragment(packet: &Packet) -> bool {
    packet.fragment_offset != 0
}

/// Type of service of IPv4 or traffic class of IPv6.
pub(super) fn traffic_class(packet: &Packet) -> Seen<u8> {
    network(packet, 0).map(|[first, second]: [u8; 2]| if packet.is_ipv6() { first << 4 | second >> 4 } else { second })
}
