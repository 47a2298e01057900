//! Which network namespace it was, beyond the number of its inode: that number is soon another one's.
//!
//! Rule: only for events. All of it is read by the helper, as its rules say in [`crate::read::follow`].

use tracer_common::DropEvent;

use crate::globals::*;
use crate::read::{Probe, Read, copy, follow};
use crate::skb::Skb;

/// The cookie of the namespace in the event's flow, as long as the packet's device or socket still leads there.
///
/// # Safety
/// `event` must point to memory for a [`DropEvent`], with its flow.
#[inline(always)]
pub unsafe fn copy_cookie(event: *mut DropEvent, skb: &Skb, socket: *const u8) {
    let net = if skb.device.is_null() { follow(socket, &SOCK_NET) } else { follow(skb.device, &DEV_NET) };
    let inode: u32 = Probe::member(net, &NET_INODE);
    // SAFETY: the caller's promise.
    unsafe {
        (*event).netns_cookie = 0;
        if inode == (*event).flow.netns {
            copy(&raw mut (*event).netns_cookie, net, &NET_COOKIE);
        }
    }
}
