//! A number that was measured several times.

use std::fmt;

use serde::Serialize;

/// Median and range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) samples: usize,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        let (least, most) = (*samples.first()?, *samples.last()?);
        let middle = samples.len() / 2;
        let median =
            if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) };
        Some(Self { median, least, most, samples: samples.len() })
    }
}

impl fmt::Display for Spread {
    /// `72 [60..84]`; small numbers with two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.most.abs() < 10.0 { 2 } else { 0 };
        write!(f, "{:.digits$} [{:.digits$}..{:.digits$}]", self.median, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().to_string(), "2.00 [1.00..3.00]");
        assert_eq!(Spread::of([40.0, 10.0, 20.0, 30.0]).unwrap().to_string(), "25 [10..40]");
    }
}
