//! How often the same question may be asked again: after 1 s, 2 s, 4 s … up to about a minute.
//!
//! Rule: whoever causes events decides what is unknown, so the cost of not knowing must be bounded, in time and memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);
/// Keys remembered (24 bytes each); when full, those that may be asked again are forgotten, then new keys have to wait.
const MAX_KEYS: usize = 4096;

#[derive(Debug, Default)]
pub struct Backoff {
    next: HashMap<u32, (Instant, Duration)>,
    /// When there was last an attempt to make room.
    swept: Option<Instant>,
}

impl Backoff {
    /// Whether `key` may be asked about now; if so, the next time is twice as far away.
    pub fn ready(&mut self, key: u32, now: Instant) -> bool {
        if let Some((next, wait)) = self.next.get_mut(&key) {
            if now < *next {
                return false;
            }
            *wait = wait.saturating_mul(2).min(LONGEST);
            *next = now + *wait;
            return true;
        }
        if self.next.len() >= MAX_KEYS && !self.make_room(now) {
            return false;
        }
        self.next.insert(key, (now + FIRST, FIRST));
        true
    }

    /// Not more often than a key can become free.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.swept.is_some_and(|swept| now < swept + FIRST) {
            return false;
        }
        self.swept = Some(now);
        self.next.retain(|_, (next, _)| now < *next);
        self.next.len() < MAX_KEYS
    }

    /// The question was answered.
    pub fn clear(&mut self, key: u32) {
        self.next.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        let asked = (0..300_000u64).filter(|ms| backoff.ready(7, start + Duration::from_millis(*ms))).count();
        // At 0, 1, 3, 7, 15, 31, 63, 127, 191 and 255 s.
        assert_eq!(asked, 10);
        backoff.clear(7);
        assert!(backoff.ready(7, start));
    }

    #[test]
    fn memory_is_bounded_and_recovers() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let asked = (0..100_000).filter(|key| backoff.ready(*key, now)).count();
        assert_eq!((asked, backoff.next.len()), (MAX_KEYS, MAX_KEYS));
        assert!(backoff.ready(200_000, now + Duration::from_secs(2)));
    }
}
