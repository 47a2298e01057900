//! Reading and emptying kernel maps many entries a call: `BPF_MAP_LOOKUP_BATCH` and `..._AND_DELETE_BATCH` (Linux 5.6,
//! include/uapi/linux/bpf.h), which aya does not offer.
//!
//! Rule: values of a per-CPU map are summed here, so nobody else needs to know that there are CPUs.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::MapData;
use tracer_common::{Plain, Tally, read_plain};

const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;

/// Bytes of keys and values fetched in a call: bounds memory, whatever the number of CPUs.
const BATCH_BYTES: usize = 512 << 10;

/// The `batch` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Whether entries stay in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Delete,
}

/// A reader of maps from `K` to per-CPU [`Tally`]s, with its buffers.
pub(super) struct Batch {
    cpus: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Batch {
    pub(super) fn new(cpus: usize) -> Self {
        Self { cpus: cpus.max(1), keys: Vec::new(), values: Vec::new() }
    }

    /// Calls `each` with every entry, its values summed over the CPUs.
    ///
    /// # Errors
    /// What the kernel says. Entries given to `each` until then are counted (and deleted); no other is.
    pub(super) fn read<K: Plain>(
        &mut self,
        map: &MapData,
        after: After,
        mut each: impl FnMut(K, Tally),
    ) -> io::Result<()> {
        let value = size_of::<Tally>() * self.cpus;
        let mut most = (BATCH_BYTES / (size_of::<K>() + value)).max(64);
        let mut position = 0u32;
        let mut first = true;
        loop {
            self.keys.resize(most * size_of::<K>(), 0);
            self.values.resize(most * value, 0);
            let mut next = 0u32;
            let (count, end) = match self.call(map, after, (!first).then_some(&position), &mut next, most) {
                // One bucket of the hash holds more than the buffers do.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    most *= 2;
                    continue;
                }
                result => result?,
            };
            for (key, value) in self.keys.chunks_exact(size_of::<K>()).zip(self.values.chunks_exact(value)).take(count)
            {
                if let Some(key) = read_plain(key) {
                    each(key, sum(value));
                }
            }
            if end {
                return Ok(());
            }
            (position, first) = (next, false);
        }
    }

    /// One call: how many entries it gave, and whether they were the last.
    fn call(
        &mut self,
        map: &MapData,
        after: After,
        from: Option<&u32>,
        next: &mut u32,
        most: usize,
    ) -> io::Result<(usize, bool)> {
        let command = match after {
            After::Keep => BPF_MAP_LOOKUP_BATCH,
            After::Delete => BPF_MAP_LOOKUP_AND_DELETE_BATCH,
        };
        let mut attr = BatchAttr {
            in_batch: from.map_or(0, |position| std::ptr::from_ref(position) as u64),
            out_batch: std::ptr::from_mut(next) as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: most as u32,
            map_fd: u32::try_from(map.fd().as_fd().as_raw_fd()).map_err(io::Error::other)?,
            ..BatchAttr::default()
        };
        // SAFETY: the pointers are to live buffers of `most` keys and `most` times the CPUs' values, and the kernel
        // writes at most `count` of each; the attribute's size is given.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<BatchAttr>() as libc::c_uint) };
        if result == 0 {
            return Ok((attr.count as usize, false));
        }
        let error = io::Error::last_os_error();
        // ENOENT is the end of the map; entries may come with it.
        if error.raw_os_error() == Some(libc::ENOENT) { Ok((attr.count as usize, true)) } else { Err(error) }
    }
}

fn sum(values: &[u8]) -> Tally {
    values.chunks_exact(size_of::<Tally>()).filter_map(read_plain::<Tally>).fold(Tally::default(), |sum, tally| Tally {
        packets: sum.packets + tally.packets,
        bytes: sum.bytes + tally.bytes,
    })
}
