//! How fast questions are answered.
//!
//! Rule: answering takes no more than one part in [`SHARE`] of one processor, after a first [`BURST`]: few questions are
//! answered at once, and a flood of them as fast as the node can spare.

use std::time::{Duration, Instant};

use crate::host::{clock, enter};

/// One part in so many of a processor.
const SHARE: u32 = 6;
/// Processor time that may be taken at once.
const BURST: Duration = Duration::from_secs(1);

/// A bucket of processor time that empties slowly.
#[derive(Debug)]
pub(super) struct Pace {
    /// Processor time that was taken and is not paid back yet, at `at`.
    debt: Duration,
    at: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { debt: Duration::ZERO, at: Instant::now() }
    }
}

impl Pace {
    /// How long to wait until more may be done.
    pub(super) fn wait(&mut self) -> Duration {
        let now = Instant::now();
        self.debt = self.debt.saturating_sub(now.saturating_duration_since(self.at) / SHARE);
        self.at = now;
        self.debt.saturating_sub(BURST).saturating_mul(SHARE)
    }

    /// Does the work, and counts what it takes of this thread and of those that it sends into namespaces.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let taken = || clock::of_thread() + enter::spent();
        let before = taken();
        let done = work();
        self.debt += taken().saturating_sub(before);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_burst_is_paid_back_before_more_is_done() {
        let mut pace = Pace::default();
        assert_eq!(pace.spend(|| 7), 7);
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.debt = BURST + Duration::from_millis(100);
        let wait = pace.wait();
        assert!(wait > Duration::from_millis(100) && wait <= Duration::from_millis(100) * SHARE, "{wait:?}");
        pace.at = Instant::now().checked_sub(wait).unwrap();
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.debt = Duration::MAX;
        assert!(pace.wait() > BURST, "saturates");
    }

    #[test]
    fn what_is_done_in_namespaces_counts() {
        let before = enter::spent();
        let busy = || {
            let begun = clock::of_thread();
            while clock::of_thread().saturating_sub(begun) < Duration::from_millis(20) {}
        };
        let mut pace = Pace::default();
        pace.spend(busy);
        assert!(pace.debt >= Duration::from_millis(20));
        let own = crate::host::Netns {
            inode: std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/proc/thread-self/ns/net").unwrap()) as u32,
            name: crate::host::NetnsName::Host,
            doors: Vec::new(),
        };
        pace.spend(|| {
            enter::each(&[&own], Instant::now() + BURST, |_| {
                busy();
                Ok(())
            })
        });
        assert!(
            enter::spent().saturating_sub(before) >= Duration::from_millis(20)
                && pace.debt >= Duration::from_millis(40)
        );
    }
}
