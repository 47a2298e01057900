//! Whose program a socket is: the process that holds it open, and its container, pod or systemd unit.
//!
//! Rule: only descriptors of processes in the socket's own network namespace are looked at, for at most [`BUDGET`]; who
//! holds a socket from elsewhere (a process that passed it on, or changed its namespace) stays unknown.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cgroup::{self, Place};
use crate::host::netns;
use crate::node::recent::{Read, Recent};

/// How long one search may take.
const BUDGET: Duration = Duration::from_millis(100);
/// Sockets remembered of one namespace.
const MOST_SOCKETS: usize = 65_536;
/// Bytes of `/proc/PID/cgroup` that are read; a line a hierarchy.
const MOST_CGROUP: usize = 16 * 1024;

/// A process that holds a socket open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub pid: u32,
    /// At most 15 bytes, set by the process itself.
    pub comm: String,
    /// Where its cgroup says that it belongs.
    pub place: Place,
    /// Processes that hold the same socket besides.
    pub others: u32,
    /// By a signal or a debugger: it reads nothing until it is let go on.
    pub is_stopped: bool,
}

/// The sockets of one namespace by inode, with the process of the lowest number that holds each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    by_inode: HashMap<u32, Owner>,
    /// What was not looked at, and why.
    pub cut: Option<String>,
}

impl Owners {
    pub fn get(&self, inode: u32) -> Option<&Owner> {
        self.by_inode.get(&inode).filter(|_| inode != 0)
    }

    /// Those of these sockets whose process still runs.
    fn alive(&self, inodes: &[u32]) -> Self {
        let is_alive = |owner: &&Owner| Path::new("/proc").join(owner.pid.to_string()).exists();
        let owners = inodes.iter().filter_map(|inode| Some((*inode, self.get(*inode).filter(is_alive)?.clone())));
        Self { by_inode: owners.collect(), cut: self.cut.clone() }
    }
}

/// Earlier searches, by the namespace's inode.
#[derive(Debug, Default)]
pub struct Cache(Recent<u32, Arc<Owners>>);

impl Cache {
    /// Who holds these sockets of a network namespace, found after a drop (`CLOCK_MONOTONIC`, ns). Of a search from before
    /// it, those whose process has ended are left out.
    pub(crate) fn owners(&mut self, netns: u32, drop: u64, inodes: &[u32]) -> Option<Read<Arc<Owners>>> {
        let search = || Arc::new(search(Path::new("/proc"), netns, Instant::now() + BUDGET));
        let mut read = self.0.get(netns, drop, search)?;
        if read.is_early {
            read.value = Arc::new(read.value.alive(inodes));
        }
        Some(read)
    }
}

fn search(proc: &Path, netns: u32, deadline: Instant) -> Owners {
    let mut found = Owners::default();
    let Ok(entries) = fs::read_dir(proc) else {
        found.cut = Some("the processes can't be listed; mount the host's /proc, or run with --pid=host".to_owned());
        return found;
    };
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let mut refused = 0u32;
    for (done, pid) in pids.iter().enumerate() {
        if Instant::now() >= deadline || found.by_inode.len() >= MOST_SOCKETS {
            let left = pids.len() - done;
            found.cut = Some(format!("{left} of {} processes were not searched for their sockets", pids.len()));
            return found;
        }
        let directory = proc.join(pid.to_string());
        match netns::link(&directory.join("ns/net")) {
            Ok(Some(inode)) if inode == netns => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                refused += 1;
                continue;
            }
            // Of another namespace, or ended meanwhile.
            _ => continue,
        }
        refused += u32::from(!add(&mut found, &directory, *pid, deadline));
    }
    if refused > 0 {
        found.cut = Some(format!("{refused} processes may not be looked into; run with CAP_SYS_PTRACE"));
    }
    found
}

