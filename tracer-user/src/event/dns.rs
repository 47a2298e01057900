//! The `dns` event: one DNS transaction, as the tc programs saw it.

use schemars::JsonSchema;
use serde::Serialize;

use super::drop::{Endpoint, Netns};
use super::{Explanation, QueryOutcome};

/// A query that failed or was slow; `whydrop dns --all` shows all. Several tries of one question are one.
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
    /// What became of it.
    pub outcome: QueryOutcome,
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …; absent without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// True if nobody answered.
    pub no_answer: bool,
    /// From the first query to its answer, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Times that this client asked this resolver the same, until it was told.
    pub attempts: u64,
    /// `udp` or `tcp`.
    pub protocol: String,
    pub client: Endpoint,
    /// The resolver as the client named it: before any translation of addresses.
    pub server: Endpoint,
    /// The resolver after the last translation that was seen: the pod behind a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated: Option<Endpoint>,
    /// The namespace nearest to the client in which it was seen.
    pub netns: Netns,
    /// The namespace that it came from, where that is another one: the client's pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_netns: Option<Netns>,
    /// The name that was looked for, if several names of a search path were asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Queries that this one took before, all answered with "no such name": the search path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}
