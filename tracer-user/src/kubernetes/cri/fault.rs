//! Why a container runtime does not tell its pods.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tonic::{Code, Status};

/// Characters of a runtime's own words that are passed on.
const MOST_SAID: usize = 200;

/// Why there are no names, or no new ones.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    #[error("no container runtime listens at {}: start it, or give its socket with --cri", .0.display())]
    Absent(PathBuf),
    #[error(
        "no container runtime is found, here or below /host: mount the node's /run at /host/run, or give its socket with --cri"
    )]
    Nowhere,
    #[error("can't connect to the container runtime at {}: {why}", .path.display())]
    Connect { path: PathBuf, why: String },
    #[error("the container runtime at {} does not answer within {seconds} s; see `crictl info` and its log", .path.display())]
    Silent { path: PathBuf, seconds: u64 },
    #[error("{} is no container runtime with CRI v1 ({why}); give the right socket with --cri", .path.display())]
    Other { path: PathBuf, why: String },
    #[error("the container runtime at {} answers with an error: {why}", .path.display())]
    Refused { path: PathBuf, why: String },
}

impl Fault {
    /// From what a request came back with.
    pub(super) fn of(path: &Path, status: &Status) -> Self {
        let path = path.to_owned();
        let why = || {
            let said: String = status.message().chars().take(MOST_SAID).collect();
            if said.is_empty() { status.code().description().to_owned() } else { said }
        };
        match status.code() {
            // Another service; or no gRPC at all, for which the library has these.
            Code::Unimplemented | Code::Internal | Code::Unknown => Self::Other { path, why: why() },
            Code::Unavailable => Self::Connect { path, why: why() },
            _ => Self::Refused { path, why: why() },
        }
    }

    /// The connection could not be made; the reason is the innermost error.
    pub(super) fn unconnected(path: &Path, error: &dyn std::error::Error) -> Self {
        let mut innermost = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Connect { path: path.to_owned(), why: innermost.to_string().chars().take(MOST_SAID).collect() }
    }

    /// Whether it is for want of a privilege.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Connect { why, .. } if why.contains("ermission denied"))
    }
}
