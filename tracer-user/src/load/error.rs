//! What can go wrong on the way into the kernel, each with its fix.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum LoadError {
    #[error(transparent)]
    Btf(#[from] crate::btf::ResolveError),
    #[error(
        "this kernel orders the arguments of its drop tracepoint as whydrop does not know ({0:?}): use a newer whydrop"
    )]
    Arguments(crate::btf::DropArguments),
    #[error("this binary was built without its kernel programs: build it with `cargo xtask build --release`")]
    NotBuilt,
    #[error("the embedded kernel programs are damaged ({0}): install whydrop again")]
    Corrupt(String),
    #[error("the embedded kernel programs speak version {found} of the contract, not {wanted}: build whydrop again")]
    Version { found: u32, wanted: u32 },
    #[error("the embedded kernel programs have no map {0}: build whydrop again")]
    NoMap(&'static str),
    #[error("the kernel did not take the map {map}: {error}")]
    Map { map: &'static str, error: MapError },
    #[error(
        "the kernel refused ({call}: {error}): whydrop needs root, or CAP_BPF and CAP_PERFMON (before Linux 5.8 \
         CAP_SYS_ADMIN); in a container use --privileged, on a node `kubectl debug node/NAME --profile=sysadmin`"
    )]
    NotPermitted { call: String, error: io::Error },
    #[error("out of kernel memory for {what}: {error}; raise the memory limit of the container or service")]
    Memory { what: String, error: io::Error },
    #[error("the kernel did not accept the program: {reason}; run `whydrop doctor` to see what this kernel lacks")]
    Refused { reason: String },
}

impl LoadError {
    /// Sorts what aya says of an object and its maps.
    pub(super) fn of_object(error: EbpfError) -> Self {
        match error {
            EbpfError::MapError(MapError::CreateError { name, io_error }) => {
                Self::of_call(format!("creating map {name}"), io_error)
            }
            EbpfError::MapError(MapError::SyscallError(error)) => Self::of_call(error.call.to_owned(), error.io_error),
            EbpfError::ProgramError(error) => Self::of_program(error),
            other => Self::Corrupt(other.to_string()),
        }
    }

    /// Sorts what aya says of loading or attaching a program.
    pub(crate) fn of_program(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                let log = verifier_log.to_string();
                if log.is_empty() {
                    Self::of_call("loading the program".into(), io_error)
                } else {
                    tracing::debug!("verifier: {log}");
                    let reason = format!("{io_error}; {}", decisive(&log));
                    Self::Refused { reason }
                }
            }
            ProgramError::SyscallError(error) => Self::of_call(error.call.to_owned(), error.io_error),
            other => Self::Refused { reason: other.to_string() },
        }
    }

    fn of_call(call: String, error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { call, error },
            Some(libc::ENOMEM | libc::ENOSPC) => Self::Memory { what: call, error },
            _ => Self::Refused { reason: format!("{call}: {error}") },
        }
    }
}

/// The verifier's last words before its statistics.
fn decisive(log: &str) -> &str {
    const STATISTICS: [&str; 4] = ["verification time", "stack depth", "processed ", "insns processed"];
    let is_statistics = |line: &str| STATISTICS.iter().any(|start| line.starts_with(start));
    log.lines().rev().map(str::trim).find(|line| !line.is_empty() && !is_statistics(line)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_statistics_are_not_its_reason() {
        let log = "0: R1=ctx()\nattach_btf_id 95247 is invalid\nverification time 5 usec\nstack depth 0+0\nprocessed 0 insns (limit 1000000)\n\n";
        assert_eq!(decisive(log), "attach_btf_id 95247 is invalid");
        assert_eq!(decisive(""), "");
    }
}
