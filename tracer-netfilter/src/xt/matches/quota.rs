//! `quota`: until so many bytes have passed (`net/netfilter/xt_quota.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes at the start.
    bytes: u64,
    is_inverted: bool,
}

impl Extension for Quota {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { bytes: blob.u64(8)?, is_inverted: blob.u32(0)? & 1 != 0 })
    }

    /// What is larger than the whole quota never fits into what is left of it.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        if view.packet.length.is_some_and(|length| u64::from(length) > self.bytes) {
            return Truth::from(self.is_inverted);
        }
        Truth::unknown("what is left of the quota")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("quota");
        line.option(self.is_inverted, "--quota", self.bytes);
        line
    }
}
