//! Readings that are used again as far as that is right or needed.
//!
//! Rules: a reading tells about a drop only if it was begun after it. Reading takes no more than one part in [`SHARE`] of
//! the time, for all readings of one kind together; where that is used up the last one has to do, if it is not too old, and
//! the answer says so. Failures are kept no longer than anything else.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::host::clock::monotonic;

/// One part in so many of the time is spent on reading, in the long run, …
const SHARE: u32 = 20;
/// … and so much at once. On a busy machine a reading of some milliseconds may take some hundred.
const BURST: Duration = Duration::from_secs(2);
/// A reading that is older is of no use, nanoseconds.
const OLDEST: u64 = 5_000_000_000;
/// Readings kept.
const MOST: usize = 256;

/// Time for what is costly, which comes back slowly.
#[derive(Debug)]
pub(crate) struct Allowance {
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
    pub(crate) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
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

#[derive(Debug)]
struct Reading<V> {
    value: V,
    /// `CLOCK_MONOTONIC`, ns. Taken before: what comes to be while it is read may not have been seen.
    begun: u64,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read<V> {
    pub(crate) value: V,
    /// It was begun before the drop: what it names may be gone, or have come since.
    pub(crate) is_early: bool,
}

/// Takes what was read, and notes what is open about it.
pub(crate) fn note<V>(what: &str, read: Option<Read<V>>, unknown: &mut Vec<String>) -> Option<V> {
    let open = match &read {
        None => format!("{what}: not read again yet, to spare the CPU"),
        Some(Read { is_early: true, .. }) => format!("{what} at the drop: read a little before it, to spare the CPU"),
        Some(_) => return read.map(|read| read.value),
    };
    if !unknown.contains(&open) {
        unknown.push(open);
    }
    read.map(|read| read.value)
}

/// Readings by what they are of.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    readings: HashMap<K, Reading<V>>,
    allowance: Allowance,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { readings: HashMap::new(), allowance: Allowance::default() }
    }
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// What was read after the drop (`CLOCK_MONOTONIC`, ns) or is read now; without time for that, what was read before it;
    /// `None` where there is nothing of late.
    pub(crate) fn get(&mut self, key: K, drop: u64, read: impl FnOnce() -> V) -> Option<Read<V>> {
        self.compared(key, drop, |_| read())
    }

    /// The same; reading is given the reading before, to compare with.
    pub(crate) fn compared(&mut self, key: K, drop: u64, read: impl FnOnce(Option<&V>) -> V) -> Option<Read<V>> {
        let kept = self.readings.get(&key);
        if let Some(kept) = kept.filter(|kept| kept.begun >= drop) {
            return Some(Read { value: kept.value.clone(), is_early: false });
        }
        let begun = monotonic();
        let Some(value) = self.allowance.spend(|| read(kept.map(|kept| &kept.value))) else {
            let last = kept.filter(|kept| begun.saturating_sub(kept.begun) < OLDEST)?;
            return Some(Read { value: last.value.clone(), is_early: true });
        };
        if self.readings.len() >= MOST {
            self.readings.retain(|_, kept| begun.saturating_sub(kept.begun) < OLDEST);
        }
        if self.readings.len() >= MOST {
            self.readings.clear();
        }
        self.readings.insert(key, Reading { value: value.clone(), begun });
        Some(Read { value, is_early: false })
    }

    /// Lets no more be read for a long while.
    #[cfg(test)]
    pub(crate) fn exhaust(&mut self) {
        self.allowance.debt = Duration::from_hours(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be nothing")]
    fn of<V>(value: V, is_early: bool) -> Option<Read<V>> {
        Some(Read { value, is_early })
    }

    #[test]
    fn a_reading_tells_about_what_was_dropped_before_it_and_nothing_else() {
        let mut recent = Recent::default();
        let drop = monotonic();
        assert_eq!(recent.get('a', drop, || Err(1)), of(Err(1), false));
        assert_eq!(recent.get('a', drop, || Ok(2)), of(Err(1), false), "read after this drop");
        assert_eq!(recent.get('a', monotonic(), || Ok(3)), of(Ok(3), false), "a later drop");
        assert_eq!(recent.get('b', drop, || Ok(4)), of(Ok(4), false), "another one");
        assert_eq!(recent.compared('b', monotonic(), |before| before.unwrap().map(|old| old + 1)), of(Ok(5), false));
    }

    #[test]
    fn where_the_time_is_used_up_the_last_reading_has_to_do() {
        let mut recent = Recent::default();
        assert_eq!(recent.get('a', monotonic(), || 1), of(1, false));
        recent.exhaust();
        assert_eq!(recent.get('a', monotonic(), || 2), of(1, true));
        assert_eq!(recent.get('b', monotonic(), || 3), None);
        recent.readings.get_mut(&'a').unwrap().begun = monotonic().saturating_sub(OLDEST);
        assert_eq!(recent.get('a', monotonic(), || 2), None, "too old");
    }

    #[test]
    fn what_is_from_before_the_drop_is_said_to_be_once() {
        let mut unknown = Vec::new();
        for read in [of(1, false), of(1, true), of(1, true)] {
            assert_eq!(note("the routes", read, &mut unknown), Some(1));
        }
        assert_eq!(unknown, ["the routes at the drop: read a little before it, to spare the CPU"]);
        assert_eq!(note::<u8>("the routes", None, &mut unknown), None);
        assert_eq!(unknown[1], "the routes: not read again yet, to spare the CPU");
    }

    #[test]
    fn what_was_spent_comes_back_slowly() {
        let mut allowance = Allowance::default();
        assert_eq!(allowance.spend(|| std::thread::sleep(Duration::from_millis(20))), Some(()));
        assert!(allowance.debt >= Duration::from_millis(20), "{allowance:?}");
        allowance.debt = BURST * 2;
        assert_eq!(allowance.spend(|| 1), None);
        allowance.at = Instant::now().checked_sub(BURST * 2 * SHARE).unwrap();
        assert_eq!(allowance.spend(|| 1), Some(1));
    }

    #[test]
    fn few_are_kept() {
        let mut recent = Recent::default();
        for key in 0..10 * MOST {
            recent.get(key, 0, || 0);
        }
        assert!(recent.readings.len() <= MOST);
    }
}
