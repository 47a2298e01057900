//! `connlimit`: connections at a time for each address (`net/netfilter/xt_connlimit.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimit {
    revision: u8,
    is_ipv6: bool,
    mask: [u8; 16],
    limit: u32,
    flags: u32,
}

/// Up to the limit, other than above.
const INVERTED: u32 = 1 << 0;
const BY_DESTINATION: u32 = 1 << 1;

impl Extension for ConnectionLimit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        Ok(Self {
            revision: blob.revision,
            is_ipv6: blob.is_ipv6(),
            mask: blob.bytes(0)?,
            limit: blob.u32(16)?,
            flags: blob.u32(20)?,
        })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the number of connections (connlimit)")
    }

    fn line(&self, _: Family) -> Line {
        let is_inverted = self.flags & INVERTED != 0;
        let mut line = Line::new("connlimit");
        line.option(false, if is_inverted { "--connlimit-upto" } else { "--connlimit-above" }, self.limit);
        let words = self.mask.chunks_exact(4).take(if self.is_ipv6 { 4 } else { 1 });
        let bits: u32 =
            words.filter_map(|word| word.first_chunk()).map(|word| u32::from_be_bytes(*word).leading_ones()).sum();
        line.option(false, "--connlimit-mask", bits);
        if self.revision >= 1 {
            let by_destination = self.flags & BY_DESTINATION != 0;
            line.flag(false, if by_destination { "--connlimit-daddr" } else { "--connlimit-saddr" });
        }
        line
    }
}
