//! What sources tell the index.

use std::collections::HashSet;

use tracer_policy::model::{ObjectName, Pod, PolicyId, Text};
use tracer_policy::read::Object;

/// Who saw a pod. What several say of one pod is put together: the runtime knows its namespace, the API its labels by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    Process,
    Runtime,
    Api,
}

/// A pod as one source sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    pub origin: Origin,
    /// A static pod (one from a file on the node) has another uid in the API than on the node: there it is the hash of its file, 32
    /// hexadecimal digits, which the API shows in the annotation `kubernetes.io/config.hash` of the mirror pod. Its namespace and name
    /// are the same.
    pub pod: Pod,
    /// Since when it has its addresses and its namespace, `CLOCK_MONOTONIC` nanoseconds: from a runtime never later than in truth (its
    /// sandbox was made then); from the API when it was first heard that it has them. 0 if that is not known: it is taken to
    /// have had them since whoever had them before was gone.
    pub since: u64,
    /// Inode of its network namespace; `None` for one with `hostNetwork`, or where it is not known.
    pub netns: Option<u32>,
    /// Its sandbox and its containers.
    pub containers: Vec<ContainerSeen>,
}

/// A container, or the sandbox of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSeen {
    /// As its runtime names it: mostly 64 hexadecimal digits.
    pub id: String,
    /// The container's name in the pod; empty for the sandbox.
    pub name: String,
    /// Inode of its directory in the cgroup v2 hierarchy.
    pub cgroup: Option<u64>,
}

/// One thing that a source tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A pod is there, or something of it changed.
    Pod(Box<PodSeen>),
    /// It has lost its addresses and namespace at this time (`CLOCK_MONOTONIC`).
    PodGone {
        origin: Origin,
        id: ObjectName,
        uid: Text,
        at: u64,
    },
    /// A new listing: the pods of this origin whose uid is not in it are gone.
    PodsAre {
        origin: Origin,
        uids: HashSet<Text>,
        at: u64,
    },
    /// An object of the API that is no pod is there, or changed.
    Object(Object),
    Gone(Gone),
    /// A new listing: the objects of the kind that are not in it are gone.
    KindIs {
        kind: Kind,
        names: HashSet<ObjectName>,
    },
    /// Whether the pods of all nodes are known by now: an address that none of them has is no pod's.
    PodsKnown(bool),
    /// Whether the NetworkPolicies of all namespaces are known.
    PoliciesKnown(bool),
}

/// An object that is there no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    Namespace(Text),
    Node(Text),
    Service(ObjectName),
    Slice(ObjectName),
    Policy(PolicyId),
}

/// Kinds that are listed one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Namespace,
    Node,
    Service,
    Slice,
    Policy(tracer_policy::model::PolicyKind),
}
