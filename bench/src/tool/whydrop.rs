//! The shipped binary, its output read and counted.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::output::{self, Mark, Report};

/// How long starting and ending may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the pipe: as the reader may have to wait for a CPU, more than the usual 64 KiB.
const PIPE: libc::c_int = 1 << 20;

pub(crate) struct Whydrop {
    child: Child,
    started: Instant,
    marks: Receiver<(Mark, Instant)>,
    reader: Option<JoinHandle<Result<Report>>>,
}

impl Whydrop {
    /// Starts `whydrop watch` with more arguments.
    pub(crate) fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .arg("watch")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("whydrop has no output")?;
        // SAFETY: changes a pipe that is ours; a refusal leaves it as it is.
        unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE) };
        let (sender, marks) = mpsc::channel();
        let reader = thread::spawn(move || output::read(stdout, &sender));
        Ok(Self { child, started, marks, reader: Some(reader) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How long after its start something came that is waited for.
    pub(crate) fn wait_for(&mut self, wanted: Mark) -> Result<Duration> {
        loop {
            let (mark, at) =
                self.marks.recv_timeout(PATIENCE).with_context(|| format!("whydrop gave no {wanted:?}"))?;
            if mark == wanted {
                return Ok(at.duration_since(self.started));
            }
        }
    }

    /// Ends it as Ctrl-C does, and takes what it said.
    pub(crate) fn stop(mut self) -> Result<Option<Report>> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: the child was not waited for, so its number is still its own.
        unsafe { libc::kill(pid, libc::SIGINT) };
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "whydrop does not end");
            thread::sleep(Duration::from_millis(5));
        };
        ensure!(status.success(), "whydrop ended with {status}");
        let Some(reader) = self.reader.take() else { return Ok(None) };
        let report = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((!report.stats.is_null()).then_some(report))
    }
}

impl Drop for Whydrop {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
