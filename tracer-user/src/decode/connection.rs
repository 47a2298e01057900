//! The connection that a packet belongs to, as connection tracking has it.

use std::net::{IpAddr, Ipv6Addr};

use tracer_common::{DropEvent, ENTRY};

/// `NFPROTO_IPV4` and `NFPROTO_IPV6` (include/uapi/linux/netfilter.h).
const NFPROTO_IPV4: u16 = 2;
const NFPROTO_IPV6: u16 = 10;

/// A connection tracking entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub mark: u32,
    /// `IPS_` bits (include/uapi/linux/netfilter/nf_conntrack_common.h).
    pub status: u32,
    pub zone: u16,
    /// As its first packet was, before any translation of addresses.
    pub original: Tuple,
    /// As answers are expected, from translated addresses.
    pub reply: Tuple,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Of ICMP the id.
    pub source_port: u16,
    /// Of ICMP type * 256 + code.
    pub destination_port: u16,
}

impl Connection {
    pub(super) fn of(event: &DropEvent) -> Option<Self> {
        if event.conntrack & ENTRY == 0 {
            return None;
        }
        let raw = &event.connection;
        let (original, reply) = (Tuple::of(&raw.original)?, Tuple::of(&raw.reply)?);
        Some(Self { mark: raw.mark, status: raw.status, zone: raw.zone, original, reply })
    }
}

impl Tuple {
    /// `None` if there are no addresses in it.
    pub(crate) fn of(raw: &tracer_common::Tuple) -> Option<Self> {
        let address = |words: [u32; 4]| match (raw.family, words) {
            (NFPROTO_IPV4, [first, ..]) => Some(IpAddr::from(first.to_ne_bytes())),
            (NFPROTO_IPV6, words) => Some(octets(words)),
            _ => None,
        };
        Some(Self {
            source: address(raw.source)?,
            destination: address(raw.destination)?,
            protocol: raw.protocol,
            source_port: raw.source_port,
            destination_port: raw.destination_port,
        })
    }
}

fn octets(words: [u32; 4]) -> IpAddr {
    let mut octets = [0u8; 16];
    for (bytes, word) in octets.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets).into()
}
