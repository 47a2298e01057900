//! The bridge ports of a packet that br_netfilter shows to the rules of IP: for those it is on the bridge itself.
//!
//! Rule: only for events, and read by the helper: few packets have such an extension.

use tracer_common::{ABSENT, DropEvent};

use crate::globals::{self, *};
use crate::read::{Probe, Read, copy, follow};
use crate::skb::Skb;

/// `SKB_EXT_BRIDGE_NF` is the first of `enum skb_ext_id` in every kernel that has `struct nf_bridge_info`
/// (include/linux/skbuff.h, 5.10 to 7.2): the lowest bit of `skb->active_extensions`, and first in `skb_ext->offset`.
const BRIDGE_NF: u8 = 1;
/// Unit of `skb_ext->offset`, bytes (`SKB_EXT_ALIGN_VALUE`, net/core/skbuff.c).
const CHUNK: usize = 8;

/// Copies the indices of the ports that it came in by and will go out by; 0 for none.
///
/// # Safety
/// `event` must point to memory for a [`DropEvent`].
#[inline(always)]
pub unsafe fn copy_ports<R: Read>(event: *mut DropEvent, skb: &Skb) {
    let extensions: u8 = R::member(skb.at, &SKB_ACTIVE_EXTENSIONS);
    // SAFETY: the caller's promise.
    unsafe {
        (*event).bridge_in_ifindex = 0;
        (*event).bridge_out_ifindex = 0;
        if globals::get(&BRIDGE_OUT_DEV) == ABSENT || extensions & BRIDGE_NF == 0 {
            return;
        }
        let extensions = follow(skb.at, &SKB_EXTENSIONS);
        let chunks: u8 = Probe::member(extensions, &EXTENSION_OFFSET);
        let info = extensions.wrapping_add(usize::from(chunks) * CHUNK);
        copy(&raw mut (*event).bridge_in_ifindex, info, &BRIDGE_IN);
        if globals::get(&BRIDGE_IN) == ABSENT {
            copy(&raw mut (*event).bridge_in_ifindex, follow(info, &BRIDGE_IN_DEV), &DEV_IFINDEX);
        }
        copy(&raw mut (*event).bridge_out_ifindex, follow(info, &BRIDGE_OUT_DEV), &DEV_IFINDEX);
    }
}
