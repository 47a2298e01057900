//! Why Hubble does not tell what Cilium dropped.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tonic::{Code, Status};

/// Characters of the server's own words that are passed on.
const MOST_SAID: usize = 200;

/// What is wrong, and what is not known for it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    #[error("no Hubble listens at {}, so Cilium's own reasons are not told: give its socket with --hubble", .0.display())]
    Absent(PathBuf),
    #[error("can't connect to Hubble at {} ({why}), so Cilium's own reasons are not told; see `cilium-dbg status`", .path.display())]
    Connect { path: PathBuf, why: String },
    #[error(
        "Hubble at {} does not answer within {seconds} s, so Cilium's own reasons are not told; see `cilium-dbg status`",
        .path.display()
    )]
    Silent { path: PathBuf, seconds: u64 },
    #[error("{} is no Hubble ({why}), so Cilium's own reasons are not told; give the right socket with --hubble", .path.display())]
    Other { path: PathBuf, why: String },
    #[error("Hubble at {} ended ({why}), so Cilium's own reasons are not told until it is back", .path.display())]
    Ended { path: PathBuf, why: String },
}

impl Fault {
    /// From what a request came back with.
    pub(super) fn of(path: &Path, status: &Status) -> Self {
        let path = path.to_owned();
        let said: String = status.message().chars().take(MOST_SAID).collect();
        let why = if said.is_empty() { status.code().description().to_owned() } else { said };
        match status.code() {
            // Another service; or no gRPC at all, for which the library has these.
            Code::Unimplemented | Code::Internal | Code::Unknown => Self::Other { path, why },
            Code::Unavailable => Self::Connect { path, why },
            _ => Self::Ended { path, why },
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
}
