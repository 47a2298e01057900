//! A program inside a namespace that holds a socket and does nothing with it.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::netns::NetNs;

/// The program's name, as the kernel has it.
pub const COMM: &str = "sleep";

/// Killed on drop.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts a program whose standard input is the socket. It is another process than the test, which only visits the
    /// namespace.
    pub fn holding(namespace: &NetNs, socket: impl Into<OwnedFd> + Send) -> Result<Self> {
        let start = || {
            let mut command = Command::new(COMM);
            command.arg("3600").stdin(Stdio::from(socket.into())).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().with_context(|| format!("cannot start {COMM}"))
        };
        namespace.run(start).map(Self)
    }

    /// As explanations name it: `sleep[12]`.
    pub fn label(&self) -> String {
        format!("{COMM}[{}]", self.0.id())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal; whoever stops it sees it stopped.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.0.id())?;
        // SAFETY: the call takes no pointer, and the process is ours: it is not reaped before it is dropped.
        ensure!(unsafe { libc::kill(pid, signal) } == 0, "{} can't be signalled", self.label());
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}
