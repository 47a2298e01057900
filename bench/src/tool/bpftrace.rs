//! bpftrace, counting by reason and location.
//!
//! Rule: it looks for tracepoints in tracefs, which not every machine has mounted. It gets one in a mount namespace of its own,
//! so that nothing is changed for others.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf::{self, Kind};

/// Ends as the process that it started as.
const SCRIPT: &str = "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/tracing; \
                      exec bpftrace -e \"$0\"";
const PROGRAM: &str = "tracepoint:skb:kfree_skb { @[args->reason, args->location] = count(); }";

/// How long it may take to compile its program.
const PATIENCE: Duration = Duration::from_secs(30);
/// From a loaded program to an attached one: it attaches at once, but gives no sign of it.
const ATTACHING: Duration = Duration::from_millis(300);

pub(crate) struct Bpftrace(Child);

impl Bpftrace {
    /// Whether it works here.
    ///
    /// # Errors
    /// Why it can't be compared with.
    pub(crate) fn usable() -> Result<()> {
        Self::start().map(drop)
    }

    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SCRIPT, PROGRAM]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut bpftrace = Self(command.spawn().context("cannot start bpftrace")?);
        let deadline = Instant::now() + PATIENCE;
        while !bpf::held_by(bpftrace.0.id()).iter().any(|object| object.kind == Kind::Program) {
            let ended = bpftrace.0.try_wait()?;
            ensure!(
                ended.is_none(),
                "`bpftrace -e '{PROGRAM}'` ends at once; is it installed, and is there a tracefs?"
            );
            ensure!(Instant::now() < deadline, "bpftrace loads no program");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(ATTACHING);
        Ok(bpftrace)
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
