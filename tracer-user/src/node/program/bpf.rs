//! The kernel's own lists of BPF programs, by `bpf(2)`: what is attached to a device or a cgroup, and what it is.
//!
//! Rule: this is the topic's only file with `unsafe`. Nothing is loaded, attached or changed; layouts are those of
//! `uapi/linux/bpf.h` (6.18), which only ever grow at their end.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use aya_obj::generated::bpf_prog_info;

use crate::host::error::Errno;

/// `enum bpf_attach_type`.
pub(super) const CGROUP_INGRESS: u32 = 0;
pub(super) const CGROUP_EGRESS: u32 = 1;
pub(super) const TCX_INGRESS: u32 = 46;
pub(super) const TCX_EGRESS: u32 = 47;
pub(super) const NETKIT_PRIMARY: u32 = 54;
pub(super) const NETKIT_PEER: u32 = 55;
/// `BPF_F_QUERY_EFFECTIVE`: with what a cgroup inherits.
pub(super) const EFFECTIVE: u32 = 1;

/// `enum bpf_cmd`.
const OBJECT_GET: libc::c_int = 7;
const PROGRAM_BY_ID: libc::c_int = 13;
const INFO_BY_FD: libc::c_int = 15;
const PROGRAM_QUERY: libc::c_int = 16;
const BTF_BY_ID: libc::c_int = 19;
/// `BPF_F_RDONLY`.
const READ_ONLY: u32 = 8;

/// Programs read of one place. tcx takes 64 (`BPF_MPROG_MAX`), a cgroup 64 with as many for each ancestor.
const MOST: usize = 256;
/// Map numbers read of one program (`MAX_USED_MAPS` is 64).
const MOST_MAPS: usize = 64;
/// `struct bpf_func_info`: offset of the first instruction, number of the type.
const FUNCTION: usize = 8;
/// Largest type table read, bytes; those of large programs are below 1 MiB.
const MOST_BTF: u32 = 16 << 20;

#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    attach_type: u32,
    how: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    pad: u32,
    program_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Info {
    fd: u32,
    length: u32,
    into: u64,
}

#[repr(C)]
#[derive(Default)]
struct Get {
    path: u64,
    fd: u32,
    flags: u32,
}

/// `struct bpf_btf_info`.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    size: u32,
    id: u32,
    name: u64,
    name_length: u32,
    of_kernel: u32,
}

/// Something attached: the program's number, and that of its link if one holds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attachment {
    pub(super) program: u32,
    pub(super) link: Option<u32>,
}

/// What the kernel says about a program.
#[derive(Debug)]
pub(super) struct Described {
    /// `enum bpf_prog_type`.
    pub(super) kind: u32,
    pub(super) tag: [u8; 8],
    /// Nanoseconds since boot (`CLOCK_BOOTTIME`).
    pub(super) loaded: u64,
    pub(super) uid: u32,
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) maps: Vec<u32>,
    /// The name of its first function, which the short name is cut from.
    pub(super) function: Option<String>,
}

/// # Safety
/// `attributes` is what `command` takes, and each address in it is 0 or of live memory that is as large as it needs.
unsafe fn bpf<A>(command: libc::c_int, attributes: &mut A) -> Result<libc::c_int, Errno> {
    // SAFETY: pointer and size are those of `attributes`; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(Errno::of(&io::Error::last_os_error())),
    }
}

/// # Safety
/// As for [`bpf`]; `command` gives a new descriptor.
unsafe fn bpf_fd<A>(command: libc::c_int, mut attributes: A) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller's promise.
    let fd = unsafe { bpf(command, &mut attributes) }?;
    // SAFETY: a new descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn writable<T>(of: &mut [T]) -> u64 {
    of.as_mut_ptr().expose_provenance() as u64
}

/// What is attached to a device of the calling thread's namespace, in the order in which it runs (tcx 6.6, netkit 6.7).
pub(super) fn of_device(index: u32, attach_type: u32) -> Result<Vec<Attachment>, Errno> {
    let mut links = [0; MOST];
    let programs = query(Query { target: index, attach_type, ..Query::default() }, Some(&mut links))?;
    let link = |at: usize| links.get(at).copied().filter(|link| *link != 0);
    Ok(programs.into_iter().enumerate().map(|(at, program)| Attachment { program, link: link(at) }).collect())
}

/// The programs of a cgroup, by its directory, in the order in which they run.
pub(super) fn of_cgroup(directory: &impl AsRawFd, attach_type: u32, flags: u32) -> Result<Vec<u32>, Errno> {
    let target = directory.as_raw_fd().cast_unsigned();
    query(Query { target, attach_type, how: flags, ..Query::default() }, None)
}

fn query(mut query: Query, links: Option<&mut [u32; MOST]>) -> Result<Vec<u32>, Errno> {
    let mut programs = [0; MOST];
    query.programs = writable(&mut programs);
    query.links = links.map_or(0, |links| writable(links));
    query.count = MOST as u32;
    // SAFETY: both arrays have room for `count` numbers of 4 bytes.
    match unsafe { bpf(PROGRAM_QUERY, &mut query) } {
        // ENOSPC: there are more than fit; the first are there.
        Ok(_) | Err(Errno(libc::ENOSPC)) => {}
        Err(errno) => return Err(errno),
    }
    Ok(programs.into_iter().take(query.count as usize).filter(|program| *program != 0).collect())
}

