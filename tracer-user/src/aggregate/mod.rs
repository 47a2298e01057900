//! From single drops and drained counts to lines: which flow has something new to say, and how much.
//!
//! Rule: the kernel's counts are the truth. A line stands for what was counted (or seen as an event ahead of the count)
//! and not yet printed, so the lines of a flow add up to its count whatever was sampled, suppressed or lost.

mod flows;
mod totals;

use tracer_common::{FlowKey, Tally};

pub use flows::{Flow, Flows, Mode};
pub use totals::{PlaceTally, Totals};

/// The sum of two tallies.
pub(crate) fn add(a: Tally, b: Tally) -> Tally {
    Tally { packets: a.packets + b.packets, bytes: a.bytes + b.bytes }
}

/// What a flow has to say since its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub key: FlowKey,
    pub since_last: Tally,
    /// When the packet was dropped, `CLOCK_MONOTONIC` ns; `None` for a count.
    pub time: Option<u64>,
}
