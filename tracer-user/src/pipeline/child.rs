//! The command behind `--`: it runs while whydrop watches, and its exit status is whydrop's.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

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

    /// Passes a signal on and waits for the command's end, which it may take a moment for; `None` without a command.
    pub(super) async fn end_by(&mut self, signal: libc::c_int) -> Result<Option<ExitCode>, PipelineError> {
        let Some(child) = &mut self.0 else { return Ok(None) };
        if let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: sends a signal to our own child, which has not been waited for, so the number is still its.
            unsafe { libc::kill(pid, signal) };
        }
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            child.kill().await.map_err(PipelineError::Wait)?;
        }
        self.wait().await.map(Some)
    }

    /// Ends with the command; without one, never.
    pub(super) async fn wait(&mut self) -> Result<ExitCode, PipelineError> {
        match &mut self.0 {
            Some(child) => child.wait().await.map(exit_code).map_err(PipelineError::Wait),
            None => std::future::pending().await,
        }
    }
}

/// How long the command may take to end after a signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// As a shell says it: 128 and the signal for a command that was killed.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
