//! `icmp` and `icmp6`: type and codes (`icmp_match`, `icmp6_match` in `net/netfilter/xt_tcpudp.c`).

use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    is_ipv6: bool,
    kind: u8,
    codes: (u8, u8),
    is_inverted: bool,
}

/// The type that stands for any, of ICMP but not of ICMPv6.
const ANY: u8 = 0xff;
const HEADER: usize = 8;

impl Extension for Icmp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            is_ipv6: blob.name == "icmp6",
            kind: blob.u8(0)?,
            codes: (blob.u8(1)?, blob.u8(2)?),
            is_inverted: blob.u8(3)? & 1 != 0,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        if seen::is_later_fragment(view.packet) || seen::transport_slice(view.packet, 0, HEADER) == Seen::Short {
            return Truth::No;
        }
        if self.is_any() {
            return Truth::from(!self.is_inverted);
        }
        let (lowest, highest) = self.codes;
        seen::transport(view.packet, 0).test("the ICMP type", |[kind, code]: [u8; 2]| {
            (kind == self.kind && lowest <= code && code <= highest) != self.is_inverted
        })
    }

    fn line(&self, _: Family) -> Line {
        let (name, option) = if self.is_ipv6 { ("icmp6", "--icmpv6-type") } else { ("icmp", "--icmp-type") };
        let mut line = Line::new(name);
        if self.is_any() {
            line.option(self.is_inverted, option, "any");
        } else if self.codes == (0, u8::MAX) {
            line.option(self.is_inverted, option, self.kind);
        } else {
            line.option(self.is_inverted, option, format_args!("{}/{}", self.kind, self.codes.0));
        }
        line
    }
}

impl Icmp {
    const fn is_any(&self) -> bool {
        self.kind == ANY && !self.is_ipv6
    }
}
