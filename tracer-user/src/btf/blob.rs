//! The bytes of one BTF file. Rule: a file under /sys is mapped where the kernel allows it, so that the few megabytes
//! of kernel types never become memory of ours; everything else is read, up to a limit.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

/// Largest file that is read, in bytes. The kernel's own limit for loaded BTF is 16 MiB (`BTF_MAX_SIZE`,
/// include/linux/btf.h, 6.12); distribution kernels have 3 to 10 MB.
const MAX_SIZE: u64 = 32 << 20;

/// Bytes of BTF, dropped as a whole.
pub(super) enum Blob {
    Mapped(Mapping),
    Read(Vec<u8>),
}

impl Blob {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        if let Some(mapping) = Mapping::of_kernel_memory(&file, size) {
            return Ok(Self::Mapped(mapping));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(MAX_SIZE)).unwrap_or_default());
        if file.take(MAX_SIZE + 1).read_to_end(&mut bytes)? as u64 > MAX_SIZE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 32 MiB, so it is not kernel BTF"));
        }
        Ok(Self::Read(bytes))
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Read(bytes) => bytes,
        }
    }
}

/// A read-only mapping of the kernel's BTF section.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps a sysfs file; [`None`] where that is not possible (`/sys/kernel/btf/vmlinux` before 6.16, modules) or not
    /// safe (a file that somebody could truncate under us).
    fn of_kernel_memory(file: &File, size: u64) -> Option<Self> {
        let len = usize::try_from(size).ok().filter(|&len| len > 0)?;
        if size > MAX_SIZE || !is_sysfs(file) {
            return None;
        }
        // SAFETY: a new private mapping at an address that the kernel chooses; the result is checked below.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()).map(|start| Self { start, len }) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `start` is a mapping of `len` readable bytes that lives as long as `self`; it shows a read-only
        // section of the running kernel, which never changes or shrinks.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `of_kernel_memory`; no borrow of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

fn is_sysfs(file: &File) -> bool {
    // SAFETY: `statfs` is plain integers, for which zero is a valid value.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and `stat` is writable for the length of the call.
    unsafe {
        libc::fstatfs(file.as_raw_fd(), &raw mut stat) == 0 && i128::from(stat.f_type) == i128::from(libc::SYSFS_MAGIC)
    }
}
