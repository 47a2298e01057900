//! Joins sightings of several devices to stories, and decides them when there is nothing more to wait for.
//!
//! Rule: bounded; what does not fit is counted. Pure: the time is given.

use crate::event::AttemptTotals;

use super::{Batch, Census, DropSeen, Story, Tuple};

/// The attempts that are not decided yet.
#[derive(Debug, Default)]
pub struct Book {
    census: Census,
    totals: AttemptTotals,
}

impl Book {
    /// Takes what was read of the maps.
    pub fn add(&mut self, _batch: &Batch) {}

    /// Takes a drop of a packet between these two ends (ports may be 0 where they are not known).
    pub fn dropped(&mut self, _tuple: &Tuple, _drop: DropSeen) {}

    /// Takes out the stories that are decided and failed; `now` is `CLOCK_MONOTONIC`, ns. At the end of the run nothing is waited
    /// for any more.
    pub fn take(&mut self, _now: u64, _is_end: bool) -> Vec<Story> {
        Vec::new()
    }

    pub fn totals(&self) -> AttemptTotals {
        self.totals
    }

    pub fn census(&self) -> &Census {
        &self.census
    }
}
