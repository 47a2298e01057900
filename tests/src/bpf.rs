//! The kernel's own list of BPF programs, maps and links, by `bpf(2)`: what a tracer holds, and what it left behind.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};

/// `union bpf_attr` of include/uapi/linux/bpf.h as far as it is used here: the largest member stays below this.
const ATTRIBUTES: usize = 128;
/// Enough of `struct bpf_prog_info` and `struct bpf_map_info` to hold the name.
const INFO: usize = 80;
const NAME_LENGTH: usize = 16;

const BPF_PROG_LOAD: u32 = 5;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_LINK_CREATE: u32 = 28;

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
}

/// Attaches a program that answers `verdict` to every packet of an interface of this thread's namespace. The
/// descriptor is the link: it detaches on drop.
pub fn attach_verdict(attach: Attach, interface: u32, verdict: i32) -> Result<OwnedFd> {
    const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    let (program, place) = match attach {
        Attach::Xdp => (BPF_PROG_TYPE_XDP, 37),
        Attach::TcxIngress => (BPF_PROG_TYPE_SCHED_CLS, 46),
        Attach::TcxEgress => (BPF_PROG_TYPE_SCHED_CLS, 47),
    };
    // r0 = verdict; exit
    let code = [0xb7 | u64::from(verdict.cast_unsigned()) << 32, 0x95];
    let program = bpf(BPF_PROG_LOAD, |attributes| {
        put32(attributes, 0, program);
        put32(attributes, 4, 2);
        put_pointer(attributes, 8, code.as_ptr().cast());
        put_pointer(attributes, 16, c"GPL".as_ptr().cast());
    });
    let program = program.context("the kernel refuses a program that only answers")?;
    // SAFETY: the kernel just gave this descriptor to us and nobody else knows it.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    let link = bpf(BPF_LINK_CREATE, |attributes| {
        put32(attributes, 0, program.as_raw_fd().cast_unsigned());
        put32(attributes, 4, interface);
        put32(attributes, 8, place);
    });
    let link = link.with_context(|| format!("{attach:?} refused on interface {interface}"))?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
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
