//! Doing something inside other network namespaces.
//!
//! Rule: `setns` moves one thread, and a thread that cannot come back would poison what it does next. So each batch
//! has a thread of its own, which goes from namespace to namespace and then ends: nothing ever has to come back. Only a
//! thread that does little else may go itself ([`visit`]), and never again if it could not come back.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::clock;
use super::error::{Errno, HostError};
use super::netns::{Netns, link};

/// The calling thread's network namespace.
const OWN: &str = "/proc/thread-self/ns/net";

thread_local! {
    /// It could not come back from a visit.
    static IS_LOST: Cell<bool> = const { Cell::new(false) };
    static SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Processor time, so far, of the threads that the calling thread has sent into namespaces.
pub fn spent() -> Duration {
    SPENT.get()
}

/// Runs `work` in each of `targets` in turn and gives its result with the namespace's inode.
///
/// Entering needs CAP_SYS_ADMIN (and CAP_SYS_PTRACE for a door in `/proc`), except for the namespace we are in.
/// Targets that are not begun by `deadline` have no result; the first is always begun, so that on a busy machine, where the
/// thread comes late, each batch still gets on.
pub fn each<T, W>(targets: &[&Netns], deadline: Instant, work: W) -> Vec<(u32, Result<T, HostError>)>
where
    T: Send,
    W: Fn(&Netns) -> Result<T, HostError> + Sync,
{
    let all = |error: &HostError| targets.iter().map(|netns| (netns.inode, Err(error.clone()))).collect();
    thread::scope(|scope| {
        let visit = || {
            let in_time = targets.iter().enumerate().take_while(|(at, _)| *at == 0 || Instant::now() < deadline);
            let done =
                in_time.map(|(_, netns)| (netns.inode, enter(netns).and_then(|()| work(netns)))).collect::<Vec<_>>();
            (done, clock::of_thread())
        };
        match thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, visit) {
            Ok(thread) => match thread.join() {
                Ok((done, spent)) => {
                    SPENT.set(SPENT.get().saturating_add(spent));
                    done
                }
                Err(_) => all(&HostError::ThreadFailed),
            },
            Err(error) => all(&HostError::Thread { errno: Errno::of(&error) }),
        }
    })
}

/// Runs `work` in `netns`. There is no deadline: work that was begun cannot be broken off, and not to begin it because the
/// machine is busy would make a reading fail for nothing.
///
/// # Errors
/// Why it can't be entered, or what the work failed with.
pub fn one<T: Send>(netns: &Netns, work: impl Fn() -> Result<T, HostError> + Sync) -> Result<T, HostError> {
    let done = each(&[netns], Instant::now(), |_| work()).pop();
    done.map_or(Err(HostError::ThreadFailed), |(_, done)| done)
}

/// The same on the calling thread itself, which comes back: to make a thread for each visit costs several times as much.
///
/// # Errors
/// As [`one`].
pub fn visit<T: Send>(netns: &Netns, work: impl Fn() -> Result<T, HostError> + Sync) -> Result<T, HostError> {
    let home = File::open(OWN);
    let (Ok(home), false) = (home, IS_LOST.get()) else { return one(netns, work) };
    let work = || catch_unwind(AssertUnwindSafe(&work)).unwrap_or(Err(HostError::ThreadFailed));
    if is_here(netns) {
        return work();
    }
    enter(netns)?;
    let done = work();
    // SAFETY: `home` is an open descriptor for the whole call; `setns` takes no pointer.
    IS_LOST.set(unsafe { libc::setns(home.as_raw_fd(), libc::CLONE_NEWNET) } != 0);
    done
}

fn is_here(netns: &Netns) -> bool {
    link(Path::new(OWN)).is_ok_and(|inode| inode == Some(netns.inode))
}

/// Moves the calling thread into `netns`; on an error it is where it was.
fn enter(netns: &Netns) -> Result<(), HostError> {
    if is_here(netns) {
        return Ok(());
    }
    let door = open(netns)?;
    // SAFETY: `door` is an open descriptor for the whole call; `setns` takes no pointer.
    if unsafe { libc::setns(door.as_raw_fd(), libc::CLONE_NEWNET) } == 0 {
        return Ok(());
    }
    Err(HostError::Refused { netns: netns.inode, errno: Errno::of(&std::io::Error::last_os_error()) })
}

