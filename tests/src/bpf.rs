//! The kernel's own list of BPF programs, maps and links, by `bpf(2)`: what a tracer holds, and what it left behind.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::{io, thread};

use anyhow::{Context, Result, ensure};

/// `union bpf_attr` of include/uapi/linux/bpf.h as far as it is used here: the largest member stays below this.
const ATTRIBUTES: usize = 128;
/// Enough of `struct bpf_prog_info` and `struct bpf_map_info` to hold the name.
const INFO: usize = 80;
const NAME_LENGTH: usize = 16;

const BPF_MAP_CREATE: u32 = 0;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_PROG_LOAD: u32 = 5;
const BPF_OBJ_PIN: u32 = 6;
const BPF_PROG_QUERY: u32 = 16;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_LINK_CREATE: u32 = 28;
const BPF_LINK_DETACH: u32 = 34;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Program,
    Map,
    Link,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Program, Self::Map, Self::Link];

    const fn get_next_id(self) -> u32 {
        match self {
            Self::Program => 11,
            Self::Map => 12,
            Self::Link => 31,
        }
    }

    const fn get_fd_by_id(self) -> u32 {
        match self {
            Self::Program => 13,
            Self::Map => 14,
            Self::Link => 30,
        }
    }

    /// Its line in `/proc/PID/fdinfo/N`.
    const fn fdinfo(self) -> &'static str {
        match self {
            Self::Program => "prog_id:",
            Self::Map => "map_id:",
            Self::Link => "link_id:",
        }
    }

    /// Offset of the name in the kind's info; links have none.
    const fn name_offset(self) -> Option<usize> {
        match self {
            Self::Program => Some(64),
            Self::Map => Some(24),
            Self::Link => None,
        }
    }
}

/// A program, map or link by its number, which the kernel does not give out again for a long time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub kind: Kind,
    pub id: u32,
}

impl Object {
    fn open(self) -> io::Result<OwnedFd> {
        let fd = bpf(self.kind.get_fd_by_id(), |attributes| put32(attributes, 0, self.id))?;
        // SAFETY: the kernel just gave this descriptor to us and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub fn exists(self) -> bool {
        self.open().is_ok()
    }

    /// At most 15 bytes, as the kernel keeps it; empty for links and nameless objects.
    pub fn name(self) -> Result<String> {
        let Some(offset) = self.kind.name_offset() else { return Ok(String::new()) };
        let fd = self.open().with_context(|| format!("{self:?} is gone"))?;
        let mut info = [0_u8; INFO];
        bpf(BPF_OBJ_GET_INFO_BY_FD, |attributes| {
            put32(attributes, 0, fd.as_raw_fd().cast_unsigned());
            put32(attributes, 4, INFO as u32);
            put_pointer(attributes, 8, info.as_mut_ptr());
        })?;
        let name = &info[offset..offset + NAME_LENGTH];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LENGTH);
        Ok(String::from_utf8_lossy(&name[..end]).into_owned())
    }

    /// Kernel memory that a map takes, bytes, as its `fdinfo` has it.
    pub fn memory(self) -> Result<u64> {
        let fd = self.open().with_context(|| format!("{self:?} is gone"))?;
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("memlock:"));
        Ok(line.with_context(|| format!("no memory in {text}"))?.trim().parse()?)
    }
}

/// Everything of a kind that the kernel has now.
pub fn all(kind: Kind) -> Result<BTreeSet<Object>> {
    let mut found = BTreeSet::new();
    let mut last = 0;
    loop {
        let mut next = [0_u8; ATTRIBUTES];
        put32(&mut next, 0, last);
        match call(kind.get_next_id(), &mut next) {
            Ok(_) => last = u32::from_ne_bytes([next[4], next[5], next[6], next[7]]),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(error) => return Err(error).context("the kernel does not list its BPF objects"),
        }
        found.insert(Object { kind, id: last });
    }
}

/// What the open descriptors of a process refer to; empty when there is no such process.
pub fn held_by(pid: u32) -> BTreeSet<Object> {
    let mut held = BTreeSet::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return held };
    for entry in entries.flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        for (line, kind) in text.lines().flat_map(|line| Kind::ALL.map(|kind| (line, kind))) {
            let number = line.strip_prefix(kind.fdinfo()).and_then(|number| number.trim().parse().ok());
            held.extend(number.map(|id| Object { kind, id }));
        }
    }
    held
}

