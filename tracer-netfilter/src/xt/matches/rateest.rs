//! `rateest`: rates that RATEEST estimates (`net/netfilter/xt_rateest.c`).

use super::statistic::rounded_quotient;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateEstimate {
    names: (String, String),
    flags: u16,
    mode: u16,
    /// Bytes a second of both estimators, or one and what it is compared with.
    bytes: (u32, u32),
    packets: (u32, u32),
}

const INVERTED: u16 = 1 << 0;
const ABSOLUTE: u16 = 1 << 1;
const RELATIVE: u16 = 1 << 2;
const DELTA: u16 = 1 << 3;
const BYTES: u16 = 1 << 4;
const PACKETS: u16 = 1 << 5;

impl Extension for RateEstimate {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            names: (blob.string(0, 16)?, blob.string(16, 16)?),
            flags: blob.u16(32)?,
            mode: blob.u16(34)?,
            bytes: (blob.u32(36)?, blob.u32(44)?),
            packets: (blob.u32(40)?, blob.u32(48)?),
        })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the rate so far (rateest)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("rateest");
        line.flag_if(self.has(DELTA), "--rateest-delta");
        line.option(false, if self.has(RELATIVE) { "--rateest1" } else { "--rateest" }, &self.names.0);
        if self.has(BYTES) {
            self.compare(&mut line, "bps", (&bits(self.bytes.0), &bits(self.bytes.1)));
        }
        if self.has(PACKETS) {
            let packets = (self.packets.0.to_string(), self.packets.1.to_string());
            self.compare(&mut line, "pps", (&packets.0, &packets.1));
        }
        line.option_if(self.has(RELATIVE), "--rateest2", &self.names.1);
        line
    }
}

impl RateEstimate {
    const fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }

    fn compare(&self, line: &mut Line, of: &str, rates: (&str, &str)) {
        let mode = match self.mode {
            1 => "--rateest-eq",
            2 => "--rateest-lt",
            _ => "--rateest-gt",
        };
        let has_second = self.has(ABSOLUTE | DELTA);
        let second = if self.has(DELTA) {
            line.option(false, &format!("--rateest-{of}1"), rates.0);
            format!("--rateest-{of}2")
        } else {
            format!("--rateest-{of}")
        };
        line.flag(self.has(INVERTED), mode);
        if has_second { line.option(false, &second, rates.1) } else { line.flag(false, &second) }
    }
}

/// Bytes a second as bits, in a unit that fits.
fn bits(bytes: u32) -> String {
    let bits = u128::from(bytes) * 8;
    match bits {
        1_000_000_000.. => format!("{}Mbit", rounded_quotient(bits, 1_000_000)),
        1_000_000.. => format!("{}Kbit", rounded_quotient(bits, 1_000)),
        _ => format!("{bits}bit"),
    }
}
