//! A network namespace of one test, with the real tools run in it.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Removed when it is dropped.
pub(crate) struct Netns(String);

impl Netns {
    pub(crate) fn new() -> Self {
        let name = format!("wd-xt-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        Self(name)
    }

    /// Runs a command line, its words split at spaces, and gives what it prints.
    pub(crate) fn run(&self, command: &str) -> String {
        run(Command::new("ip").args(["netns", "exec", &self.0]).args(command.split(' ')))
    }

    /// Runs a command with `input` on its standard input.
    pub(crate) fn feed(&self, command: &str, input: &str) {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0])
            .args(command.split(' '))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{command}");
    }

    /// Runs `work` on a thread inside of it.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let door = File::open(format!("/run/netns/{}", self.0)).unwrap();
        std::thread::scope(|scope| {
            let enter_and_work = || {
                // SAFETY: `door` is open for the whole call; `setns` takes no pointer.
                assert_eq!(unsafe { libc::setns(door.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
                work()
            };
            scope.spawn(enter_and_work).join().unwrap()
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
