//! The `header` line: the first of a stream, printed when everything is attached, and so the ready signal.

use schemars::JsonSchema;
use serde::Serialize;

/// The version of the contract.
pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "header")]
pub struct Header {
    /// Version of the contract: 1.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// whydrop's own.
    pub version: String,
    pub host: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// RFC 3339, UTC, nanoseconds.
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    pub boot_id: String,
    /// Kernel memory of the programs' maps, bytes.
    pub map_bytes: u64,
    pub sources: Vec<SourceLine>,
    /// What can't be seen on this node, and why; empty when nothing is known to be hidden.
    pub coverage: Vec<String>,
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceLine {
    pub name: String,
    /// Of drops `tp_btf/kfree_skb` or `raw_tp/kfree_skb`; of attempts to talk `tcx` or `clsact`.
    pub hook: String,
    /// `preferred`, or why the preferred hook is not used.
    pub reason: String,
}
