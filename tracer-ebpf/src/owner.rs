//! The socket that sent the packet or would have received it, and whose it is.
//!
//! Rule: only for events. All of it is read by the helper, as its rules say in [`crate::read::follow`].

use aya_ebpf::EbpfContext;
use tracer_common::{DropEvent, FLAG_OWNER, RX_SK_POSITION};

use crate::globals::{self, *};
use crate::read::{Probe, Read, copy, follow};
use crate::skb::{Skb, is_small};

/// The packet's socket, or the one that it is for. Both are taken by the helper, which gives an untyped address: a typed one
/// would be followed by the verifier in all that comes after, and the argument may only be used where it is not null.
#[inline(always)]
pub fn socket(context: &impl EbpfContext, skb: &Skb) -> *const u8 {
    let socket = follow(skb.at, &SKB_SK);
    if socket.is_null() && globals::get(&ARG_RX_SK) == RX_SK_POSITION {
        let arguments = context.as_ptr().cast::<u8>().cast_const();
        return Probe::at(arguments.wrapping_add(RX_SK_POSITION as usize * size_of::<u64>()));
    }
    socket
}

/// # Safety
/// `event` must point to memory for a [`DropEvent`], with its flags.
#[inline(always)]
pub unsafe fn copy_owner(event: *mut DropEvent, socket: *const u8) {
    // SAFETY: the caller's promise.
    unsafe {
        (*event).socket_cookie = 0;
        (*event).cgroup = 0;
        (*event).uid = 0;
        (*event).gid = 0;
        if socket.is_null() {
            return;
        }
        copy(&raw mut (*event).socket_cookie, socket, &SOCK_COOKIE);
        if is_small::<Probe>(socket) {
            return;
        }
        copy(&raw mut (*event).cgroup, follow(follow(socket, &SOCK_CGROUP), &CGROUP_NODE), &NODE_ID);
        // None for the kernel's own sockets, and for those that a program has let go.
        let credentials = follow(follow(follow(socket, &SOCK_SOCKET), &SOCKET_FILE), &FILE_CRED);
        if credentials.is_null() {
            return;
        }
        copy(&raw mut (*event).uid, credentials, &CRED_UID);
        copy(&raw mut (*event).gid, credentials, &CRED_GID);
        (*event).flags |= FLAG_OWNER;
    }
}