/// The calling thread's network namespace by its cookie (`net->net_cookie`), which is never another one's; `None` before
/// Linux 5.14.
pub fn cookie() -> Option<u64> {
    let socket = UnixDatagram::unbound().ok()?;
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the two pointers lead to values of the size that is said, for the length of the call.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (done == 0 && cookie != 0).then_some(cookie)
}

/// Whether the calling thread is in the namespace that an event was of: its number may be another one's by now. Where one of
/// the two cookies is not known (0, or an old kernel), the number has to do.
///
/// # Errors
/// [`HostError::Reused`] if it is another one.
pub fn check(netns: u32, wanted: u64) -> Result<(), HostError> {
    match cookie() {
        Some(found) if wanted != 0 && found != wanted => Err(HostError::Reused { netns }),
        _ => Ok(()),
    }
}

/// Opens the first door that still leads to `netns`: a process number or a mount point may be another's by now.
pub(crate) fn open(netns: &Netns) -> Result<File, HostError> {
    let mut refused = None;
    for path in &netns.doors {
        // Not to hang on a FIFO that took the place of a mount.
        match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
            Ok(file) if file.metadata().is_ok_and(|found| found.ino() == u64::from(netns.inode)) => return Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => refused = Some(Errno::of(&error)),
            Ok(_) | Err(_) => {}
        }
    }
    Err(match refused {
        Some(errno) => HostError::Refused { netns: netns.inode, errno },
        None => HostError::Gone { netns: netns.inode },
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::netns::NetnsName;
    use super::*;

    fn netns(inode: u32, door: &str) -> Netns {
        Netns { inode, name: NetnsName::Host, doors: vec![PathBuf::from(door)] }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn our_own_namespace_needs_no_door() {
        let own = link(Path::new(OWN)).unwrap().unwrap();
        let inside = |_: &Netns| Ok(link(Path::new(OWN)).unwrap());
        let results = each(&[&netns(own, "/nonexistent")], soon(), inside);
        assert_eq!(results, [(own, Ok(Some(own)))]);
    }

    #[test]
    fn a_number_that_is_another_ones_by_now_is_noticed() {
        assert_eq!(check(7, 0), Ok(()), "the event does not tell");
        if let Some(cookie) = cookie() {
            assert_eq!(check(7, cookie), Ok(()));
            assert_eq!(check(7, cookie + 1), Err(HostError::Reused { netns: 7 }));
        }
    }

    #[test]
    fn a_door_that_leads_elsewhere_is_not_taken() {
        let work = |_: &Netns| -> Result<(), HostError> { panic!("entered") };
        for door in ["/nonexistent", "/proc/self/ns/mnt", "/dev/null", "/proc/self/ns/net"] {
            let results = each(&[&netns(7, door)], soon(), work);
            assert_eq!(results, [(7, Err(HostError::Gone { netns: 7 }))], "{door}");
        }
    }

    #[test]
    fn only_the_first_is_begun_after_the_deadline_and_a_panic_is_an_error() {
        let own = link(Path::new(OWN)).unwrap().unwrap();
        let own_twice = [&netns(own, ""), &netns(own, "")];
        assert_eq!(each(&own_twice, Instant::now(), |_| Ok(())), [(own, Ok(()))]);
        assert_eq!(each(&own_twice, soon(), |_| Ok(())).len(), 2);
        let failed = each(&[&netns(own, "")], soon(), |_| -> Result<(), HostError> { panic!("expected by the test") });
        assert_eq!(failed, [(own, Err(HostError::ThreadFailed))]);
        assert_eq!(one(&netns(own, ""), || Ok(1)), Ok(1));
        assert_eq!(one(&netns(7, "/dev/null"), || Ok(1)), Err(HostError::Gone { netns: 7 }));
    }
}
