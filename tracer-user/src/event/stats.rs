//! The `stats` line: exact totals each tick and at the end, and what the tool itself missed.
//!
//! Rule: in the last line `packets` is the sum of the counts of all `drop` lines, `hidden`, `not_shown` and
//! `other_flows`; and the sum of `totals`, and of `by_reason`, as long as there are no more places than are remembered.

use schemars::JsonSchema;
use serde::Serialize;

use super::drop::{Interface, Location, Netns, Reason};

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "stats")]
pub struct Stats {
    /// RFC 3339, UTC, nanoseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// The last line of the stream.
    #[serde(rename = "final")]
    pub last: bool,
    /// Dropped packets that passed the filter, since the start.
    pub packets: u64,
    pub bytes: u64,
    /// Largest first.
    pub by_reason: Vec<ReasonTotal>,
    /// By place, largest first.
    pub totals: Vec<PlaceTotal>,
    /// Of `packets`: classed as expected or noise and not printed without `--all`.
    pub hidden: u64,
    /// Of `packets`: in flows without a line of their own, as there were too many lines in one tick.
    pub not_shown: u64,
    /// Of `packets`: counted by place only, as the flow tables were full.
    pub other_flows: u64,
    /// Packets that the tracepoint showed.
    pub seen: u64,
    /// Of these: not what the filter asks for.
    pub filtered: u64,
    /// Drops during which the program could not run because it was interrupted; in no other count.
    pub missed: u64,
    /// Events not sent, as the CPU's budget for the moment was used up. The packets are counted.
    pub suppressed: u64,
    /// Events not sent, as the ring buffer was full. The packets are counted.
    pub lost: u64,
    /// Flows forgotten by user space to make room; their packets stay counted.
    pub evicted: u64,
    /// Packets whose headers could not be read.
    pub unreadable: u64,
    /// Events that did not make sense.
    pub undecodable: u64,
    /// Attempts to talk that were seen on the way; absent where none are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<AttemptTotals>,
    /// Verdicts of network policies; absent where they are not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<VerdictTotals>,
    /// What can't be seen, as in the header, but found out since then; absent if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<String>,
    /// Processor time used by this process, seconds.
    pub cpu_seconds: f64,
}

/// What became of the attempts to talk that the tc programs saw, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptTotals {
    pub established: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub no_answer: u64,
    /// Begun, and not decided yet.
    pub pending: u64,
    /// DNS queries, and of these: not answered, or answered with an error.
    pub queries: u64,
    pub failed_queries: u64,
    /// Interfaces that are watched.
    pub interfaces: u64,
    /// Seen by the kernel's programs but not followed: there were too many at once.
    pub not_followed: u64,
}

/// Verdicts since the start: one for each new connection and each of its ends that is a pod of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VerdictTotals {
    pub allowed: u64,
    pub denied: u64,
    /// Neither can be said: it was not answered, and the policies are not known or do not explain it.
    pub undecided: u64,
    /// Of `allowed` and `denied`: without a line of their own, as there were too many lines in one interval.
    pub not_shown: u64,
    /// Connections that no verdict was worked out for, as there were too many different ones in one interval.
    pub not_judged: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReasonTotal {
    pub reason: Reason,
    pub packets: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlaceTotal {
    pub netns: Netns,
    pub interface: Interface,
    pub reason: Reason,
    pub location: Location,
    pub packets: u64,
    pub bytes: u64,
    /// Of `packets`: in flows that did not fit.
    pub other_flows: u64,
}
