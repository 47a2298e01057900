//! Readings that are used again for a while.
//!
//! Rule: reading takes no more than one part in [`SHARE`] of the time: what took long to read is used for longer.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// One part in so many of the time is spent on reading.
const SHARE: u32 = 20;
/// A reading is used for at least so long.
const LEAST: Duration = Duration::from_millis(100);
/// Readings kept.
const MOST: usize = 256;

#[derive(Debug)]
struct Reading<V> {
    value: V,
    done: Instant,
    cost: Duration,
}

/// Readings by what they are of.
#[derive(Debug)]
pub(crate) struct Recent<K, V>(HashMap<K, Reading<V>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// The kept reading, or a new one if that is too old.
    pub(crate) fn get(&mut self, key: K, read: impl FnOnce() -> V) -> V {
        if let Some(kept) = self.0.get(&key).filter(|kept| kept.is_fresh()) {
            return kept.value.clone();
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, kept| kept.is_fresh());
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let begun = Instant::now();
        let value = read();
        self.0.insert(key, Reading { value: value.clone(), done: Instant::now(), cost: begun.elapsed() });
        value
    }
}

impl<V> Reading<V> {
    fn is_fresh(&self) -> bool {
        self.done.elapsed() < (self.cost * SHARE).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_used_again_for_as_long_as_it_cost() {
        let mut recent = Recent::default();
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            1
        };
        assert_eq!(recent.get('a', slow), 1);
        assert_eq!(recent.get('a', || 2), 1, "kept");
        assert_eq!(recent.get('b', || 3), 3, "another one");
        let kept = recent.0.get_mut(&'a').unwrap();
        assert!(kept.cost * SHARE >= Duration::from_millis(400));
        kept.done = Instant::now().checked_sub(kept.cost * (SHARE + 1)).unwrap();
        assert_eq!(recent.get('a', || 2), 2, "too old");
        for other in 0..10 * MOST {
            recent.get(char::from_u32(0x1000 + other as u32).unwrap(), || 0);
        }
        assert!(recent.0.len() <= MOST);
    }
}
