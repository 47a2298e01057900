//! `frag`: the fragment header of IPv6 (`net/ipv6/netfilter/ip6t_frag.c`).

use super::extension_headers::Found;
use super::line::range;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    ids: (u32, u32),
    /// Printed, but not looked at by the kernel.
    length: u32,
    flags: u8,
    inverted: u8,
}

const LENGTH: u8 = 0x02;
const RESERVED: u8 = 0x04;
const FIRST: u8 = 0x08;
const MORE: u8 = 0x10;
const LAST: u8 = 0x20;
const INVERTED_IDS: u8 = 0x01;
const INVERTED_LENGTH: u8 = 0x02;
const WHAT: &str = "the fragment header";

impl Extension for Fragment {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { ids: blob.u32_pair(0)?, length: blob.u32(8)?, flags: blob.u8(12)?, inverted: blob.u8(13)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let offset = match extension_headers::find(view.packet, extension_headers::FRAGMENT) {
            Found::At(offset) => offset,
            Found::Absent => return Truth::No,
            Found::Unknown => return Truth::unknown(WHAT),
        };
        seen::network(view.packet, offset).test(WHAT, |[_, reserved, high, low, id @ ..]: [u8; 8]| {
            let (id, fragment) = (u32::from_be_bytes(id), u16::from_be_bytes([high, low]));
            let has_more = fragment & 0x1 != 0;
            (self.ids.0 <= id && id <= self.ids.1) != (self.inverted & INVERTED_IDS != 0)
                && !(self.has(RESERVED) && (reserved != 0 || fragment & 0x6 != 0))
                && !(self.has(FIRST) && fragment & !0x7 != 0)
                && (has_more || !self.has(MORE))
                && !(self.has(LAST) && has_more)
        })
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("frag");
        if self.ids != (0, u32::MAX) {
            line.option(self.inverted & INVERTED_IDS != 0, "--fragid", range(self.ids.0, self.ids.1));
        }
        if self.has(LENGTH) {
            line.option(self.inverted & INVERTED_LENGTH != 0, "--fraglen", self.length);
        }
        line.flag_if(self.has(RESERVED), "--fragres");
        line.flag_if(self.has(FIRST), "--fragfirst");
        line.flag_if(self.has(MORE), "--fragmore");
        line.flag_if(self.has(LAST), "--fraglast");
        line
    }
}

impl Fragment {
    const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }
}
