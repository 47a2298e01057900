//! `mh`: messages of mobile IPv6 (`net/ipv6/netfilter/ip6t_mh.c`).

use super::line::range;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mobility {
    kinds: (u8, u8),
    is_inverted: bool,
}

const ALL: (u8, u8) = (0, u8::MAX);

impl Extension for Mobility {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { kinds: (blob.u8(0)?, blob.u8(1)?), is_inverted: blob.u8(2)? & 1 != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        if seen::is_later_fragment(view.packet) {
            return Truth::No;
        }
        seen::transport(view.packet, 0).test("the mobility header", |[next, _, kind, ..]: [u8; 6]| {
            next == extension_headers::NONE && (self.kinds.0 <= kind && kind <= self.kinds.1) != self.is_inverted
        })
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("mh");
        if self.kinds != ALL {
            line.option(self.is_inverted, "--mh-type", range(self.kinds.0, self.kinds.1));
        }
        line
    }
}
