//! The smallest possible use of each kernel feature, by the `bpf` system call itself.
//!
//! Rules: a capability is decided by trying it; what a trial makes is owned by a descriptor and gone when that is
//! dropped, so nothing stays loaded or attached; only a throw-away network namespace is ever attached to. This is the
//! doctor's only file with `unsafe`. Numbers and layouts are those of `uapi/linux/bpf.h`, which never change.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;

use crate::flow;
use crate::host::error::Errno;

/// `BPF_MAP_TYPE_PERCPU_HASH`.
pub(super) const PER_CPU_HASH: u32 = 5;
/// `BPF_MAP_TYPE_RINGBUF`.
pub(super) const RING_BUFFER: u32 = 27;

/// `BPF_PROG_TYPE_SCHED_CLS`, `…_RAW_TRACEPOINT`, `…_TRACING`.
const SCHED_CLS: u32 = 3;
const RAW_TRACEPOINT: u32 = 17;
const TRACING: u32 = 26;
/// `BPF_TRACE_RAW_TP`, `BPF_TCX_INGRESS`.
const TRACE_RAW_TP: u32 = 23;
const TCX_INGRESS: u32 = 46;

/// `enum bpf_cmd`.
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROGRAM_LOAD: libc::c_int = 5;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const MAP_DRAIN_BATCH: libc::c_int = 25;
const LINK_CREATE: libc::c_int = 28;

/// The most CPUs any kernel is built for (x86 `MAXSMP`): a per-CPU value never needs more room than this, whatever
/// the kernel thinks of how many there are.
const MOST_CPUS: usize = 8192;

/// A program that does nothing but return 0.
pub(super) const NOTHING: &[u64] = &[set(0, 0), EXIT];
/// Calls `bpf_get_stack(ctx, stack - 8, 8, 0)`.
pub(super) const STACK: &[u64] = &[copy(2, 10), add(2, -8), set(3, 8), set(4, 0), call(67), set(0, 0), EXIT];
/// Calls `bpf_probe_read_kernel(stack - 8, 8, 0)`.
pub(super) const READ_KERNEL: &[u64] = &[copy(1, 10), add(1, -8), set(2, 8), set(3, 0), call(113), set(0, 0), EXIT];

const EXIT: u64 = 0x95;

const fn instruction(code: u8, to: u8, from: u8, value: i32) -> u64 {
    code as u64 | (to as u64) << 8 | (from as u64) << 12 | (value.cast_unsigned() as u64) << 32
}

const fn set(register: u8, value: i32) -> u64 {
    instruction(0xb7, register, 0, value)
}

const fn copy(to: u8, from: u8) -> u64 {
    instruction(0xbf, to, from, 0)
}

const fn add(register: u8, value: i32) -> u64 {
    instruction(0x07, register, 0, value)
}