/// What the kernel says about a program; `ENOENT` if there is none of that number.
pub(super) fn describe(id: u32) -> Result<Described, Errno> {
    // SAFETY: no address among the attributes; the result is a descriptor.
    let fd = unsafe { bpf_fd(PROGRAM_BY_ID, ById { id, ..ById::default() }) }?;
    let first = info(&fd, empty())?;
    let mut maps = vec![0u32; (first.nr_map_ids as usize).min(MOST_MAPS)];
    let wanted = bpf_prog_info { nr_map_ids: maps.len() as u32, map_ids: writable(&mut maps), ..empty() };
    let maps = if maps.is_empty() || info(&fd, wanted).is_err() { Vec::new() } else { maps };
    Ok(Described {
        kind: first.type_,
        tag: first.tag,
        loaded: first.load_time,
        uid: first.created_by_uid,
        name: text(&first.name.map(|letter| letter.to_ne_bytes()[0])),
        runs: first.run_cnt,
        maps,
        function: (first.btf_id != 0 && first.nr_func_info != 0).then(|| function(&fd, first.btf_id)).flatten(),
    })
}

fn empty() -> bpf_prog_info {
    // SAFETY: a struct of integers, for which all zeros is a value.
    unsafe { std::mem::zeroed() }
}

fn info(fd: &OwnedFd, mut info: bpf_prog_info) -> Result<bpf_prog_info, Errno> {
    let address = std::ptr::from_mut(&mut info).expose_provenance() as u64;
    let length = size_of::<bpf_prog_info>() as u32;
    let mut attributes = Info { fd: fd.as_raw_fd().cast_unsigned(), length, into: address };
    // SAFETY: `info` is as large as said, and its addresses are 0 or have the room that stands beside them.
    unsafe { bpf(INFO_BY_FD, &mut attributes) }?;
    Ok(info)
}

/// The name of a program's first function, from the types it was loaded with.
fn function(fd: &OwnedFd, btf: u32) -> Option<String> {
    let mut first = [0u8; FUNCTION];
    let wanted = bpf_prog_info {
        func_info_rec_size: FUNCTION as u32,
        nr_func_info: 1,
        func_info: writable(&mut first),
        ..empty()
    };
    info(fd, wanted).ok()?;
    let id = u32::from_ne_bytes(*first.last_chunk()?);
    // SAFETY: no address among the attributes; the result is a descriptor.
    let fd = unsafe { bpf_fd(BTF_BY_ID, ById { id: btf, ..ById::default() }) }.ok()?;
    let size = types(&fd, &mut [])?;
    let mut bytes = vec![0; size.min(MOST_BTF) as usize];
    types(&fd, &mut bytes)?;
    crate::btf::Btf::parse(bytes).ok()?.name_of(id)
}

/// Reads a type table; its size.
fn types(fd: &OwnedFd, into: &mut [u8]) -> Option<u32> {
    let btf = if into.is_empty() { 0 } else { writable(into) };
    let mut table = BtfInfo { size: into.len() as u32, btf, ..BtfInfo::default() };
    let address = std::ptr::from_mut(&mut table).expose_provenance() as u64;
    let length = size_of::<BtfInfo>() as u32;
    let mut attributes = Info { fd: fd.as_raw_fd().cast_unsigned(), length, into: address };
    // SAFETY: `table` is as large as said, and there is room for `size` bytes.
    unsafe { bpf(INFO_BY_FD, &mut attributes) }.ok()?;
    Some(table.size)
}

/// Opens what is pinned at a path, for reading only.
pub(super) fn pinned(path: &Path) -> Result<OwnedFd, Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))?;
    let attributes = Get { path: path.as_ptr().expose_provenance() as u64, fd: 0, flags: READ_ONLY };
    // SAFETY: the path ends with NUL and lives on; the result is a descriptor.
    unsafe { bpf_fd(OBJECT_GET, attributes) }
}

/// How long this machine has been up, suspended or not: the clock of [`Described::loaded`]. `/proc/uptime` may be made up
/// in a container.
pub(super) fn uptime() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec; CLOCK_BOOTTIME exists since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_its_errno() {
        assert_eq!(describe(u32::MAX - 1).unwrap_err(), Errno(libc::ENOENT));
        assert_eq!(pinned(Path::new("/nonexistent")).unwrap_err(), Errno(libc::ENOENT));
        assert!(pinned(Path::new("/proc/self/status")).is_err(), "no bpf file system");
        assert!(of_device(0x7fff_fff0, TCX_INGRESS).is_err());
        assert!(of_cgroup(&std::fs::File::open("/dev/null").unwrap(), CGROUP_EGRESS, 0).is_err());
        // EINVAL: a kernel without tcx.
        assert!(matches!(of_device(1, TCX_INGRESS), Ok(_) | Err(Errno(libc::EINVAL))));
    }

    #[test]
    fn names_end_at_the_first_zero() {
        assert_eq!((text(b"sd_fw\0xx"), text(b""), text(b"abc")), ("sd_fw".into(), String::new(), "abc".into()));
    }
}
