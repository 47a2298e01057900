//! Readings of what is attached, used again as far as that is right or needed.
//!
//! Rules: programs come and go, so a reading tells about a drop only if it was done after it; reading may take no more
//! than one part in [`SHARE`] of the time, and where that is used up, the last reading has to do.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::host::clock::monotonic;

/// One part in so many of the time is spent on reading, in the long run.
const SHARE: u32 = 20;
/// Time for reading that can be saved up.
const SAVED: Duration = Duration::from_millis(250);
/// A reading that is older is not used, whatever a new one takes.
const OLDEST: Duration = Duration::from_secs(5);
/// Readings kept.
const MOST: usize = 256;

#[derive(Debug)]
struct Reading<V> {
    value: V,
    done: Instant,
    /// The same, nanoseconds of `CLOCK_MONOTONIC`.
    clock: u64,
}

#[derive(Debug)]
pub(super) struct Kept<K, V> {
    readings: HashMap<K, Reading<V>>,
    credit: Duration,
    counted: Instant,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { readings: HashMap::new(), credit: SAVED, counted: Instant::now() }
    }
}

impl<K: Hash + Eq, V: Clone> Kept<K, V> {
    /// What was read after the drop (`CLOCK_MONOTONIC`, ns; 0 if that is not known), or is read now; and whether it is a
    /// reading from before it after all.
    pub(super) fn get(&mut self, key: K, drop: u64, read: impl FnOnce() -> V) -> (V, bool) {
        let now = Instant::now();
        self.credit = (self.credit + now.saturating_duration_since(self.counted) / SHARE).min(SAVED);
        self.counted = now;
        if let Some(kept) = self.readings.get(&key) {
            let tells = drop != 0 && kept.clock >= drop;
            if tells || self.credit.is_zero() && kept.done.elapsed() < OLDEST {
                return (kept.value.clone(), !tells);
            }
        }
        if self.readings.len() >= MOST {
            self.readings.clear();
        }
        // Taken before: what comes to be meanwhile may not have been seen.
        let clock = monotonic();
        let value = read();
        let done = Instant::now();
        self.credit = self.credit.saturating_sub(done - now);
        self.readings.insert(key, Reading { value: value.clone(), done, clock });
        (value, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_after_the_drop_is_used_again_and_no_other() {
        let mut kept = Kept::default();
        let drop = monotonic();
        assert_eq!(kept.get('a', drop, || 1), (1, false));
        assert_eq!(kept.get('a', drop, || 2), (1, false), "read after this drop");
        assert_eq!(kept.get('a', monotonic(), || 3), (3, false), "a later drop");
        assert_eq!(kept.get('a', 0, || 4), (4, false), "a drop at an unknown time");
        assert_eq!(kept.get('b', drop, || 5), (5, false), "another one");
    }

    #[test]
    fn where_the_time_is_used_up_the_last_reading_has_to_do() {
        let mut kept = Kept::default();
        let slow = || {
            std::thread::sleep(2 * SAVED);
            1
        };
        assert_eq!(kept.get('a', 0, slow), (1, false));
        kept.credit = Duration::ZERO;
        kept.counted = Instant::now() + Duration::from_secs(1);
        assert_eq!(kept.get('a', monotonic(), || 2), (1, true));
    }

    #[test]
    fn few_are_kept() {
        let mut kept = Kept::default();
        for key in 0..10 * MOST {
            kept.get(key, 0, || 0);
        }
        assert!(kept.readings.len() <= MOST);
    }
}
