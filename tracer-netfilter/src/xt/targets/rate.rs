//! RATEEST: measures how much passes.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_rateest_target_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateEstimator {
    name: String,
    /// A measurement is made each 250 ms shifted left by two more than this.
    interval: i8,
    /// The mean is over so many intervals, as a power of two.
    mean: u8,
}

const MICROSECONDS: u64 = 1_000_000;

impl Extension for RateEstimator {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { name: blob.string(0, 16)?, interval: blob.u8(16)?.cast_signed(), mean: blob.u8(17)? })
    }

    fn line(&self, _family: Family) -> Line {
        let shift = u32::try_from(i32::from(self.interval) + 2).unwrap_or(0);
        let interval = MICROSECONDS.checked_shl(shift).unwrap_or(0) / 4;
        let mean = interval.checked_shl(self.mean.into()).unwrap_or(0);
        Line::new("RATEEST")
            .option("--rateest-name", &self.name)
            .option("--rateest-interval", duration(interval))
            .option("--rateest-ewmalog", duration(mean))
    }
}

/// `250.0ms`, `1.0s`
fn duration(microseconds: u64) -> String {
    let (unit, name) = match microseconds {
        0..1_000 => return format!("{microseconds}us"),
        1_000..MICROSECONDS => (1_000, "ms"),
        _ => (MICROSECONDS, "s"),
    };
    format!("{}.{}{name}", microseconds / unit, microseconds % unit * 10 / unit)
}
