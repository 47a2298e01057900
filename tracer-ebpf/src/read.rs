//! How kernel memory is read: the only place with raw loads.
//!
//! Rule: `Direct` for pointers that the verifier knows by BTF type (half the cost, and a bad address reads as zero),
//! `Probe` for all others. Absent members read as zero, and their code is removed at load.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated;
use tracer_common::ABSENT;

use crate::globals;

pub trait Read {
    /// The `T` at `address`; zero if it can't be read.
    fn at<T: Copy + Zero>(address: *const u8) -> T;

    /// The member of `base` whose offset is in `offset`; zero if this kernel has no such member.
    #[inline(always)]
    fn member<T: Copy + Zero>(base: *const u8, offset: &'static u32) -> T {
        Self::address(base, offset).map_or(T::ZERO, Self::at)
    }

    /// Where that member is.
    #[inline(always)]
    fn address(base: *const u8, offset: &'static u32) -> Option<*const u8> {
        let offset = globals::get(offset);
        if offset == ABSENT || base.is_null() { None } else { Some(base.wrapping_add(offset as usize)) }
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
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the address, and writes zeros if it can't read it (`bpf_probe_read_kernel_common`,
        // kernel/trace/bpf_trace.c, 5.10 to 7.2): no result to look at, and no branch for the verifier to follow.
        unsafe {
            generated::bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address.cast());
            value.assume_init()
        }
    }
}

/// The pointer that a member is, by the helper. Nothing is asked on the way: behind null there is null, as the helper refuses
/// such addresses. For events, where the verifier's paths cost more than the time that a question would save.
#[inline(always)]
pub fn follow(base: *const u8, offset: &'static u32) -> *const u8 {
    let offset = globals::get(offset);
    if offset == ABSENT { core::ptr::null() } else { Probe::at(base.wrapping_add(offset as usize)) }
}

/// Copies a member in the same way to where it is wanted. What can't be read is zero there; an absent one stays as it was.
///
/// # Safety
/// `to` must point to memory for a `T`, for which any bytes are a value.
#[inline(always)]
pub unsafe fn copy<T: Copy>(to: *mut T, base: *const u8, offset: &'static u32) {
    let offset = globals::get(offset);
    if offset != ABSENT {
        // SAFETY: the caller's promise.
        unsafe { copy_at(to, base.wrapping_add(offset as usize)) };
    }
}

/// The same for what is at an address.
///
/// # Safety
/// `to` must point to memory for a `T`, for which any bytes are a value.
#[inline(always)]
pub unsafe fn copy_at<T: Copy>(to: *mut T, from: *const u8) {
    // SAFETY: the helper checks the source, and writes zeros if it can't read it; the destination is the caller's promise.
    unsafe { generated::bpf_probe_read_kernel(to.cast(), size_of::<T>() as u32, from.cast()) };
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
    [u32; 4] = [0; 4];
    *const u8 = core::ptr::null();
}