/// Where a two-instruction program is attached.
#[derive(Clone, Copy, Debug)]
pub enum Attach {
    Xdp,
    TcxIngress,
    TcxEgress,
    CgroupIngress,
    CgroupEgress,
}

impl Attach {
    /// `enum bpf_prog_type`.
    const fn program_type(self) -> u32 {
        match self {
            Self::TcxIngress | Self::TcxEgress => 3,
            Self::Xdp => 6,
            Self::CgroupIngress | Self::CgroupEgress => 8,
        }
    }

    /// `enum bpf_attach_type`.
    const fn place(self) -> u32 {
        match self {
            Self::CgroupIngress => 0,
            Self::CgroupEgress => 1,
            Self::Xdp => 37,
            Self::TcxIngress => 46,
            Self::TcxEgress => 47,
        }
    }
}

/// The programs at an interface of this thread's namespace, in the order in which they run.
pub fn at_interface(place: Attach, interface: u32) -> Result<Vec<Object>> {
    let mut ids = [0_u32; 64];
    let mut query = [0_u8; ATTRIBUTES];
    put32(&mut query, 0, interface);
    put32(&mut query, 4, place.place());
    put_pointer(&mut query, 16, ids.as_mut_ptr().cast());
    put32(&mut query, 24, ids.len() as u32);
    call(BPF_PROG_QUERY, &mut query).context("the kernel does not list what is attached")?;
    Ok(ids.into_iter().filter(|id| *id != 0).map(|id| Object { kind: Kind::Program, id }).collect())
}

/// A program that answers the same verdict to every packet; unloaded on drop, unless it is attached or pinned.
#[derive(Debug)]
pub struct Verdict {
    attach: Attach,
    program: OwnedFd,
}

impl Verdict {
    /// `name` has at most 15 bytes.
    pub fn load(attach: Attach, name: &str, verdict: i32) -> Result<Self> {
        // r0 = verdict; exit
        let code = [0xb7 | u64::from(verdict.cast_unsigned()) << 32, 0x95];
        let program = bpf(BPF_PROG_LOAD, |attributes| {
            put32(attributes, 0, attach.program_type());
            put32(attributes, 4, 2);
            put_pointer(attributes, 8, code.as_ptr().cast());
            put_pointer(attributes, 16, c"GPL".as_ptr().cast());
            attributes[48..48 + name.len()].copy_from_slice(name.as_bytes());
        });
        let program = program.context("the kernel refuses a program that only answers")?;
        // SAFETY: the kernel just gave this descriptor to us and nobody else knows it.
        Ok(Self { attach, program: unsafe { OwnedFd::from_raw_fd(program) } })
    }

    /// The kernel's number.
    pub fn id(&self) -> Result<u32> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.program.as_raw_fd()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(Kind::Program.fdinfo()));
        Ok(line.with_context(|| format!("no number in {text}"))?.trim().parse()?)
    }

    /// Attaches it to an interface of this thread's namespace.
    pub fn attach(&self, interface: u32) -> Result<Link> {
        self.link(interface).with_context(|| format!("{:?} refused on interface {interface}", self.attach))
    }

    /// Attaches it to a cgroup, by its directory.
    pub fn attach_to_cgroup(&self, directory: &Path) -> Result<Link> {
        let directory = File::open(directory)?;
        self.link(directory.as_raw_fd().cast_unsigned()).with_context(|| format!("{:?} refused", self.attach))
    }

    fn link(&self, target: u32) -> io::Result<Link> {
        let link = bpf(BPF_LINK_CREATE, |attributes| {
            put32(attributes, 0, self.program.as_raw_fd().cast_unsigned());
            put32(attributes, 4, target);
            put32(attributes, 8, self.attach.place());
        })?;
        // SAFETY: the kernel just gave this descriptor to us and nobody else knows it.
        Ok(Link(unsafe { OwnedFd::from_raw_fd(link) }))
    }

    /// Pins it, so that other programs can take it from there.
    pub fn pin(&self, path: &str) -> Result<()> {
        pin(&self.program, path)
    }
}

