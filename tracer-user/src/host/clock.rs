//! From the kernel's event time to wall-clock time.
//!
//! Rule: `bpf_ktime_get_ns` is `CLOCK_MONOTONIC`, which stands still in suspend and does not follow a step of the wall
//! clock, so the offset is measured again each tick: an event is off by at most what happened within its tick.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tries to read both clocks without being interrupted in between.
const TRIES: u32 = 5;

/// The distance between the two clocks when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Wall clock minus monotonic clock, nanoseconds.
    offset: i128,
}

impl Clock {
    /// Measures; good to the time that two clock readings take (about 100 ns).
    pub fn measure() -> Self {
        let mut best = (u64::MAX, 0);
        for _ in 0..TRIES {
            let before = monotonic();
            let wall = unix(SystemTime::now());
            let took = monotonic().saturating_sub(before);
            if took < best.0 {
                best = (took, wall - i128::from(before) - i128::from(took / 2));
            }
        }
        Self { offset: best.1 }
    }

    /// The wall-clock time of an event; saturates at the epoch.
    pub fn wall(&self, monotonic_ns: u64) -> SystemTime {
        let ns = u64::try_from(i128::from(monotonic_ns) + self.offset).unwrap_or_default();
        UNIX_EPOCH + Duration::from_nanos(ns)
    }

    /// The event time of a wall-clock time, nanoseconds since the epoch: 0 for one before the boot, never later than now.
    pub fn monotonic(&self, unix_ns: i64) -> u64 {
        let ns = i128::from(unix_ns) - self.offset;
        u64::try_from(ns.max(0)).unwrap_or(u64::MAX).min(monotonic())
    }
}

/// Nanoseconds since the epoch; negative before it.
fn unix(time: SystemTime) -> i128 {
    let ns = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or_default();
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -ns(before.duration()), ns)
}

/// `CLOCK_MONOTONIC`, nanoseconds.
pub fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.cast_unsigned())
}

/// Processor time of the calling thread.
pub fn of_thread() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec; CLOCK_THREAD_CPUTIME_ID always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_converts_to_now() {
        let clock = Clock::measure();
        let (before, now, after) = (SystemTime::now(), clock.wall(monotonic()), SystemTime::now());
        let slack = Duration::from_millis(2);
        assert!(before - slack <= now && now <= after + slack, "{now:?} not in {before:?}..{after:?}");
    }

    #[test]
    fn differences_are_kept_to_the_nanosecond_and_extremes_do_not_panic() {
        let clock = Clock::measure();
        let (early, late) = (clock.wall(1_000), clock.wall(2_001));
        assert_eq!(late.duration_since(early).unwrap(), Duration::from_nanos(1_001));
        assert_eq!((clock.monotonic(0), clock.monotonic(i64::MIN)), (0, 0), "before the boot");
        let wall = early.duration_since(UNIX_EPOCH).unwrap().as_nanos();
        assert_eq!(clock.monotonic(i64::try_from(wall).unwrap()), 1_000);
        assert!(clock.monotonic(i64::MAX) <= monotonic(), "what is to come is now");
        assert_eq!(Clock { offset: -5 }.wall(3), UNIX_EPOCH);
        assert_eq!(Clock { offset: i128::from(i64::MAX) * 4 }.wall(u64::MAX), UNIX_EPOCH);
    }
}
