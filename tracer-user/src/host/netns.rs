//! The network namespaces of this node: what to call each, and a way into it.
//!
//! Rules: one pass over the mount tables and over `/proc`, no namespace is entered and no descriptor is kept, because
//! an open descriptor would keep a deleted pod's namespace alive. Namespaces and processes that vanish on the way are
//! normal. Names (`comm`, mount points) are chosen by others and may hold control characters: sinks sanitise them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Errno, HostError};
use super::mountinfo;

/// Namespaces remembered; the host's and our own are always among them. A node has one a pod, 110 to 250.
pub const MAX_NAMESPACES: usize = 4096;
/// Ways in that are kept of one namespace: if the first fails, the next is tried.
const MAX_DOORS: usize = 3;
/// Exists only in the initial network namespace (`net/core/sysctl_net_core.c`, `net_core_table`, 2.6 to 6.18).
const INITIAL_ONLY: &str = "sys/net/core/netdev_max_backlog";
/// Inode of the initial PID namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// What a network namespace is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsName {
    Host,
    /// The last component of a bind mount's path: `cni-1c0ba3a5-…`, or the name given to `ip netns add`.
    Named(String),
    /// No mount: the process with the lowest number in it.
    Process {
        pid: u32,
        comm: String,
    },
}

impl fmt::Display for NetnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Named(name) => f.write_str(name),
            Self::Process { pid, comm } => write!(f, "{comm}[{pid}]"),
        }
    }
}

/// One network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    /// `net->ns.inum`: what events carry.
    pub inode: u32,
    pub name: NetnsName,
    /// Paths that led to it when it was found; whoever opens one must check the inode again.
    pub doors: Vec<PathBuf>,
}

impl Netns {
    /// How a user runs a command in it: `nsenter --net=PATH`; none when it is the host's.
    pub fn entry_command(&self) -> Option<String> {
        if self.name == NetnsName::Host {
            return None;
        }
        let Some(door) = self.doors.first().and_then(|door| door.to_str()) else {
            return Some(entry_by_inode(self.inode));
        };
        let is_plain = door.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:@+".contains(&byte));
        Some(if is_plain {
            format!("nsenter --net={door}")
        } else {
            format!("nsenter --net='{}'", door.replace('\'', r"'\''"))
        })
    }
}

/// The same for a namespace that no way in was found to: by a process in it, if there is one by then.
pub fn entry_by_inode(inode: u32) -> String {
    format!("nsenter --net --target=$(lsns -rnt net -o NS,PID | awk '$1=={inode}{{print $2}}')")
}

/// How sure it is that a namespace is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostProof {
    /// It is the initial network namespace.
    Initial,
    /// It is that of process 1, which is not the host's first process: whydrop is in a container with its own PID
    /// namespace, or the whole node is a container.
    Process1,
    /// It is our own; no other could be seen.
    Own,
}

/// The namespace that is called `host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostNetns {
    pub inode: u32,
    pub proof: HostProof,
}

/// What one pass found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub host: HostNetns,
    pub namespaces: BTreeMap<u32, Netns>,
    /// Processes whose namespace we may not see.
    pub refused: u32,
    /// Namespaces found beyond [`MAX_NAMESPACES`].
    pub left_out: u32,
}

/// Finds all network namespaces below `proc` (`/proc`).
pub fn scan(proc: &Path) -> Result<Scan, HostError> {
    let own = proc.join("thread-self/ns/net");
    let own_inode = match link(&own) {
        Ok(Some(inode)) => inode,
        Ok(None) => return Err(HostError::Procfs { path: own.display().to_string(), errno: Errno(libc::EINVAL) }),
        Err(error) => {
            return Err(HostError::Procfs { path: own.display().to_string(), errno: Errno::of(&error) });
        }
    };
    let host = host(proc, own_inode);
    let mut found = Scan { host, namespaces: BTreeMap::new(), refused: 0, left_out: 0 };
    found.add(host.inode, || Some(NetnsName::Host), None);
    mounts(proc, &mut found);
    processes(proc, &mut found);
    // A path through `thread-self` would mean another namespace to another thread.
    let ourselves = std::process::id();
    let name = || Some(NetnsName::Process { pid: ourselves, comm: comm(proc, ourselves) });
    found.add(own_inode, name, Some(proc.join(format!("{ourselves}/ns/net"))));
    Ok(found)
}

impl Scan {
    fn add(&mut self, inode: u32, name: impl FnOnce() -> Option<NetnsName>, door: Option<PathBuf>) {
        let full = self.namespaces.len() >= MAX_NAMESPACES;
        let netns = match self.namespaces.entry(inode) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) if full => {
                self.left_out = self.left_out.saturating_add(1);
                return;
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Some(name) = name() else { return };
                entry.insert(Netns { inode, name, doors: Vec::new() })
            }
        };
        if let Some(door) = door
            && netns.doors.len() < MAX_DOORS
            && !netns.doors.contains(&door)
        {
            netns.doors.push(door);
        }
    }
}

