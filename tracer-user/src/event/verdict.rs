//! The `verdict` event: what the network policies made of a new connection.

use schemars::JsonSchema;
use serde::Serialize;

use super::drop::{Endpoint, Netns};
use super::{Confidence, Outcome, Policy, PolicyDirection, PolicyVerdict};

/// New connections between the same two ends, in one direction of a pod of this node, in one interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "verdict")]
pub struct Verdict {
    /// RFC 3339, UTC, nanoseconds: when the first of them was tried.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    pub direction: PolicyDirection,
    pub verdict: PolicyVerdict,
    pub confidence: Confidence,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    pub source: Endpoint,
    /// After the translation of a Service's address, whose name stays.
    pub destination: Endpoint,
    /// What became of them.
    pub outcome: Outcome,
    /// Connections that this line stands for; one that was tried again counts once.
    pub attempts: u64,
    /// That of the pod.
    pub netns: Netns,
    /// What the policies say; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What enforces policies here: `calico`, `azure-npm`, `kube-router`, `cilium`, …; absent if nothing was seen to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_by: Option<String>,
    /// Facts that were seen or read.
    pub evidence: Vec<String>,
}
