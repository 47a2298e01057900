//! What can go wrong with a source of names.

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KubernetesError {
    #[error("can't start the thread that follows pods: {0}")]
    Thread(String),
    #[error("--pod {0}: give NAMESPACE/NAME, or NAME with --namespace")]
    Pod(String),
    #[error("--selector {selector}: {problem}; write it as for kubectl: app=web,tier!=back,env in (a,b),!canary")]
    Selector { selector: String, problem: String },
    #[error("can't use {file} for the Kubernetes API: {problem}")]
    Kubeconfig { file: String, problem: String },
}

impl KubernetesError {
    /// Whether the command line makes no sense.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Pod(_) | Self::Selector { .. })
    }
}
