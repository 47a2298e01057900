//! A network namespace that exists as long as its guard, or this process.
//!
//! Rule: nothing but an open descriptor holds it (no mount, no process), so that it ends with us, however we end. Every
//! thread that works inside has first been seen to be inside: nothing here can change the machine's own namespace.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::thread;

use tracer_netfilter::netlink::transaction::Connection;

use super::error::DemoError;
use crate::host::error::{Errno, HostError};
use crate::host::netns::{Netns, NetnsName, link};

/// The calling thread's network namespace.
const OWN: &str = "/proc/thread-self/ns/net";

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: &'static str,
    pub(super) inode: u32,
    door: File,
}

impl Namespace {
    pub(super) fn new(name: &'static str) -> Result<Self, DemoError> {
        let ours = own()?;
        let (door, inode) = on_a_thread(|| {
            // SAFETY: takes no pointer, and only moves this thread.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(refused(&io::Error::last_os_error()));
            }
            let door = File::open(OWN).map_err(|error| procfs(OWN, &error))?;
            Ok((door, own()?))
        })?;
        if inode == ours || link(Path::new("/proc/1/ns/net")).is_ok_and(|first| first == Some(inode)) {
            return Err(DemoError::NotIsolated);
        }
        Ok(Self { name, inode, door })
    }

    /// Does `work` on a thread of its own inside. Sockets made there stay there, wherever they go.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T, DemoError> + Send) -> Result<T, DemoError> {
        on_a_thread(|| {
            // SAFETY: the descriptor is open for the whole call; `setns` takes no pointer.
            if unsafe { libc::setns(self.door.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(refused(&io::Error::last_os_error()));
            }
            if own()? != self.inode {
                return Err(DemoError::NotIsolated);
            }
            work()
        })
    }

    /// Sets sysctls of this namespace, each given by its path below `/proc/sys/net`: what is there depends on who looks.
    pub(super) fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), DemoError> {
        self.run(|| {
            settings.iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/net/{name}");
                fs::write(&path, value).map_err(|error| DemoError::Sysctl {
                    path,
                    namespace: self.name,
                    errno: Errno::of(&error),
                })
            })
        })
    }

    pub(super) fn connect(&self, protocol: libc::c_int) -> Result<Connection, DemoError> {
        self.run(|| {
            Connection::open(protocol).map_err(|error| DemoError::SetUp {
                what: "open a netlink socket",
                namespace: self.name,
                errno: Errno::of(&error),
            })
        })
    }

    pub(super) fn udp(&self, address: SocketAddr) -> Result<UdpSocket, DemoError> {
        self.run(|| UdpSocket::bind(address).map_err(|error| self.traffic(&error)))
    }

    /// What it means when a socket in here fails.
    pub(super) fn traffic(&self, error: &io::Error) -> DemoError {
        DemoError::Traffic { namespace: self.name, errno: Errno::of(error) }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.door.as_raw_fd()
    }

    /// How the host readers find it: no process and no mount leads to it.
    pub(super) fn netns(&self) -> Netns {
        let door = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.descriptor()));
        Netns { inode: self.inode, name: NetnsName::Named(self.name.to_owned()), doors: vec![door] }
    }
}

fn own() -> Result<u32, DemoError> {
    match link(Path::new(OWN)) {
        Ok(Some(inode)) => Ok(inode),
        Ok(None) => Err(procfs(OWN, &io::ErrorKind::InvalidData.into())),
        Err(error) => Err(procfs(OWN, &error)),
    }
}

fn procfs(path: &str, error: &io::Error) -> DemoError {
    HostError::Procfs { path: path.to_owned(), errno: Errno::of(error) }.into()
}

fn refused(error: &io::Error) -> DemoError {
    match Errno::of(error) {
        Errno(libc::EPERM) => DemoError::NotPermitted,
        Errno(libc::ENOSPC | libc::EUSERS) => DemoError::TooManyNamespaces,
        errno => DemoError::Namespace(errno),
    }
}

/// A thread that has moved never has to come back: it ends.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, DemoError> + Send) -> Result<T, DemoError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("demo".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
        thread.join().unwrap_or(Err(HostError::ThreadFailed.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// None, with the reason printed, without root.
    fn namespace() -> Option<Namespace> {
        match Namespace::new("test") {
            Err(DemoError::NotPermitted) => {
                eprintln!("skipped: network namespaces need root");
                None
            }
            made => Some(made.unwrap()),
        }
    }

    #[test]
    fn it_is_another_one_and_this_thread_stays() {
        let before = own().unwrap();
        let Some(namespace) = namespace() else { return };
        assert_ne!(namespace.inode, before);
        assert_eq!(namespace.run(own).unwrap(), namespace.inode);
        assert_eq!(own().unwrap(), before);
    }

    #[test]
    fn a_sysctl_is_set_inside_only() {
        let Some(namespace) = namespace() else { return };
        let name = "/proc/sys/net/ipv4/ip_default_ttl";
        let outside = fs::read(name).unwrap();
        namespace.sysctl(&[("ipv4/ip_default_ttl", "99")]).unwrap();
        assert_eq!(namespace.run(|| Ok(fs::read(name).unwrap())).unwrap(), b"99\n");
        assert_eq!(fs::read(name).unwrap(), outside);
        let refused = namespace.sysctl(&[("ipv4/no_such", "1")]).unwrap_err().to_string();
        assert!(refused.contains("/proc/sys/net/ipv4/no_such") && refused.contains("test"), "{refused}");
    }

    #[test]
    fn its_door_leads_to_it() {
        let Some(namespace) = namespace() else { return };
        let door = namespace.netns().doors.remove(0);
        assert_eq!(fs::read_link(door).unwrap(), PathBuf::from(format!("net:[{}]", namespace.inode)));
    }
}