/// Which namespace is the host's. `/proc/sys/net` shows the reader's own namespace, so that one is asked first; then
/// process 1 and, in the host's PID namespace, process 2 (`kthreadd`, readable where process 1 is guarded).
fn host(proc: &Path, own: u32) -> HostNetns {
    if proc.join(INITIAL_ONLY).exists() {
        return HostNetns { inode: own, proof: HostProof::Initial };
    }
    let of = |pid: u32| link(&proc.join(format!("{pid}/ns/net"))).ok().flatten();
    if shares_host_pids(proc)
        && let Some(inode) = of(1).or_else(|| of(2))
    {
        return HostNetns { inode, proof: HostProof::Initial };
    }
    match of(1) {
        Some(inode) => HostNetns { inode, proof: HostProof::Process1 },
        None => HostNetns { inode: own, proof: HostProof::Own },
    }
}

/// Whether this process is in the host's PID namespace (`hostPID: true`, `--pid=host`).
pub fn shares_host_pids(proc: &Path) -> bool {
    fs::read_link(proc.join("self/ns/pid")).is_ok_and(|link| link.as_os_str() == INITIAL_PID_NAMESPACE)
}

/// Bind mounts in our mount namespace, then in that of process 1 (they differ in a container).
fn mounts(proc: &Path, found: &mut Scan) {
    let of = |who: &str| fs::read_link(proc.join(who).join("ns/mnt")).ok();
    let elsewhere = of("self") != of("1");
    let tables = [("self", None), ("1", Some(proc.join("1/root")))];
    for (who, root) in tables.into_iter().take(if elsewhere { 2 } else { 1 }) {
        let Ok(text) = fs::read(proc.join(who).join("mountinfo")) else { continue };
        for mount in mountinfo::parse(&text) {
            let name = || Some(NetnsName::Named(mount.path.file_name()?.to_string_lossy().into_owned()));
            let door = match &root {
                Some(root) => root.join(mount.path.strip_prefix("/").unwrap_or(&mount.path)),
                None => mount.path.clone(),
            };
            found.add(mount.netns, name, Some(door));
        }
    }
}

fn processes(proc: &Path, found: &mut Scan) {
    let Ok(entries) = fs::read_dir(proc) else { return };
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let path = proc.join(format!("{pid}/ns/net"));
        match link(&path) {
            Ok(Some(inode)) => {
                found.add(inode, || Some(NetnsName::Process { pid, comm: comm(proc, pid) }), Some(path));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => found.refused += 1,
            // Ended meanwhile.
            Ok(None) | Err(_) => {}
        }
    }
}

/// The inode that a `/proc/PID/ns/net` link names.
pub fn link(path: &Path) -> std::io::Result<Option<u32>> {
    use std::os::unix::ffi::OsStrExt;
    Ok(mountinfo::inode(fs::read_link(path)?.as_os_str().as_bytes()))
}

/// The inode of the network namespace that a file is a bind mount of, or a link of procfs to; `None` if it is anything else.
pub fn at(path: &Path) -> std::io::Result<Option<u32>> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    /// `NS_GET_NSTYPE`, include/uapi/linux/nsfs.h; answers the kind's `CLONE_NEW…` (4.11).
    const GET_KIND: libc::Ioctl = 0xb703;
    // What is no plain file may block or do something when it is opened.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // SAFETY: an open descriptor; this request has no argument. Other files than namespaces refuse it.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), GET_KIND) };
    Ok(if kind == libc::CLONE_NEWNET { u32::try_from(file.metadata()?.ino()).ok() } else { None })
}

/// The inode of the host's network namespace, as far as it can be told (see [`Scan::host`]).
pub fn host_inode(proc: &Path) -> Option<u32> {
    let own = link(&proc.join("thread-self/ns/net")).ok().flatten()?;
    Some(host(proc, own).inode)
}

