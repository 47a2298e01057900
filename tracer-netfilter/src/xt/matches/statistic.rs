//! `statistic`: by chance, or each so manieth packet (`net/netfilter/xt_statistic.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistic {
    mode: Mode,
    is_inverted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Parts of `0x8000_0000`.
    Random(u32),
    /// Every so many, one less; and which of them.
    Nth(u32, u32),
}

/// The probability of what is certain.
const CERTAIN: u32 = 0x8000_0000;

impl Extension for Statistic {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let mode = match blob.u16(0)? {
            0 => Mode::Random(blob.u32(4)?),
            1 => Mode::Nth(blob.u32(4)?, blob.u32(8)?),
            _ => return Err(DecodeError::Malformed("the match statistic")),
        };
        Ok(Self { mode, is_inverted: blob.u16(2)? & 1 != 0 })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        let truth = match self.mode {
            Mode::Random(0) => Truth::No,
            Mode::Random(CERTAIN..) | Mode::Nth(0, _) => Truth::Yes,
            Mode::Random(_) => Truth::unknown("chance (statistic)"),
            Mode::Nth(..) => Truth::unknown("the packets so far (statistic)"),
        };
        truth.invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("statistic");
        match self.mode {
            Mode::Random(probability) => {
                line.option(false, "--mode", "random");
                line.option(self.is_inverted, "--probability", decimals(probability));
            }
            Mode::Nth(every, packet) => {
                line.option(false, "--mode", "nth");
                line.option(self.is_inverted, "--every", every.wrapping_add(1));
                line.option(false, "--packet", packet);
            }
        }
        line
    }
}

/// With eleven decimals, the last rounded as C does: to the even one if in the middle.
fn decimals(probability: u32) -> String {
    const DECIMALS: u64 = 100_000_000_000;
    let scaled = u128::from(probability) * u128::from(DECIMALS);
    let rounded = rounded_quotient(scaled, CERTAIN.into()) as u64;
    format!("{}.{:011}", rounded / DECIMALS, rounded % DECIMALS)
}

/// Rounded to the nearest, and to the even one of two. `divisor` must not be 0.
pub(super) fn rounded_quotient(value: u128, divisor: u128) -> u128 {
    let (whole, rest) = (value / divisor, value % divisor);
    let is_up = rest * 2 > divisor || (rest * 2 == divisor && whole % 2 == 1);
    whole + u128::from(is_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_has_eleven_decimals() {
        assert_eq!(decimals(0x4000_0000), "0.50000000000");
        assert_eq!(decimals(CERTAIN), "1.00000000000");
        assert_eq!(decimals(0x8000_0000 / 4096), "0.00024414062", "in the middle, down to the even one");
    }
}
