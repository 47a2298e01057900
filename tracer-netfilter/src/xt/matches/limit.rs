//! `limit`: so many packets a time (`net/netfilter/xt_limit.c`).

use std::fmt::{self, Display, Formatter};

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Time for one packet, in 1/10000 of a second.
    period: u32,
    burst: u32,
}

/// What iptables takes if none is given.
const USUAL_BURST: u32 = 5;

impl Extension for Limit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { period: blob.u32(0)?, burst: blob.u32(4)? })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the rate so far (limit)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("limit");
        line.option(false, "--limit", Rate::of(self.period.into(), 10_000));
        line.option_if(self.burst != USUAL_BURST, "--limit-burst", self.burst);
        line
    }
}

/// Packets a time, in the largest unit that tells it well.
pub(super) struct Rate {
    /// `None` for a period of nothing.
    pub packets: Option<u64>,
    pub unit: &'static str,
    /// Seconds of the unit.
    pub seconds: u64,
}

impl Rate {
    /// `period` for one packet, `scale` of which are a second.
    pub(super) fn of(period: u64, scale: u64) -> Self {
        const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1)];
        let parts = |seconds: u64| {
            let unit = seconds.saturating_mul(scale);
            unit.checked_div(period).zip(unit.checked_rem(period))
        };
        let fits =
            |(_, seconds): &&(&str, u64)| parts(*seconds).is_some_and(|(whole, rest)| whole > 0 && whole >= rest);
        let (unit, seconds) = UNITS[1..].iter().take_while(fits).last().copied().unwrap_or(UNITS[0]);
        Self { packets: parts(seconds).map(|(whole, _)| whole), unit, seconds }
    }
}

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.packets {
            Some(packets) => write!(f, "{packets}/{}", self.unit),
            None => f.write_str("inf"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_the_largest_unit_that_tells_it_well() {
        let text = |period| Rate::of(period, 10_000).to_string();
        assert_eq!((text(10_000).as_str(), text(600_000).as_str()), ("1/sec", "1/min"));
        assert_eq!((text(12_000_000).as_str(), text(0).as_str()), ("3/hour", "inf"));
        assert_eq!((text(864_000_000).as_str(), text(1).as_str()), ("1/day", "10000/sec"));
    }
}
