//! What can end the line.

use std::ffi::OsString;
use std::io;

use thiserror::Error;

use crate::host::HostError;
use crate::source::SourceError;

#[derive(Debug, Error)]
pub enum PipelineError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("can't write the output: {0}")]
    Sink(#[source] io::Error),
    #[error("can't run {command:?}: {error}")]
    Command { command: OsString, error: io::Error },
    #[error("can't wait for the command: {0}")]
    Wait(io::Error),
}
