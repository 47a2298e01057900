//! The `flow` event: one attempt to talk, as the tc programs saw it on its way.
//!
//! Rule: what was seen is told apart from what is concluded: `seen` is the former, `explanation` the latter.

use schemars::JsonSchema;
use serde::Serialize;

use super::drop::{Endpoint, Interface, Netns};
use super::{Direction, Explanation, Outcome, SeenPacket};

/// An attempt that was not answered as it should be. Attempts that were are counted in `stats` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "flow")]
pub struct Flow {
    /// RFC 3339, UTC, nanoseconds: when it was last seen.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    pub outcome: Outcome,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Who began it, before any translation of addresses.
    pub source: Endpoint,
    /// Whom it was for, before any translation of addresses: a Service's address, if it was one.
    pub destination: Endpoint,
    /// The same after the last translation that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated: Option<Translated>,
    /// Times that it was tried: SYNs or requests, at the interface that saw most of them.
    pub attempts: u64,
    /// RFC 3339, UTC, nanoseconds.
    #[schemars(extend("format" = "date-time"))]
    pub first: String,
    #[schemars(extend("format" = "date-time"))]
    pub last: String,
    /// From the first packet to its answer, at the interface nearest to the client, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u64>,
    /// Where its packets were seen, in the order of time.
    pub seen: Vec<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// Both ends after translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Translated {
    pub source: Endpoint,
    pub destination: Endpoint,
}

/// Packets of one kind that passed an interface in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Seen {
    pub netns: Netns,
    pub interface: Interface,
    pub direction: Direction,
    pub packet: SeenPacket,
    pub count: u64,
    /// RFC 3339, UTC, nanoseconds: the first of them.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// `vxlan`, `geneve` or `ipip`, if they were inside one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
}
