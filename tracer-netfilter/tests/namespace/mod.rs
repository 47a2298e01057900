//! A network namespace of a test's own, and what a test does in it. Removed with all its rules when the test ends.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test programs share it, and each needs a part; a test that can't be set up fails"
)]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

pub(crate) fn is_root() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Named as the lab's, which deletes those that a killed test left behind.
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(is_root(), "these tests need root, to make network namespaces");
        let name = format!("wd-{}-{}-netfilter", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = Command::new("ip").args(["netns", "add", &name]).status().expect("ip (iproute2) runs");
        assert!(made.success(), "ip netns add {name}");
        Self(name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Runs a shell command inside and gives what it printed.
    pub(crate) fn run(&self, line: &str) -> String {
        self.run_with(line, "")
    }

    /// As `run`, with what the command reads.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> String {
        printed(line, self.output(&["sh", "-ec", line], input))
    }

    /// Runs a program with words as they stand between spaces: no shell makes anything of them.
    pub(crate) fn words(&self, line: &str) -> String {
        printed(line, self.output(&line.split(' ').collect::<Vec<_>>(), ""))
    }

    /// Loads a ruleset, with the separators that nft wants between ends of blocks.
    pub(crate) fn nft(&self, ruleset: &str) {
        self.run_with("nft -f -", &ruleset.replace("} }", "}; }").replace("} }", "}; }"));
    }

    pub(crate) fn succeeds(&self, line: &str) -> bool {
        self.output(&["sh", "-c", line], "").status.success()
    }

    /// The number that a command prints.
    pub(crate) fn number(&self, line: &str) -> u32 {
        self.run(line).trim().parse().expect("a number")
    }

    /// What a command prints that may fail, errors behind the rest.
    pub(crate) fn feed(&self, line: &str, input: &str) -> String {
        let output = self.output(&["sh", "-c", line], input);
        String::from_utf8([output.stdout, b"\n".to_vec(), output.stderr].concat()).expect("text")
    }

    /// Does the work on a thread inside. Programs that it runs are in there too.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let door = File::open(format!("/run/netns/{}", self.0)).expect("it exists");
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // SAFETY: the descriptor is open; only this thread, which ends with the work, changes its namespace.
                let entered = unsafe { libc::setns(door.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "setns: {}", std::io::Error::last_os_error());
                work()
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn output(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip (iproute2) runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        thread::scope(|scope| {
            // Beside the reading: what is written may be more than the pipes hold.
            scope.spawn(move || stdin.write_all(input.as_bytes()));
            child.wait_with_output().expect("it was started")
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn printed(line: &str, output: Output) -> String {
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Does the work in a namespace of its own.
pub(crate) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    Namespace::new().inside(work)
}

/// Runs a shell command where the calling thread is; its output, or what it says is wrong.
pub(crate) fn shell(command: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", command]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()))
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
