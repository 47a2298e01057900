//! A network namespace of a test's own, removed with all its rules when the test ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct Namespace(String);

impl Namespace {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wd-eval-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = Command::new("ip").args(["netns", "add", &name]).status().expect("ip(8) runs");
        assert!(made.success(), "these tests need root, to make network namespaces");
        Self(name)
    }

    /// Runs a shell command inside and gives what it printed.
    pub(super) fn run(&self, command: &str) -> String {
        self.run_with(command, "")
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// As `run`, with what the command reads.
    pub(super) fn run_with(&self, command: &str, input: &str) -> String {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0, "sh", "-ec", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip(8) runs");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("the command reads its input");
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it was started");
        assert!(status.success(), "{command}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("text")
    }

    /// Runs a function on a thread inside.
    pub(super) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.0);
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                let namespace = File::open(path).expect("it exists");
                // SAFETY: the descriptor is open; only this thread changes its namespace, and it ends here.
                let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
                what()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}