/// What holds a program at its place; detached on drop, at once: a child that another test starts may hold a copy of the
/// descriptor for a moment.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Drop for Link {
    fn drop(&mut self) {
        let done = bpf(BPF_LINK_DETACH, |attributes| put32(attributes, 0, self.0.as_raw_fd().cast_unsigned()));
        // ENOLINK: its interface or cgroup is gone already.
        if let Err(error) = done.map(drop)
            && error.raw_os_error() != Some(libc::ENOLINK)
        {
            eprintln!("a BPF link is detached with its descriptor only: {error}");
        }
    }
}

/// A per-CPU hash of this thread's making, with keys of 8 bytes and values of two numbers.
#[derive(Debug)]
pub struct CpuHash(OwnedFd);

impl CpuHash {
    pub fn new(name: &str) -> Result<Self> {
        const BPF_MAP_TYPE_PERCPU_HASH: u32 = 5;
        let map = bpf(BPF_MAP_CREATE, |attributes| {
            for (at, value) in [BPF_MAP_TYPE_PERCPU_HASH, 8, 16, 64].into_iter().enumerate() {
                put32(attributes, 4 * at, value);
            }
            attributes[28..28 + name.len()].copy_from_slice(name.as_bytes());
        })?;
        // SAFETY: the kernel just gave this descriptor to us and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(map) }))
    }

    /// Sets an entry: these numbers on the first CPU, none on the others.
    pub fn set(&self, key: [u8; 8], numbers: [u64; 2]) -> Result<()> {
        // More CPUs than any kernel is built for.
        let mut values = vec![0_u64; 2 * 8192];
        values[..2].copy_from_slice(&numbers);
        bpf(BPF_MAP_UPDATE_ELEM, |attributes| {
            put32(attributes, 0, self.0.as_raw_fd().cast_unsigned());
            put_pointer(attributes, 8, key.as_ptr());
            put_pointer(attributes, 16, values.as_ptr().cast());
        })?;
        Ok(())
    }

    pub fn pin(&self, path: &str) -> Result<()> {
        pin(&self.0, path)
    }
}

fn pin(object: &OwnedFd, path: &str) -> Result<()> {
    let text = CString::new(path)?;
    bpf(BPF_OBJ_PIN, |attributes| {
        put_pointer(attributes, 0, text.as_ptr().cast());
        put32(attributes, 8, object.as_raw_fd().cast_unsigned());
    })
    .with_context(|| format!("cannot pin at {path}"))?;
    Ok(())
}

/// Does `work` on a thread with a BPF file system of its own at `/sys/fs/bpf`, which nobody else sees and which ends with
/// the thread and what it started.
pub fn with_file_system<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let mount = |what: &CStr, at: &CStr, kind: &CStr, flags| {
                // SAFETY: three texts that end with NUL, and no data.
                unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) == 0 }
            };
            // SAFETY: takes no pointer, and only moves this thread.
            let done = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0
                && mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE)
                && mount(c"bpf", c"/sys/fs/bpf", c"bpf", 0);
            ensure!(done, "no BPF file system of its own: {}", io::Error::last_os_error());
            work()
        });
        inside.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Attaches a nameless program that answers `verdict` to every packet of an interface of this thread's namespace.
pub fn attach_verdict(attach: Attach, interface: u32, verdict: i32) -> Result<Link> {
    Verdict::load(attach, "", verdict)?.attach(interface)
}

fn bpf(command: u32, fill: impl FnOnce(&mut [u8])) -> io::Result<i32> {
    let mut attributes = [0_u8; ATTRIBUTES];
    fill(&mut attributes);
    call(command, &mut attributes)
}

fn call(command: u32, attributes: &mut [u8; ATTRIBUTES]) -> io::Result<i32> {
    #[repr(C, align(8))]
    struct Aligned([u8; ATTRIBUTES]);
    let mut aligned = Aligned(*attributes);
    // SAFETY: the attributes have the size given; pointers within them are valid for the call (see the callers).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut aligned, ATTRIBUTES) };
    *attributes = aligned.0;
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

fn put32(attributes: &mut [u8], at: usize, value: u32) {
    attributes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

fn put_pointer(attributes: &mut [u8], at: usize, pointer: *const u8) {
    attributes[at..at + 8].copy_from_slice(&(pointer as u64).to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_programs_holds_none() {
        assert_eq!(held_by(std::process::id()), BTreeSet::new());
    }
}
