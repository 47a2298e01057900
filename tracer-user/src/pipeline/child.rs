//! The command behind `--`: it runs while whydrop watches, and its exit status is whydrop's.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use tokio::process::Command;

use super::PipelineError;

/// A running command, or none. It is killed if whydrop ends before it.
pub(super) struct Child(Option<tokio::process::Child>);

impl Child {
    pub(super) fn spawn(command: &[OsString]) -> Result<Self, PipelineError> {
        let Some((program, arguments)) = command.split_first() else { return Ok(Self(None)) };
        let child = Command::new(program)
            .args(arguments)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| PipelineError::Command { command: program.clone(), error })?;
        Ok(Self(Some(child)))
    }

    /// Ends with the command; without one, never.
    pub(super) async fn wait(&mut self) -> Result<ExitCode, PipelineError> {
        match &mut self.0 {
            Some(child) => child.wait().await.map(exit_code).map_err(PipelineError::Wait),
            None => std::future::pending().await,
        }
    }
}

/// As a shell says it: 128 and the signal for a command that was killed.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
