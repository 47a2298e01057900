//! How much of the time may be spent on what is costly, so that a flood of questions cannot eat the processor.

use std::time::{Duration, Instant};

/// Work may take one part in so many of the time, …
const SHARE: u32 = 20;
/// … and so much at once.
const BURST: Duration = Duration::from_millis(500);

/// A bucket of time that fills slowly.
#[derive(Debug)]
pub(super) struct Allowance {
    /// What was spent and has not come back yet.
    debt: Duration,
    at: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { debt: Duration::ZERO, at: Instant::now() }
    }
}

impl Allowance {
    /// Does the work, unless too much was spent already.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let begun = Instant::now();
        self.debt = self.debt.saturating_sub(begun.saturating_duration_since(self.at) / SHARE);
        self.at = begun;
        if self.debt > BURST {
            return None;
        }
        let done = work();
        self.debt += begun.elapsed();
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_slowly() {
        let mut allowance = Allowance::default();
        assert_eq!(allowance.spend(|| 1), Some(1));
        allowance.debt = BURST * 2;
        assert_eq!(allowance.spend(|| 1), None);
        allowance.at = Instant::now().checked_sub(BURST * 2 * SHARE).unwrap();
        assert_eq!(allowance.spend(|| 1), Some(1));
    }
}
