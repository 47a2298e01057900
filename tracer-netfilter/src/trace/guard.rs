//! A process that removes the trace's tables when its parent is gone, for kernels without tables that have an owner
//! (before 5.12).
//!
//! Rule: between `fork` and its end the child only makes system calls: no allocation, no lock, nothing of Rust's runtime
//! (signal-safety(7)), because the parent may have other threads. It closes all that it inherited, so that nothing of the
//! parent (a map, a link, the end of a pipe) lives longer through it; and it leaves the parent's session, so that a Ctrl-C in
//! the terminal does not reach it. What ends parent and child at once (a kill of their whole cgroup, a crash of the node) is
//! what it can't help against.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::netlink::transaction::Connection;

/// Tells the child that there is nothing left to remove.
const STAND_DOWN: &[u8] = b".";
/// Descriptors closed where `close_range` (5.9) does not exist.
const MOST_DESCRIPTORS: RawFd = 65_536;

/// The child lives until this is gone.
#[derive(Debug)]
pub(super) struct Guard {
    pid: libc::pid_t,
    /// Its end closes with us, however we end.
    leash: File,
}

impl Guard {
    /// Starts the child, which will send `datagram` to netfilter in the calling thread's namespace when we are gone.
    pub(super) fn start(datagram: &[u8]) -> io::Result<Self> {
        let connection = Connection::open(libc::NETLINK_NETFILTER)?;
        let (reader, writer) = pipe()?;
        // SAFETY: the child runs `watch` only, which makes nothing but system calls and never returns.
        match unsafe { libc::fork() } {
            0 => watch(reader.as_raw_fd(), connection.socket.as_raw_fd(), datagram),
            pid if pid > 0 => Ok(Self { pid, leash: writer.into() }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The tables are gone already, or are not ours: the child ends without doing anything.
    pub(super) fn stand_down(mut self) {
        let told = self.leash.write_all(STAND_DOWN);
        if let Err(error) = told {
            tracing::warn!("the guard of a trace ended early: {error}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The child ends when it has read the byte, or the end of the pipe: that is closed after this, so it is opened by
        // replacing it first.
        if let Ok(nothing) = File::open("/dev/null") {
            self.leash = nothing;
            let mut status = 0;
            // SAFETY: `status` outlives the call; the pid is of our own child, which nobody else waits for.
            unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave these two to us and nobody else knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// The child's life: waits for the end of the pipe, sends, ends.
fn watch(leash: RawFd, netlink: RawFd, datagram: &[u8]) -> ! {
    // SAFETY: system calls only, on descriptors of our own and memory that outlives them; `_exit` runs nothing of the
    // parent's. A failure of one leaves less tidy but not less safe: reading and sending are all that counts.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::prctl(libc::PR_SET_NAME, c"whydrop-guard".as_ptr());
        // Out of the way first: each may be 0 or 1 already.
        let leash = libc::fcntl(leash, libc::F_DUPFD, 3);
        let netlink = libc::fcntl(netlink, libc::F_DUPFD, 3);
        libc::dup2(leash, 0);
        libc::dup2(netlink, 1);
        if libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0) != 0 {
            for descriptor in 2..MOST_DESCRIPTORS {
                libc::close(descriptor);
            }
        }
        let mut byte = 0_u8;
        let told = loop {
            let read = libc::read(0, (&raw mut byte).cast(), 1);
            if read >= 0 || *libc::__errno_location() != libc::EINTR {
                break read;
            }
        };
        if told == 0 {
            libc::send(1, datagram.as_ptr().cast(), datagram.len(), 0);
        }
        libc::_exit(0)
    }
}
