//! What connection tracking has made of a packet: `struct nf_conn`, which the packet holds on to until it is freed.
//!
//! Rule: only for events. What is wanted is copied by the helper straight into the event, both directions in one piece each where
//! the kernel's layout is ours: few calls, and no branch for the verifier to follow.

use core::mem::offset_of;

use tracer_common::{ABSENT, Connection, Tuple};

use crate::globals::{self, *};
use crate::read;

/// `NFCT_PTRMASK`: the rest of `skb->_nfct` is `enum ip_conntrack_info` (include/linux/netfilter/nf_conntrack_common.h).
pub const POINTER: u64 = !7;

/// Copies the connection behind `skb->_nfct`, and says whether there is one; otherwise zeros.
///
/// # Safety
/// `to` must point to memory for a [`Connection`].
#[inline(always)]
pub unsafe fn copy(to: *mut Connection, nfct: u64) -> bool {
    let connection = (nfct & POINTER) as *const u8;
    // SAFETY: the caller's promise.
    unsafe {
        zero(to);
        if connection.is_null() {
            return false;
        }
        read::copy(&raw mut (*to).mark, connection, &CT_MARK);
        // An `unsigned long`: its low word comes first, on the little-endian machines that these programs are built for.
        read::copy(&raw mut (*to).status, connection, &CT_STATUS);
        read::copy(&raw mut (*to).zone, connection, &CT_ZONE);
        copy_tuple(&raw mut (*to).original, connection, &CT_ORIGINAL);
        copy_tuple(&raw mut (*to).reply, connection, &CT_REPLY);
    }
    true
}

/// # Safety
/// `to` must point to memory for a [`Tuple`].
#[inline(always)]
pub unsafe fn copy_tuple(to: *mut Tuple, connection: *const u8, offset: &'static u32) {
    let offset = globals::get(offset);
    if offset == ABSENT {
        return;
    }
    let tuple = connection.wrapping_add(offset as usize);
    // SAFETY: the caller's promise; what is read back has just been written.
    unsafe {
        if is_ours() {
            read::copy_at(to, tuple);
        } else {
            read::copy(&raw mut (*to).source, tuple, &TUPLE_SOURCE);
            read::copy(&raw mut (*to).source_port, tuple, &TUPLE_SOURCE_PORT);
            read::copy(&raw mut (*to).family, tuple, &TUPLE_FAMILY);
            read::copy(&raw mut (*to).destination, tuple, &TUPLE_DESTINATION);
            read::copy(&raw mut (*to).destination_port, tuple, &TUPLE_DESTINATION_PORT);
            read::copy(&raw mut (*to).protocol, tuple, &TUPLE_PROTOCOL);
        }
        (*to).source_port = u16::from_be((*to).source_port);
        (*to).destination_port = u16::from_be((*to).destination_port);
    }
}

/// Whether the kernel's tuple is laid out as ours: decided at load, and the other way of copying is removed.
#[inline(always)]
fn is_ours() -> bool {
    let is_at = |offset: &'static u32, ours: usize| globals::get(offset) == ours as u32;
    is_at(&TUPLE_SOURCE, offset_of!(Tuple, source))
        && is_at(&TUPLE_SOURCE_PORT, offset_of!(Tuple, source_port))
        && is_at(&TUPLE_FAMILY, offset_of!(Tuple, family))
        && is_at(&TUPLE_DESTINATION, offset_of!(Tuple, destination))
        && is_at(&TUPLE_DESTINATION_PORT, offset_of!(Tuple, destination_port))
        && is_at(&TUPLE_PROTOCOL, offset_of!(Tuple, protocol))
}

/// Word by word, as the compiler would call a function that does it byte by byte.
///
/// # Safety
/// `to` must point to memory for a [`Connection`].
#[inline(always)]
unsafe fn zero(to: *mut Connection) {
    const WORDS: usize = size_of::<Connection>() / size_of::<u32>();
    const _: () = assert!(WORDS * size_of::<u32>() == size_of::<Connection>());
    for word in 0..WORDS {
        // SAFETY: it has that many words and is aligned to them. Volatile, or it becomes a call again.
        unsafe { core::ptr::write_volatile(to.cast::<u32>().add(word), 0) };
    }
}
