//! The `dns` event: one DNS transaction, as the tc programs saw it.

use schemars::JsonSchema;
use serde::Serialize;

use super::Explanation;
use super::drop::{Endpoint, Netns};

/// A query that failed or was slow; `whydrop dns --all` shows all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "dns")]
pub struct Dns {
    /// RFC 3339, UTC, nanoseconds: when it was first asked.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// The name, without the final dot; `.` for the root.
    pub query: String,
    /// `A`, `AAAA`, `SRV`, …, or `TYPE` and the number.
    #[serde(rename = "type")]
    pub kind: String,
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …; absent without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// True if nobody answered.
    pub no_answer: bool,
    /// From the first query to its answer, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Times that it was asked with the same id.
    pub attempts: u64,
    /// `udp` or `tcp`.
    pub protocol: String,
    pub client: Endpoint,
    /// The resolver as the client named it: before any translation of addresses.
    pub server: Endpoint,
    /// The namespace nearest to the client in which it was seen.
    pub netns: Netns,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}
