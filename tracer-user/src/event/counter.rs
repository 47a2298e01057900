//! The `counter` event: packets that were dropped where no tracepoint shows it, found by a counter that rose.

use schemars::JsonSchema;
use serde::Serialize;

use super::Explanation;
use super::drop::{Interface, Netns};

/// A counter that rose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "counter")]
pub struct Counter {
    /// RFC 3339, UTC, nanoseconds: when the counter was read.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// As nstat(8) calls it, or as the driver does: `TcpExtListenOverflows`, `rx_missed_errors`.
    pub name: String,
    /// By how much it rose since it was last read, without what `drop` lines show; at least 1.
    pub delta: u64,
    pub netns: Netns,
    /// The network card whose counter it is; absent for a counter of the whole namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    pub explanation: Explanation,
}
