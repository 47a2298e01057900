//! How kernel memory is read: the only place with raw loads.
//!
//! Rule: `Direct` for pointers that the verifier knows by BTF type (half the cost, and a bad address reads as zero),
//! `Probe` for all others. Absent members read as zero, and their code is removed at load.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use tracer_common::ABSENT;

use crate::globals;

pub trait Read {
    /// The `T` at `address`; zero if it can't be read.
    fn at<T: Copy + Zero>(address: *const u8) -> T;

    /// The member of `base` whose offset is in `offset`; zero if this kernel has no such member.
    #[inline(always)]
    fn member<T: Copy + Zero>(base: *const u8, offset: &'static u32) -> T {
        let offset = globals::get(offset);
        if offset == ABSENT || base.is_null() { T::ZERO } else { Self::at(base.wrapping_add(offset as usize)) }
    }

    /// The same for a member that is a pointer.
    #[inline(always)]
    fn pointer(base: *const u8, offset: &'static u32) -> *const u8 {
        Self::member::<*const u8>(base, offset)
    }
}

/// Loads through a BTF-typed pointer.
pub struct Direct;

impl Read for Direct {
    #[inline(always)]
    fn at<T: Copy + Zero>(address: *const u8) -> T {
        // SAFETY: the verifier checks the type and offset; the kernel catches faults and loads zero.
        unsafe { core::ptr::read_volatile(address.cast()) }
    }
}

/// Copies through the helper: for raw tracepoints and untyped pointers.
pub struct Probe;

impl Read for Probe {
    #[inline(always)]
    fn at<T: Copy + Zero>(address: *const u8) -> T {
        // SAFETY: the helper checks the address and fails on a bad one.
        unsafe { bpf_probe_read_kernel(address.cast::<T>()) }.unwrap_or(T::ZERO)
    }
}

/// Types for which zero means "nothing there".
pub trait Zero {
    const ZERO: Self;
}

macro_rules! zero {
    ($($type:ty = $zero:expr;)*) => { $(impl Zero for $type { const ZERO: Self = $zero; })* };
}
zero! {
    u8 = 0;
    u16 = 0;
    u32 = 0;
    u64 = 0;
    *const u8 = core::ptr::null();
}
