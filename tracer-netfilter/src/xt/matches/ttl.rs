//! `ttl` and `hl`: hops left (`net/netfilter/xt_hl.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopLimit {
    is_ipv6: bool,
    mode: u8,
    hops: u8,
}

const EQUAL: u8 = 0;
const NOT_EQUAL: u8 = 1;
const LESS: u8 = 2;
const GREATER: u8 = 3;

impl Extension for HopLimit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { is_ipv6: blob.name == "hl", mode: blob.u8(0)?, hops: blob.u8(1)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let offset = if view.packet.is_ipv6() { 7 } else { 8 };
        seen::network(view.packet, offset).test("the hops left", |[hops]| match self.mode {
            EQUAL => hops == self.hops,
            NOT_EQUAL => hops != self.hops,
            LESS => hops < self.hops,
            GREATER => hops > self.hops,
            _ => false,
        })
    }

    fn line(&self, _: Family) -> Line {
        let (name, [equal, less, greater]) = if self.is_ipv6 {
            ("hl", ["--hl-eq", "--hl-lt", "--hl-gt"])
        } else {
            ("ttl", ["--ttl-eq", "--ttl-lt", "--ttl-gt"])
        };
        let option = match self.mode {
            LESS => less,
            GREATER => greater,
            _ => equal,
        };
        let mut line = Line::new(name);
        line.option(self.mode == NOT_EQUAL, option, self.hops);
        line
    }
}
