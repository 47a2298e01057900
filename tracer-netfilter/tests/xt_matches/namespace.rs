//! A network namespace without a name, which ends with its thread.

use std::io;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

/// Does the work in a namespace of its own. Programs that it runs are in there too.
pub(crate) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: changes the network namespace of this thread alone, which ends with the work.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "a network namespace needs root: {}", io::Error::last_os_error());
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Runs a shell command; its output, or what it says is wrong.
pub(crate) fn shell(command: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", command]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
