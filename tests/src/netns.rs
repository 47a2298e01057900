//! One network namespace that exists as long as its guard.
//!
//! Names are `wd-<pid>-<n>-<role>`, so that tests can run beside each other and what a killed test left behind can be
//! told from what is in use.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, thread};

use anyhow::{Context, Result, bail, ensure};

/// Where `ip netns` keeps its bind mounts.
const MOUNTS: &str = "/run/netns";
const PREFIX: &str = "wd";

/// A network namespace with its loopback up; deleted on drop.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    file: File,
}

impl NetNs {
    /// `role` ends the name; the kernel allows 255 bytes, tools print best with a letter or a word.
    pub fn new(role: &str) -> Result<Self> {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        SWEEP.call_once(delete_leftovers);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{role}", std::process::id());
        run("ip", &["netns", "add", &name])?;
        let path = Path::new(MOUNTS).join(&name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                delete(&name);
                return Err(error).with_context(|| format!("{} was just made but cannot be opened", path.display()));
            }
        };
        let namespace = Self { name, file };
        namespace.exec("ip link set lo up")?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn path(&self) -> PathBuf {
        Path::new(MOUNTS).join(&self.name)
    }

    /// What the kernel calls `net->ns.inum` and `readlink /proc/PID/ns/net` shows.
    pub fn inode(&self) -> Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Does `work` on a thread of its own inside the namespace. Sockets made there stay there, wherever they go.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(&self.file).with_context(|| format!("cannot enter {}", self.name))?;
                work()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Runs a shell command inside the namespace; its standard output, or an error with what it printed.
    pub fn exec(&self, command: &str) -> Result<String> {
        self.run(|| run("sh", &["-c", command])).with_context(|| format!("in {}", self.name))
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Moves the calling thread, and what it starts, into a namespace for good.
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: `setns` reads an open descriptor and touches no memory of ours.
    if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Runs a program where the calling thread is; its standard output, or an error with what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {}", shown()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed ({}): {}{}", shown(), output.status, text.trim(), errors.trim());
    Ok(text)
}

fn delete(name: &str) {
    if let Err(error) = run("ip", &["netns", "del", name]) {
        eprintln!("namespace {name} is left behind: {error:#}");
    }
}

/// Deletes the namespaces of lab processes that no longer exist: a killed test runs no guards.
fn delete_leftovers() {
    let Ok(entries) = fs::read_dir(MOUNTS) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if owner(name).is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            delete(name);
        }
    }
}

/// The process that made a namespace of this name.
fn owner(name: &str) -> Result<u32> {
    match name.split('-').collect::<Vec<_>>()[..] {
        [PREFIX, pid, number, _] if number.parse::<u32>().is_ok() => Ok(pid.parse()?),
        _ => bail!("{name} is not the lab's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_lab_have_an_owner() {
        assert_eq!(owner("wd-17-3-router").unwrap(), 17);
        for other in ["cni-1-2-x", "wd", "wd-host", "wd-x-1-c", "wd-1-x-c", "wd-1-1-c-d"] {
            assert!(owner(other).is_err(), "{other}");
        }
    }
}
