//! The `finding` event: one answer of `diagnose`, ranked by the harm it does.

use schemars::JsonSchema;
use serde::Serialize;

use super::drop::{Endpoint, Netns};
use super::{Explanation, Severity};

/// One thing that is wrong, with all that it hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "finding")]
pub struct Finding {
    /// RFC 3339, UTC, nanoseconds: when it was last seen.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// From 1, the worst first.
    pub rank: u32,
    pub severity: Severity,
    /// What does not work, in one sentence.
    pub title: String,
    /// Attempts, queries or packets that it hit.
    pub count: u64,
    /// Whom it hits: the most frequent ends, at most ten.
    pub affected: Vec<Affected>,
    /// Ends that it hits beyond those in `affected`.
    pub affected_more: u64,
    pub explanation: Explanation,
}

/// Attempts between two ends that fared the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Affected {
    pub source: Endpoint,
    pub destination: Endpoint,
    /// `tcp`, `udp`, …
    pub protocol: String,
    /// The namespace in which it was seen first.
    pub netns: Netns,
    pub count: u64,
}
