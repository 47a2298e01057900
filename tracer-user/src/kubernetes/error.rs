//! What can go wrong with a source of names.

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KubernetesError {
    #[error("can't start the thread that follows pods: {0}")]
    Thread(String),
    #[error("--pod {0}: give NAMESPACE/NAME, or NAME with one --namespace")]
    Pod(String),
    #[error("--namespace {0}: no namespace of a cluster can be called so")]
    Namespace(String),
    #[error("--selector {selector}: {problem}; write it as for kubectl: app=web,tier!=back,env in (a,b),!canary")]
    Selector { selector: String, problem: String },
    #[error("--selector does not go with `explain`: labels are not recorded; give --pod or --namespace")]
    NoLabels,
    #[error(
        "no pods are known here, so {selection} can't be looked for ({why}); pods are told of by the container runtime \
         (--cri SOCKET) and by the Kubernetes API (--kubeconfig FILE)"
    )]
    NoNames { selection: String, why: String },
    #[error("can't use {file} for the Kubernetes API: {problem}")]
    Kubeconfig { file: String, problem: String },
}

impl KubernetesError {
    /// Whether the command line is wrong, whatever the node.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Pod(_) | Self::Namespace(_) | Self::Selector { .. } | Self::NoLabels)
    }
}
