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

/// Entries of the filter map; more are refused when the command line is read.
pub const MAX_FILTER_VALUES: u32 = 4096;
/// Entries of the prefix map.
pub const MAX_SUBNETS: u32 = 1024;

/// Key of the filter map: integers are in the first four bytes of `value`, in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterKey {
    pub dimension: u32,
    pub value: [u8; 16],
}

impl FilterKey {
    pub const fn number(dimension: u32, number: u32) -> Self {
        let n = number.to_ne_bytes();
        let value = [n[0], n[1], n[2], n[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self { dimension, value }
    }
}

// SAFETY: `repr(C)`, an integer and a byte array, no padding (asserted below).
unsafe impl Plain for FilterKey {}

const _: () = assert!(size_of::<FilterKey>() == 20);
