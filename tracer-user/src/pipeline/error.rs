//! What can end the line.

use std::ffi::OsString;
use std::io;

use thiserror::Error;

use crate::host::HostError;
use crate::kubernetes::KubernetesError;
use crate::source::SourceError;

/// What a shell ends with when a command is not found, and when it can't be run (POSIX, 2.8.2).
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

impl PipelineError {
    /// The exit status that says the same.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Command { error, .. } if error.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::Command { .. } => NOT_RUNNABLE,
            _ => 1,
        }
    }
}

#[derive(Debug, Error)]
pub enum PipelineError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    #[error("can't watch attempts to talk: {0}")]
    Attempts(String),
    #[error("can't write the output")]
    Sink(#[source] io::Error),
    #[error("can't run {command:?}: {error}")]
    Command { command: OsString, error: io::Error },
    #[error("can't wait for the command: {0}")]
    Wait(io::Error),
}
