//! tcx links by `bpf(2)` (Linux 6.6): by the device's index, where aya takes only a name, which may be another's by then.
//!
//! Rule: a link goes with its descriptor, in whichever namespace the thread is, and with the process, however that ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use aya::programs::ProgramFd;

use super::Direction;
use crate::host::error::Errno;

/// `enum bpf_cmd` and `enum bpf_attach_type` of uapi/linux/bpf.h.
const INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const LINK_DETACH: libc::c_long = 34;
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;
/// `BPF_F_BEFORE`: before all others, as none is named.
const FIRST: u32 = 1 << 3;

#[repr(C)]
#[derive(Default)]
struct Create {
    program: u32,
    device: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    pad: u32,
    revision: u64,
}

#[repr(C)]
#[derive(Default)]
struct InfoOf {
    fd: u32,
    length: u32,
    into: u64,
}

/// `struct bpf_link_info` of a tcx link.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    device: u32,
    attach_type: u32,
    rest: [u64; 8],
}

#[repr(C)]
#[derive(Default)]
struct Detach {
    link: u32,
}

/// # Safety
/// `attributes` is what `command` takes, and each address in it is 0 or of live memory that is as large as it needs.
unsafe fn bpf<A>(command: libc::c_long, attributes: &mut A) -> Result<libc::c_int, Errno> {
    // SAFETY: pointer and size are those of `attributes`; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(Errno::of(&io::Error::last_os_error())),
    }
}

/// Detached when it is dropped.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

impl Link {
    /// At a device of the calling thread's namespace, before all that is there.
    pub(super) fn new(program: &ProgramFd, device: u32, direction: Direction) -> Result<Self, Errno> {
        let attach_type = match direction {
            Direction::Ingress => TCX_INGRESS,
            Direction::Egress => TCX_EGRESS,
        };
        let program = program.as_fd().as_raw_fd().cast_unsigned();
        let mut create = Create { program, device, attach_type, flags: FIRST, ..Create::default() };
        // SAFETY: no address among the attributes.
        let fd = unsafe { bpf(LINK_CREATE, &mut create) }?;
        // SAFETY: a new descriptor, so nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether its device is still there. A kernel that does not tell is believed to.
    pub(super) fn is_there(&self) -> bool {
        let mut info = Info::default();
        let mut question = InfoOf {
            fd: self.0.as_raw_fd().cast_unsigned(),
            length: size_of::<Info>() as u32,
            into: std::ptr::from_mut(&mut info).expose_provenance() as u64,
        };
        // SAFETY: `info` has the length that is said and outlives the call.
        let told = unsafe { bpf(INFO_BY_FD, &mut question) };
        told.is_err() || info.device != 0
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut detach = Detach { link: self.0.as_raw_fd().cast_unsigned() };
        // At once: a child that is being started may have a copy of the descriptor for a moment.
        // SAFETY: no address among the attributes.
        if let Err(errno) = unsafe { bpf(LINK_DETACH, &mut detach) }
            && errno.0 != libc::ENOLINK
        {
            tracing::debug!("a tcx link is detached with its descriptor only: {errno}");
        }
    }
}
