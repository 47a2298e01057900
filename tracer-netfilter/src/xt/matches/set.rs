//! `set`: membership in a set of ipset (`net/netfilter/xt_set.c`).
//!
//! Rule: the kernel knows sets by a number; their names are the reader's to find.

use super::line::list;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};
use crate::ipset::Options;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    index: u16,
    /// For each dimension whether the source is looked up.
    is_source: Vec<bool>,
    is_inverted: bool,
    /// `IPSET_FLAG_` bits.
    flags: u32,
    packets: Counter,
    bytes: Counter,
}

/// A condition on the counter of the element that is found (`IPSET_COUNTER_`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counter {
    operator: u8,
    value: u64,
}

/// `IPSET_DIM_MAX`.
const MOST_DIMENSIONS: u8 = 6;
const SKIP_COUNTER_UPDATE: u32 = 1 << 3;
const SKIP_SUBCOUNTER_UPDATE: u32 = 1 << 4;
const RETURN_NOMATCH: u32 = 1 << 7;

impl Extension for Set {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2, 3, 4])?;
        if blob.revision == 0 {
            return Self::decode_first(blob);
        }
        let (dimensions, bits) = (blob.u8(2)?.min(MOST_DIMENSIONS), blob.u8(3)?);
        let counter = |operator, value| Ok(Counter { operator: blob.u8(operator)?, value: blob.u64(value)? });
        let (packets, bytes, flags) = match blob.revision {
            3 => (counter(8, 16)?, counter(24, 32)?, blob.u32(40)?),
            4 => (counter(16, 8)?, counter(32, 24)?, blob.u32(40)?),
            2 => (Counter::default(), Counter::default(), u32::from(bits) & RETURN_NOMATCH),
            _ => (Counter::default(), Counter::default(), 0),
        };
        Ok(Self {
            index: blob.u16(0)?,
            is_source: (1..=dimensions).map(|dimension| bits & 1 << dimension != 0).collect(),
            is_inverted: bits & 1 != 0,
            flags,
            packets,
            bytes,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let set = match view.world.ipset(self.index) {
            Ok(set) => set,
            Err(why) => return Truth::unknown(why),
        };
        let is_in = set.find(view.packet, &self.is_source, Options::from_flags(self.flags)).truth;
        if self.packets.operator != 0 || self.bytes.operator != 0 {
            let counters = Truth::unknown(format!("the counters in set {}", set.name));
            // The condition on the counters comes behind the `!`.
            return is_in.invert_if(self.is_inverted).and(counters);
        }
        is_in.invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        self.line_naming(&format!("#{}", self.index))
    }
}

impl Set {
    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// `struct xt_set_info_match_v0`: a word of flags for each dimension, the first also with that for `!`.
    fn decode_first(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        let mut is_source = Vec::new();
        for dimension in 0..usize::from(MOST_DIMENSIONS) {
            match blob.u32(4 + 4 * dimension)? {
                0 => break,
                flags => is_source.push(flags & 0x01 != 0),
            }
        }
        Ok(Self {
            index: blob.u16(0)?,
            is_source,
            is_inverted: blob.u32(4)? & 0x04 != 0,
            flags: 0,
            packets: Counter::default(),
            bytes: Counter::default(),
        })
    }

    /// What decided: `10.99.1.2 is in set bl (10.99.0.0/16)`.
    pub(super) fn evidence(&self, view: &View<'_>) -> Option<String> {
        let set = view.world.ipset(self.index).ok()?;
        set.evidence(view.packet, &self.is_source, Options::from_flags(self.flags))
    }

    /// The kernel's number of the set.
    pub(super) const fn index(&self) -> u16 {
        self.index
    }

    pub(super) fn line_naming(&self, name: &str) -> Line {
        let mut line = Line::new("set");
        let sides = list(self.is_source.iter().map(|is_source| if *is_source { "src" } else { "dst" }));
        line.option(self.is_inverted, "--match-set", format!("{name} {sides}"));
        line.flag_if(self.has(RETURN_NOMATCH), "--return-nomatch");
        if self.has(SKIP_COUNTER_UPDATE) {
            line.flag(true, "--update-counters");
        }
        if self.has(SKIP_SUBCOUNTER_UPDATE) {
            line.flag(true, "--update-subcounters");
        }
        for (counter, of) in [(self.packets, "packets"), (self.bytes, "bytes")] {
            match counter.operator {
                1 | 2 => line.option(counter.operator == 2, &format!("--{of}-eq"), counter.value),
                3 => line.option(false, &format!("--{of}-lt"), counter.value),
                4 => line.option(false, &format!("--{of}-gt"), counter.value),
                _ => {}
            }
        }
        line
    }
}
