//! Reading and emptying kernel maps many entries a call: `BPF_MAP_LOOKUP_BATCH`, `..._AND_DELETE_BATCH` and
//! `BPF_MAP_DELETE_BATCH` (Linux 5.6, include/uapi/linux/bpf.h), which aya does not offer.
//!
//! Rule: values of a per-CPU map are summed here, so nobody else needs to know that there are CPUs.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::MapData;
use tracer_common::{Plain, Tally, read_plain};

const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;
const BPF_MAP_DELETE_BATCH: libc::c_long = 27;

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
pub(crate) enum After {
    Keep,
    Delete,
}

/// A reader of maps, with its buffers.
#[derive(Debug)]
pub(crate) struct Batch {
    cpus: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(cpus: usize) -> Self {
        Self { cpus: cpus.max(1), keys: Vec::new(), values: Vec::new() }
    }

    /// Calls `each` with every entry of a map of per-CPU tallies, its values summed over the CPUs.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub(crate) fn read<K: Plain>(
        &mut self,
        map: &MapData,
        after: After,
        mut each: impl FnMut(K, Tally),
    ) -> io::Result<()> {
        self.visit(map, after, size_of::<Tally>() * self.cpus, |key, values| each(key, sum(values)))
    }

    /// Calls `each` with every entry of a map with one value a key. An entry that changes meanwhile may come as it was before,
    /// after, or partly both.
    ///
    /// # Errors
    /// What the kernel says. Entries given to `each` until then are counted; no other is.
    pub(crate) fn entries<K: Plain, V: Plain>(&mut self, map: &MapData, mut each: impl FnMut(K, V)) -> io::Result<()> {
        self.visit(map, After::Keep, size_of::<V>(), |key, value| {
            if let Some(value) = read_plain(value) {
                each(key, value);
            }
        })
    }

    fn visit<K: Plain>(
        &mut self,
        map: &MapData,
        after: After,
        value: usize,
        mut each: impl FnMut(K, &[u8]),
    ) -> io::Result<()> {
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
                    each(key, value);
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
            map_fd: number(map)?,
            ..BatchAttr::default()
        };
        // SAFETY: the pointers are to live buffers of `most` keys and `most` values (times the CPUs, where there is one for
        // each), and the kernel writes at most `count` of each.
        match unsafe { bpf(command, &mut attr) } {
            Ok(()) => Ok((attr.count as usize, false)),
            // The end of the map; entries may come with it.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((attr.count as usize, true)),
            Err(error) => Err(error),
        }
    }
}

/// Deletes these entries; those that are gone already do not matter.
///
/// # Errors
/// What the kernel says; the rest stays.
pub(crate) fn delete<K: Plain>(map: &MapData, keys: &[K]) -> io::Result<()> {
    let mut left = keys;
    while !left.is_empty() {
        let bytes: Vec<u8> = left.iter().flat_map(|key| key.as_bytes().iter().copied()).collect();
        let mut attr = BatchAttr {
            keys: bytes.as_ptr() as u64,
            count: left.len() as u32,
            map_fd: number(map)?,
            ..BatchAttr::default()
        };
        // SAFETY: `keys` is of `count` keys of the map's size, which the kernel only reads.
        let skip = match unsafe { bpf(BPF_MAP_DELETE_BATCH, &mut attr) } {
            Ok(()) => return Ok(()),
            // The one behind the `count` that were deleted is not there.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => attr.count as usize + 1,
            Err(error) => return Err(error),
        };
        left = left.get(skip..).unwrap_or_default();
    }
    Ok(())
}

fn number(map: &MapData) -> io::Result<u32> {
    u32::try_from(map.fd().as_fd().as_raw_fd()).map_err(io::Error::other)
}

/// # Safety
/// The pointers of `attr` are to memory that `command` may use as it does.
unsafe fn bpf(command: libc::c_long, attr: &mut BatchAttr) -> io::Result<()> {
    // SAFETY: the attribute is live and its size is given; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<BatchAttr>() as libc::c_uint)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn sum(values: &[u8]) -> Tally {
    values.chunks_exact(size_of::<Tally>()).filter_map(read_plain::<Tally>).fold(Tally::default(), |sum, tally| Tally {
        packets: sum.packets + tally.packets,
        bytes: sum.bytes + tally.bytes,
    })
}
