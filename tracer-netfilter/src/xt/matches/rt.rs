//! `rt`: the routing header of IPv6 (`net/ipv6/netfilter/ip6t_rt.c`).

use std::net::Ipv6Addr;

use super::super::address::Numeric;
use super::extension_headers::Found;
use super::line::{list, range};
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    kind: u32,
    segments_left: (u32, u32),
    length: u32,
    flags: u8,
    inverted: u8,
    addresses: Vec<Ipv6Addr>,
}

const KIND: u8 = 0x01;
const LENGTH: u8 = 0x04;
const RESERVED: u8 = 0x08;
const ADDRESSES: u8 = 0x10;
const NOT_STRICT: u8 = 0x20;
const INVERTED_KIND: u8 = 0x01;
const INVERTED_SEGMENTS: u8 = 0x02;
const INVERTED_LENGTH: u8 = 0x04;
/// `IP6T_RT_HOPS`.
const MOST: u8 = 16;
const WHAT: &str = "the routing header";

impl Extension for Routing {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let address = |index: u8| blob.bytes::<16>(20 + 16 * usize::from(index)).map(Ipv6Addr::from);
        Ok(Self {
            kind: blob.u32(0)?,
            segments_left: blob.u32_pair(4)?,
            length: blob.u32(12)?,
            flags: blob.u8(16)?,
            inverted: blob.u8(17)?,
            addresses: (0..blob.u8(276)?.min(MOST)).map(address).collect::<Result<_, _>>()?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        let offset = match extension_headers::find(packet, extension_headers::ROUTING) {
            Found::At(offset) => offset,
            Found::Absent => return Truth::No,
            Found::Unknown => return Truth::unknown(WHAT),
        };
        let Seen::Is([_, length, kind, left]) = seen::network(packet, offset) else { return Truth::unknown(WHAT) };
        let length = (usize::from(length) + 1) * 8;
        let ends_before = packet.length.is_some_and(|whole| offset.saturating_add(length) > whole as usize);
        let (lowest, highest) = self.segments_left;
        let left = u32::from(left);
        let holds = !ends_before
            && (lowest <= left && left <= highest) != self.is_inverted(INVERTED_SEGMENTS)
            && (!self.has(LENGTH) || (self.length as usize == length) != self.is_inverted(INVERTED_LENGTH))
            && (!self.has(KIND) || (self.kind == u32::from(kind)) != self.is_inverted(INVERTED_KIND));
        let mut truth = Truth::from(holds);
        if self.has(RESERVED) {
            truth = truth.and(seen::network(packet, offset + 4).test(WHAT, |reserved| reserved == [0; 4]));
        }
        if self.has(ADDRESSES) {
            truth = truth.and(seen::at(packet, offset + 8, length - 8).test(WHAT, |bytes| self.visits(bytes)));
        }
        truth
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("rt");
        if self.has(KIND) {
            line.option(self.is_inverted(INVERTED_KIND), "--rt-type", self.kind);
        }
        if self.segments_left != (0, u32::MAX) {
            let (lowest, highest) = self.segments_left;
            line.option(self.is_inverted(INVERTED_SEGMENTS), "--rt-segsleft", range(lowest, highest));
        }
        if self.has(LENGTH) {
            line.option(self.is_inverted(INVERTED_LENGTH), "--rt-len", self.length);
        }
        line.flag_if(self.has(RESERVED), "--rt-0-res");
        if self.has(ADDRESSES) {
            let addresses = list(self.addresses.iter().map(|address| Numeric((*address).into())));
            line.option(false, "--rt-0-addrs", addresses);
        }
        line.flag_if(self.has(NOT_STRICT), "--rt-0-not-strict");
        line
    }
}

impl Routing {
    const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    const fn is_inverted(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }

    /// Whether the header's addresses are ours: all in their order, or (not strict) with others between.
    fn visits(&self, bytes: &[u8]) -> bool {
        let theirs =
            bytes.chunks_exact(16).filter_map(|address| address.first_chunk::<16>()).map(|a| Ipv6Addr::from(*a));
        if !self.has(NOT_STRICT) {
            return theirs.eq(self.addresses.iter().copied());
        }
        let mut ours = self.addresses.iter().copied().peekable();
        for address in theirs {
            ours.next_if_eq(&address);
        }
        ours.peek().is_none()
    }
}
