//! Why a question about policies can't be answered.

use thiserror::Error;
use tracer_policy::read::ReadError;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    #[error("can't read {path}: {problem}")]
    File { path: String, problem: String },
    #[error("{0}; correct the manifest, or leave it out")]
    Manifest(#[from] ReadError),
    #[error("{path}: no .yaml, .yml or .json file in it; give the folder of the manifests")]
    NoManifest { path: String },
    #[error("--{flag} {given}: {problem}")]
    End { flag: &'static str, given: String, problem: String },
    #[error("the policies of the cluster can't be read: {0}; or give --manifests DIR")]
    Cluster(String),
    #[error("--delete {0}: give KIND/NAMESPACE/NAME of a policy that exists, such as networkpolicy/shop/web")]
    Delete(String),
    #[error(
        "{0} holds no connection: save one with `whydrop verdicts -o json > FILE`, or leave `whydrop verdicts` running"
    )]
    NoConnection(String),
    #[error("{0} holds nothing that changes a policy, a namespace or a pod")]
    NoChange(String),
}

impl PolicyError {
    /// Whether the command line names what is not there.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::End { .. } | Self::Delete(_))
    }
}