/// At most 15 bytes (`TASK_COMM_LEN`), set by the process itself.
fn comm(proc: &Path, pid: u32) -> String {
    let bytes = fs::read(proc.join(format!("{pid}/comm"))).unwrap_or_default();
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory that looks like `/proc`, removed when dropped.
    struct FakeProc(PathBuf);

    impl FakeProc {
        fn new(name: &str, own: u32) -> Self {
            let root = std::env::temp_dir().join(format!("wd-proc-{name}-{}", std::process::id()));
            let proc = Self(root);
            proc.process("thread-self", own, "");
            proc.process("self", own, "");
            proc
        }

        fn process(&self, pid: &str, netns: u32, comm: &str) {
            let ns = self.0.join(pid).join("ns");
            fs::create_dir_all(&ns).unwrap();
            symlink(format!("net:[{netns}]"), ns.join("net")).unwrap();
            fs::write(self.0.join(pid).join("comm"), format!("{comm}\n")).unwrap();
        }

        fn mounts(&self, pid: &str, mount_namespace: u32, mounts: &[(u32, &str)]) {
            let line = |(inode, path): &(u32, &str)| format!("9 8 0:4 net:[{inode}] {path} rw - nsfs nsfs rw\n");
            let _ = symlink(format!("mnt:[{mount_namespace}]"), self.0.join(pid).join("ns/mnt"));
            fs::write(self.0.join(pid).join("mountinfo"), mounts.iter().map(line).collect::<String>()).unwrap();
        }

        fn name(&self, inode: u32) -> String {
            scan(&self.0).unwrap().namespaces.get(&inode).map_or("none".into(), |netns| netns.name.to_string())
        }
    }

    impl Drop for FakeProc {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_a_network_namespace_is_one() {
        let own = link(Path::new("/proc/self/ns/net")).unwrap();
        assert_eq!(at(Path::new("/proc/self/ns/net")).unwrap(), own);
        for other in ["/etc/passwd", "/proc/self/ns/pid", "/dev/null", "/", "/proc/self/status"] {
            assert_eq!(at(Path::new(other)).unwrap(), None, "{other}");
        }
        assert!(at(Path::new("/nonexistent")).is_err());
        assert!(host_inode(Path::new("/proc")).is_some());
    }

    #[test]
    fn a_mount_names_a_namespace_and_the_lowest_process_the_rest() {
        let proc = FakeProc::new("names", 100);
        proc.process("1", 100, "systemd");
        proc.process("20", 300, "pause");
        proc.process("7", 200, "java");
        proc.process("9", 200, "sh");
        proc.mounts("self", 1, &[(300, "/run/netns/cni-aa"), (300, "/var/run/netns/cni-bb"), (400, "/run/netns/idle")]);
        proc.mounts("1", 1, &[]);
        let found = scan(&proc.0).unwrap();
        let names: Vec<_> = found.namespaces.values().map(|netns| netns.name.to_string()).collect();
        assert_eq!(names, ["host", "java[7]", "cni-aa", "idle"]);
        let doors = &found.namespaces[&300].doors;
        assert_eq!(doors[..2], [PathBuf::from("/run/netns/cni-aa"), PathBuf::from("/var/run/netns/cni-bb")]);
        assert_eq!(doors[2], proc.0.join("20/ns/net"));
        assert!(found.namespaces[&100].doors.contains(&proc.0.join("1/ns/net")));
    }

    #[test]
    fn in_a_container_the_mounts_of_process_1_count_and_are_reached_through_its_root() {
        let proc = FakeProc::new("container", 100);
        proc.process("1", 50, "systemd");
        proc.mounts("self", 2, &[]);
        proc.mounts("1", 1, &[(300, "/run/netns/cni-aa")]);
        let found = scan(&proc.0).unwrap();
        assert_eq!(found.namespaces[&300].doors, [proc.0.join("1/root/run/netns/cni-aa")]);
        assert_eq!(found.host, HostNetns { inode: 50, proof: HostProof::Process1 });
    }

    #[test]
    fn the_host_is_the_initial_namespace_where_that_can_be_proven() {
        let proc = FakeProc::new("host", 100);
        assert_eq!(scan(&proc.0).unwrap().host, HostNetns { inode: 100, proof: HostProof::Own });

        symlink(INITIAL_PID_NAMESPACE, proc.0.join("self/ns/pid")).unwrap();
        proc.process("2", 50, "kthreadd");
        let host = HostNetns { inode: 50, proof: HostProof::Initial };
        assert_eq!(scan(&proc.0).unwrap().host, host, "process 1 is guarded, kthreadd is not");
        assert_eq!(proc.name(100), format!("[{}]", std::process::id()), "our own is always known");

        fs::create_dir_all(proc.0.join(INITIAL_ONLY)).unwrap();
        assert_eq!(scan(&proc.0).unwrap().host, HostNetns { inode: 100, proof: HostProof::Initial });
    }

    #[test]
    fn processes_without_a_readable_namespace_are_passed_over() {
        let proc = FakeProc::new("gone", 100);
        fs::create_dir_all(proc.0.join("77")).unwrap();
        fs::create_dir_all(proc.0.join("99999999999")).unwrap();
        proc.process("78", 0, "x");
        fs::remove_file(proc.0.join("78/ns/net")).unwrap();
        symlink("net:[nonsense]", proc.0.join("78/ns/net")).unwrap();
        assert_eq!(scan(&proc.0).unwrap().namespaces.len(), 1);
    }

    #[test]
    fn the_number_of_namespaces_is_bounded() {
        let mut found = Scan {
            host: HostNetns { inode: 1, proof: HostProof::Own },
            namespaces: BTreeMap::new(),
            refused: 0,
            left_out: 0,
        };
        for inode in 0..=MAX_NAMESPACES as u32 {
            found.add(inode, || Some(NetnsName::Host), None);
        }
        assert_eq!((found.namespaces.len(), found.left_out), (MAX_NAMESPACES, 1));
        assert!(scan(Path::new("/nonexistent")).is_err());
    }
}
