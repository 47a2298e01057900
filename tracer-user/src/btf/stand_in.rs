//! What aya needs of BTF, and no more. Rule: aya's own reader of the kernel's file costs 30 ms and 18 MB each time; it
//! runs in [`EbpfLoader::new`], asked for or not, and again for whoever loads a BTF-typed tracepoint. So the loader is
//! made where it finds no such file, and the tracepoint is loaded with a file that holds nothing but its typedef, at
//! its number: the one thing that aya looks up.

use aya::EbpfLoader;

use super::error::malformed;
use super::{Btf, BtfError};

/// The kernel's own limit of type numbers (`BTF_MAX_TYPE`, include/uapi/linux/btf.h, 6.12).
const MAX_ID: u32 = 0x000f_ffff;

/// Records of 12 bytes, as the info word tells their kinds.
const FORWARD: [u32; 3] = [0, 7 << 24, 0];
const TYPEDEF: [u32; 3] = [1, 8 << 24, 0];

impl Btf<'_> {
    /// What [`aya::programs::BtfTracePoint::load`] wants for the running kernel's `tracepoint`.
    pub fn stand_in(&self, tracepoint: &str) -> Result<aya::Btf, BtfError> {
        let (id, name) = self.tracepoint_typedef(tracepoint)?;
        if id > MAX_ID {
            return Err(malformed("it has too many types"));
        }
        aya::Btf::parse(&one_typedef(id, &name), aya::Endianness::default())
            .map_err(|_| malformed("aya does not take the number of a tracepoint"))
    }
}

/// A file of forward declarations with one typedef at the end.
fn one_typedef(id: u32, name: &str) -> Vec<u8> {
    let types_len = 12 * id;
    let strings_len = name.len() as u32 + 2;
    let padding = std::iter::repeat_n(FORWARD, id as usize - 1).flatten();
    let header = [24, 0, types_len, types_len, strings_len];
    let words = header.into_iter().chain(padding).chain(TYPEDEF);
    let mut file = Vec::with_capacity(24 + types_len as usize + strings_len as usize);
    file.extend(0xeb9f_u16.to_ne_bytes());
    file.extend([1, 0]);
    file.extend(words.flat_map(u32::to_ne_bytes));
    file.push(0);
    file.extend(name.bytes());
    file.push(0);
    file
}

/// A loader without the kernel's BTF, which whydrop's programs have no relocations for.
///
/// While it is made, no file can be opened in this process: call it before there are other threads.
pub fn bare_loader<'a>() -> EbpfLoader<'a> {
    let _no_files = NoFiles::begin();
    EbpfLoader::new()
}

/// Lowers the limit of open files to none, until it is dropped.
struct NoFiles(Option<libc::rlimit>);

impl NoFiles {
    fn begin() -> Self {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is writable for the length of the call.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
            return Self(None);
        }
        // SAFETY: reads a complete `rlimit`; lowering a soft limit is always allowed.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: 0, ..limit }) };
        Self(Some(limit))
    }
}

impl Drop for NoFiles {
    fn drop(&mut self) {
        if let Some(limit) = self.0 {
            // SAFETY: reads a complete `rlimit`, the one that was in force; a soft limit may rise to the hard one.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        }
    }
}
