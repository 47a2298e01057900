//! One connection, from and to the kernel's attributes.
//!
//! Rule: an entry without both of its tuples is none.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::netlink::Attributes;
use crate::packet::Tuple;

use super::NESTED;

/// `IPS_SEEN_REPLY` and `IPS_ASSURED`.
const SEEN_REPLY: u32 = 1 << 1;
const ASSURED: u32 = 1 << 2;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`
const BE_LIBERAL: u8 = 0x08;

/// A tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub original: Tuple,
    pub reply: Tuple,
    /// `IPS_` bits.
    pub status: u32,
    /// Seconds that it still has; absent in some kernels for offloaded ones.
    pub timeout: Option<u32>,
    pub tcp: Option<TcpState>,
}

/// What is known of a TCP connection (`CTA_PROTOINFO_TCP_`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpState {
    /// `enum tcp_conntrack`.
    pub state: u8,
    /// Segments outside the window are let pass on this connection.
    pub is_liberal: bool,
}

impl Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 10] = [
            "NONE",
            "SYN_SENT",
            "SYN_RECV",
            "ESTABLISHED",
            "FIN_WAIT",
            "CLOSE_WAIT",
            "LAST_ACK",
            "TIME_WAIT",
            "CLOSE",
            "SYN_SENT2",
        ];
        f.write_str(NAMES.get(usize::from(self.state)).copied().unwrap_or("an unknown state"))
    }
}

impl Entry {
    /// An answer was seen.
    pub const fn is_replied(&self) -> bool {
        self.status & SEEN_REPLY != 0
    }

    /// It is not thrown out to make room.
    pub const fn is_assured(&self) -> bool {
        self.status & ASSURED != 0
    }

    /// `CTA_`: 1 and 2 tuples, 3 status, 4 what the protocol knows, 7 timeout.
    pub(super) fn decode(data: Attributes<'_>) -> Option<Self> {
        let tcp = data.nested(4).nested(1);
        Some(Self {
            original: parsed(data.nested(1))?,
            reply: parsed(data.nested(2))?,
            status: data.be32(3).unwrap_or(0),
            timeout: data.be32(7),
            tcp: tcp.u8(1).map(|state| {
                let flags = [4, 5].map(|kind| tcp.u8(kind).unwrap_or(0));
                TcpState { state, is_liberal: flags.iter().all(|flags| flags & BE_LIBERAL != 0) }
            }),
        })
    }
}

/// `CTA_TUPLE_`: 1 addresses, 2 protocol.
fn parsed(data: Attributes<'_>) -> Option<Tuple> {
    let (ip, protocol) = (data.nested(1), data.nested(2));
    let v4 = |kind| ip.get(kind)?.first_chunk::<4>().map(|bytes| IpAddr::V4(Ipv4Addr::from(*bytes)));
    let v6 = |kind| ip.get(kind)?.first_chunk::<16>().map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes)));
    let id = protocol.be16(4).or_else(|| protocol.be16(7));
    Some(Tuple {
        source: v4(1).or_else(|| v6(3))?,
        destination: v4(2).or_else(|| v6(4))?,
        source_port: protocol.be16(2).or(id).unwrap_or(0),
        destination_port: protocol.be16(3).or(id).unwrap_or(0),
        protocol: protocol.u8(1)?,
    })
}

/// The attributes of a tuple, to ask for it.
pub(super) fn tuple(tuple: &Tuple, icmp: Option<(u8, u8)>) -> Vec<u8> {
    let (mut ip, mut protocol, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (address, v4, v6) in [(tuple.source, 1, 3), (tuple.destination, 2, 4)] {
        match address {
            IpAddr::V4(address) => put(&mut ip, v4, &address.octets()),
            IpAddr::V6(address) => put(&mut ip, v6, &address.octets()),
        }
    }
    put(&mut protocol, 1, &[tuple.protocol]);
    match tuple.protocol {
        1 | 58 => {
            let first = if tuple.protocol == 1 { 4 } else { 7 };
            let (kind, code) = icmp.unwrap_or((if tuple.protocol == 1 { 8 } else { 128 }, 0));
            put(&mut protocol, first, &tuple.source_port.to_be_bytes());
            put(&mut protocol, first + 1, &[kind]);
            put(&mut protocol, first + 2, &[code]);
        }
        _ => {
            put(&mut protocol, 2, &tuple.source_port.to_be_bytes());
            put(&mut protocol, 3, &tuple.destination_port.to_be_bytes());
        }
    }
    put(&mut all, 1 | NESTED, &ip);
    put(&mut all, 2 | NESTED, &protocol);
    all
}

/// Adds an attribute; all here are short.
pub(super) fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len().saturating_add(4)).unwrap_or(4);
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}
