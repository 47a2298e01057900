//! Cgroups of the lab's own, and sockets that belong to them.
//!
//! Rule: only cgroups made here are given programs. A socket belongs to the cgroup of the process that made it, and the
//! test's own process is never moved: a child makes the socket and then copies what comes in to a pipe.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::patience;

/// A cgroup of version 2; removed on drop.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mount.filter(|words| words.get(2) == Some(&"cgroup2")).find_map(|words| words.get(1).copied());
        let name = format!("wd-{}-{}.service", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(mount.context("no cgroup v2 is mounted")?).join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// One inside this one; it has to be dropped first.
    pub fn below(&self) -> Result<Self> {
        let path = self.0.join("below.scope");
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A UDP socket of this cgroup in the calling thread's namespace, bound to `at`, which sends `count` datagrams to
    /// `to` if there is such an address, whether they get through or not.
    pub fn socket(&self, at: SocketAddr, to: Option<(SocketAddr, usize)>) -> Result<Socket> {
        let procs = self.0.join("cgroup.procs");
        let make = move || {
            fs::write(&procs, "0")?;
            let socket = UdpSocket::bind(at)?;
            if let Some((to, count)) = to {
                for _ in 0..count {
                    let _may_be_refused = socket.send_to(b"from a cgroup", to);
                }
            }
            // SAFETY: an open descriptor and a number, no pointer.
            if unsafe { libc::dup2(socket.as_raw_fd(), libc::STDIN_FILENO) } < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        };
        let mut command = Command::new("cat");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: the child has one thread and only makes system calls; glibc keeps its allocator usable after a fork.
        let child = unsafe { command.pre_exec(make) }.spawn();
        Ok(Socket(child.with_context(|| format!("no socket at {at} in {}", self.0.display()))?))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// A process that holds a socket; killed on drop.
#[derive(Debug)]
pub struct Socket(Child);

impl Socket {
    /// Returns when so many bytes have come in.
    pub fn receives(&mut self, bytes: usize) -> Result<()> {
        let pipe = self.0.stdout.as_mut().context("no pipe from the socket's process")?;
        let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut left = bytes;
        while left > 0 {
            // SAFETY: one valid `pollfd`.
            let ready = unsafe { libc::poll(&raw mut poll, 1, i32::try_from(patience().as_millis())?) };
            ensure!(ready == 1, "{left} of {bytes} bytes did not come in");
            let got = pipe.read(&mut vec![0; left])?;
            ensure!(got > 0, "the socket's process ended");
            left -= got;
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
