//! Who is who: pods, Services, nodes and policies, from the container runtime, from procfs and from the Kubernetes API.
//!
//! Each source ([`cri`], [`process`], [`api`]) runs beside the line and passes [`index::Change`]s on to one [`Index`], which the
//! line asks for names through a [`Directory`].
//!
//! Rule: a name is given for a time. An address or a namespace number that changed hands is named for whoever had it when the packet
//! was seen, or not at all. Every source may be missing, slow, or lie: it costs its names and is said once, never the run.

pub mod api;
pub mod cri;
mod directory;
mod error;
pub mod index;
pub mod process;
pub mod select;

pub use directory::{Directory, Feed, Pace, Plan, Reach, spawn};
pub use error::KubernetesError;
pub use index::{Change, Holder, Index, Origin, PodSeen, Span};
pub use select::Selection;

/// Whether this is a node of a cluster: a kubelet has run here, or this is a pod.
pub fn is_node() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() || crate::host::root::has("/var/lib/kubelet")
}
