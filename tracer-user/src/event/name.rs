//! Names of a cluster: pods, what made them, Services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pod, as it was called when the packet was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PodName {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// What made the pod: Deployment, StatefulSet, DaemonSet, Job, …
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadName {
    pub kind: String,
    pub name: String,
}

/// A Service, and which of its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ServiceName {
    pub namespace: String,
    pub name: String,
    /// The port's name, or its number if it has none; absent if the Service has no such port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}