const fn call(helper: i32) -> u64 {
    instruction(0x85, 0, 0, helper)
}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapUpdate {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct DrainBatch {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    /// In: room; out: entries.
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    kernel_version: u32,
    flags: u32,
    name: [u64; 2],
    ifindex: u32,
    attach_type: u32,
    btf: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
}

#[repr(C)]
#[derive(Default)]
struct RawTracepointOpen {
    name: u64,
    program: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// # Safety
/// `attributes` is what `command` takes, and each address in it is 0 or of live memory that is as large as it needs.
unsafe fn bpf<A>(command: libc::c_int, attributes: &mut A) -> Result<libc::c_int, Errno> {
    // SAFETY: pointer and size are those of `attributes`; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(last_error()),
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

fn last_error() -> Errno {
    Errno::of(&std::io::Error::last_os_error())
}

fn number(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// For the kernel to read; valid as long as `of` is.
fn readable<T>(of: &[T]) -> u64 {
    of.as_ptr().expose_provenance() as u64
}

/// For the kernel to write; valid as long as `of` is.
fn writable<T>(of: &mut [T]) -> u64 {
    of.as_mut_ptr().expose_provenance() as u64
}

/// Creates a map; for a ring buffer, key and value size are 0 and `entries` is bytes.
pub(super) fn create_map(kind: u32, key_size: u32, value_size: u32, entries: u32) -> Result<OwnedFd, Errno> {
    let attributes = MapCreate { kind, key_size, value_size, max_entries: entries, flags: 0 };
    // SAFETY: no address among the attributes; the result is a descriptor.
    unsafe { bpf_fd(MAP_CREATE, attributes) }
}

/// Fills a per-CPU hash with three entries and drains it with one call; gives the number of entries drained.
pub(super) fn drain_per_cpu_hash() -> Result<u32, Errno> {
    const ENTRIES: usize = 8;
    let map = create_map(PER_CPU_HASH, 8, 8, ENTRIES as u32)?;
    let value = vec![1u64; MOST_CPUS];
    for key in [1u64, 2, 3] {
        let key = [key];
        let (key, value) = (readable(&key), readable(&value));
        let mut attributes = MapUpdate { map: number(&map), pad: 0, key, value, flags: 0 };
        // SAFETY: a key of 8 bytes, and a value with 8 bytes for each CPU that there can be.
        unsafe { bpf(MAP_UPDATE, &mut attributes) }?;
    }
    let (mut to, mut keys, mut values) = ([0u64], [0u64; ENTRIES], vec![0u64; ENTRIES * MOST_CPUS]);
    let mut batch = DrainBatch {
        to: writable(&mut to),
        keys: writable(&mut keys),
        values: writable(&mut values),
        count: ENTRIES as u32,
        map: number(&map),
        ..DrainBatch::default()
    };
    // SAFETY: room for a position (4 bytes for a hash) and for `count` keys and values of the sizes above.
    match unsafe { bpf(MAP_DRAIN_BATCH, &mut batch) } {
        // ENOENT: the end of the map was reached, which is what was wanted.
        Ok(_) | Err(Errno(libc::ENOENT)) => Ok(batch.count),
        Err(errno) => Err(errno),
    }
}

/// Loads a raw tracepoint program.
pub(super) fn load_raw_tracepoint(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    load(instructions, RAW_TRACEPOINT, 0, 0)
}

/// Loads a program for a tracepoint with typed arguments; `btf_id` is of its `btf_trace_…` type in vmlinux.
pub(super) fn load_typed_tracepoint(instructions: &[u64], btf_id: u32) -> Result<OwnedFd, Errno> {
    load(instructions, TRACING, TRACE_RAW_TP, btf_id)
}

fn load(instructions: &[u64], kind: u32, attach_type: u32, attach_btf_id: u32) -> Result<OwnedFd, Errno> {
    let attributes = ProgramLoad {
        kind,
        instruction_count: u32::try_from(instructions.len()).unwrap_or_default(),
        instructions: readable(instructions),
        license: readable(c"GPL".to_bytes_with_nul()),
        attach_type,
        attach_btf_id,
        ..ProgramLoad::default()
    };
    // SAFETY: `instructions` is as long as said and the licence ends with NUL; the result is a descriptor.
    unsafe { bpf_fd(PROGRAM_LOAD, attributes) }
}

/// Attaches for as long as the result lives; `name` is none when the program was loaded for its tracepoint.
pub(super) fn open_raw_tracepoint(name: Option<&CStr>, program: &OwnedFd) -> Result<OwnedFd, Errno> {
    let name = name.map_or(0, |name| readable(name.to_bytes_with_nul()));
    // SAFETY: a NUL-terminated name or none; the result is a descriptor.
    unsafe { bpf_fd(RAW_TRACEPOINT_OPEN, RawTracepointOpen { name, program: number(program), pad: 0 }) }
}

/// Loads a tc program and attaches it by a tcx link to the loopback interface of a new network namespace.
pub(super) fn attach_tcx() -> Result<(), TcxError> {
    in_new_netns(|| {
        let program = load(NOTHING, SCHED_CLS, 0, 0).map_err(TcxError::Load)?;
        // The first interface of every namespace is `lo`, index 1.
        let link = LinkCreate { program: number(&program), target: 1, attach_type: TCX_INGRESS, flags: 0 };
        // SAFETY: no address among the attributes; the result is a descriptor.
        unsafe { bpf_fd(LINK_CREATE, link) }.map(drop).map_err(TcxError::Link)
    })
    .map_err(TcxError::Namespace)?
}

/// The same with filters of clsact, in both directions.
pub(super) fn attach_clsact() -> Result<(), TcxError> {
    in_new_netns(|| {
        let program = load(NOTHING, SCHED_CLS, 0, 0).map_err(TcxError::Load)?;
        flow::try_clsact(number(&program), 1).map_err(TcxError::Link)
    })
    .map_err(TcxError::Namespace)?
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TcxError {
    Namespace(Errno),
    Load(Errno),
    Link(Errno),
}

/// Runs `work` on a thread of its own in a new network namespace, which ends with the thread.
fn in_new_netns<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Errno> {
    let enter = || {
        // SAFETY: takes no pointer, and only moves this thread.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 { Ok(work()) } else { Err(last_error()) }
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, enter).map_err(|error| Errno::of(&error))?;
        thread.join().unwrap_or(Err(Errno(libc::EIO)))
    })
}

/// Runs `work` while this process may lock no memory: what still works is not counted against that limit.
pub(super) fn without_memlock<T>(work: impl FnOnce() -> T) -> Result<T, Errno> {
    let before = memlock()?;
    set_memlock(libc::rlimit { rlim_cur: 0, ..before })?;
    let result = work();
    set_memlock(before)?;
    Ok(result)
}

/// The limit of locked memory (`RLIMIT_MEMLOCK`), bytes.
pub(super) fn memlock() -> Result<libc::rlimit, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid and writable.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0 { Ok(limit) } else { Err(last_error()) }
}

fn set_memlock(limit: libc::rlimit) -> Result<(), Errno> {
    // SAFETY: `limit` is valid; only this process is concerned.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } == 0 { Ok(()) } else { Err(last_error()) }
}

/// The effective user id.
pub(super) fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
