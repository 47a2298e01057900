//! A network namespace for a test, and what a test does in it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

pub(crate) fn is_root() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Made with `ip netns add` and removed at the end.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        assert!(is_root(), "these tests need root, to make network namespaces");
        let name = format!("{name}-{}", std::process::id());
        let status = Command::new("ip").args(["netns", "add", &name]).status().expect("ip (iproute2) runs");
        assert!(status.success(), "ip netns add {name}");
        Self { name }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sh", "-c", line]);
        command
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number that a command prints.
    pub(crate) fn number(&self, line: &str) -> u32 {
        self.output(line).trim().parse().unwrap()
    }

    pub(crate) fn succeeds(&self, line: &str) -> bool {
        self.command(line).stderr(Stdio::null()).status().unwrap().success()
    }

    pub(crate) fn run(&self, line: &str) {
        assert!(self.command(line).status().unwrap().success(), "{line}");
    }

    /// What a command prints.
    pub(crate) fn output(&self, line: &str) -> String {
        String::from_utf8(self.command(line).output().unwrap().stdout).unwrap()
    }

    /// What a command prints that is fed with `input`, errors behind the rest.
    pub(crate) fn feed(&self, line: &str, input: &str) -> String {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        String::from_utf8([output.stdout, b"\n".to_vec(), output.stderr].concat()).unwrap()
    }

    /// Runs on a thread of the namespace.
    pub(crate) fn run_in<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // SAFETY: the descriptor is open; only this thread, which ends with the work, changes its namespace.
                let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "setns: {}", std::io::Error::last_os_error());
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// The same numbers in each run (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % u64::from(limit)) as u32
    }
}