/// Adds the sockets of a process; false if it may not be looked into.
fn add(found: &mut Owners, directory: &Path, pid: u32, deadline: Instant) -> bool {
    let entries = match fs::read_dir(directory.join("fd")) {
        Ok(entries) => entries,
        Err(error) => return error.kind() != std::io::ErrorKind::PermissionDenied,
    };
    let mut owner = None;
    for (number, entry) in entries.flatten().enumerate() {
        // A look at the clock costs as much as a link.
        if number % 256 == 255 && Instant::now() >= deadline || found.by_inode.len() >= MOST_SOCKETS {
            break;
        }
        let Some(inode) = fs::read_link(entry.path()).ok().and_then(|link| socket_inode(link.to_str()?)) else {
            continue;
        };
        match found.by_inode.get_mut(&inode) {
            Some(first) if first.pid != pid => first.others += 1,
            // The same socket twice in one process.
            Some(_) => {}
            None => {
                let owner = owner.get_or_insert_with(|| describe(directory, pid)).clone();
                found.by_inode.insert(inode, owner);
            }
        }
    }
    true
}

fn describe(directory: &Path, pid: u32) -> Owner {
    let comm = fs::read(directory.join("comm")).unwrap_or_default();
    let comm = String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned();
    let mut text = fs::read(directory.join("cgroup")).unwrap_or_default();
    text.truncate(MOST_CGROUP);
    let is_stopped = fs::read(directory.join("stat")).is_ok_and(|stat| is_stopped(&stat));
    Owner { pid, comm, place: cgroup::place(&String::from_utf8_lossy(&text)), others: 0, is_stopped }
}

/// The state is the first word behind the name, which may hold anything: `T` stopped, `t` by a tracer (proc(5)).
fn is_stopped(stat: &[u8]) -> bool {
    let name_ends = stat.iter().rposition(|byte| *byte == b')');
    matches!(name_ends.and_then(|end| stat.get(end + 2)), Some(b'T' | b't'))
}

/// The inode of a descriptor's link `socket:[INODE]`.
fn socket_inode(link: &str) -> Option<u32> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stopped_process_is_told_by_its_state() {
        assert!(is_stopped(b"7 (app) T 1 7") && is_stopped(b"7 (a) S ) t 1"));
        assert!(!is_stopped(b"7 (T) S 1 7") && !is_stopped(b"7 (T") && !is_stopped(b"") && !is_stopped(b")"));
    }

    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;

    use super::*;

    fn own_netns() -> u32 {
        netns::link(Path::new("/proc/self/ns/net")).unwrap().unwrap()
    }

    fn inode_of(socket: &impl AsRawFd) -> u32 {
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        socket_inode(link.to_str().unwrap()).unwrap()
    }

    #[test]
    fn our_own_sockets_are_ours() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let _copy = tcp.try_clone().unwrap();
        let found = search(Path::new("/proc"), own_netns(), Instant::now() + Duration::from_secs(10));
        for inode in [inode_of(&tcp), inode_of(&udp)] {
            let owner = found.get(inode).unwrap();
            assert_eq!((owner.pid, owner.others), (std::process::id(), 0));
            assert!(!owner.comm.is_empty());
        }
        assert_eq!(found.get(0), None, "nobody holds it");
        let elsewhere = search(Path::new("/proc"), 7, Instant::now() + Duration::from_secs(10));
        assert_eq!(elsewhere.get(inode_of(&tcp)), None, "another namespace");
    }

    #[test]
    fn what_was_left_out_is_said() {
        let found = search(Path::new("/proc"), own_netns(), Instant::now());
        assert!(found.cut.unwrap().contains("were not searched"));
        assert!(search(Path::new("/nonexistent"), 1, Instant::now()).cut.unwrap().contains("--pid=host"));
    }

    #[test]
    fn only_links_to_sockets_count() {
        assert_eq!(socket_inode("socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "socket:[x]", "socket:[", "/tmp/socket:[1]", "socket:[99999999999]"] {
            assert_eq!(socket_inode(other), None, "{other}");
        }
    }
}
