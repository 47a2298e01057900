//! Filters that the kernel programs apply before anything is counted or copied.
//!
//! A packet passes if, for each dimension in use, one of its values is in the map. Dimensions not in use cost
//! nothing: their code is removed when the program is loaded.

use crate::plain::Plain;

/// Network namespace inode.
pub const BY_NETNS: u32 = 0;
/// Interface name, as NUL-padded bytes.
pub const BY_IFACE: u32 = 1;
/// IP protocol number.
pub const BY_PROTOCOL: u32 = 2;
/// Source or destination port.
pub const BY_PORT: u32 = 3;
/// Drop reason code.
pub const BY_REASON: u32 = 4;
/// Source or destination address: the `SUBNETS` prefix map, not [`FilterKey`].
pub const BY_SUBNET: u32 = 5;
/// Network namespace inode of a pod, or one of its addresses under [`POD_ADDRESS`]: either lets the packet pass. The keys come and
/// go with the pods while the programs run.
pub const BY_POD: u32 = 6;
/// Keys of [`BY_POD`] that are addresses: source or destination of the packet, or of its connection before translation.
pub const POD_ADDRESS: u32 = 7;

/// Entries of the filter map; more are refused when the command line is read.
pub const MAX_FILTER_VALUES: u32 = 4096;
/// Further entries for the pods that are asked for: their namespaces and addresses.
pub const MAX_POD_KEYS: u32 = 4096;
/// Entries of the prefix map.
pub const MAX_SUBNETS: u32 = 1024;

/// Key of the filter map. Words, so that the programs fill it without copying bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterKey {
    pub dimension: u32,
    pub pad: u32,
    /// A number and zero, or the bytes of a name or an address.
    pub value: [u64; 2],
}

impl FilterKey {
    pub const fn number(dimension: u32, number: u32) -> Self {
        Self { dimension, pad: 0, value: [number as u64, 0] }
    }

    /// An address as the programs have it: IPv4 as `::ffff:a.b.c.d`.
    pub const fn address(dimension: u32, [a, b, c, d]: [u32; 4]) -> Self {
        // Little-endian, as are the machines that the programs are built for: the words stand as in memory.
        Self { dimension, pad: 0, value: [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32] }
    }

    /// The first eight and the last eight bytes of a name, as in memory.
    pub const fn name(dimension: u32, value: [u64; 2]) -> Self {
        Self { dimension, pad: 0, value }
    }
}

// SAFETY: `repr(C)`, integers only, no padding (asserted below).
unsafe impl Plain for FilterKey {}

const _: () = assert!(size_of::<FilterKey>() == 24);
