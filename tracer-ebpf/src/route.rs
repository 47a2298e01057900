//! The way out: the device that a packet's route leads to.
//!
//! Rule: only for events, and read by the helper.

use tracer_common::DropEvent;

use crate::globals::*;
use crate::read::{Probe, Read, copy, follow};
use crate::skb::Skb;

/// Copies index and name of the device that the packet's route leads to; nothing before it has one.
///
/// # Safety
/// `event` must point to memory for a [`DropEvent`].
#[inline(always)]
pub unsafe fn copy_way_out<R: Read>(event: *mut DropEvent, skb: &Skb) {
    let device = follow(skb.route::<R>(), &DST_DEV);
    // SAFETY: the caller's promise.
    unsafe {
        (*event).out_ifindex = 0;
        (*event).out_interface_name = [0; 2];
        if device.is_null() || !is_plausible(skb, device) {
            return;
        }
        copy(&raw mut (*event).out_ifindex, device, &DEV_IFINDEX);
        copy(&raw mut (*event).out_interface_name, device, &DEV_NAME);
    }
}

/// Other data may lie over the route (`tcp_tsorted_anchor`): it is believed only if it leads to a device of the packet's
/// namespace.
#[inline(always)]
fn is_plausible(skb: &Skb, device: *const u8) -> bool {
    Probe::member::<u32>(follow(device, &DEV_NET), &NET_INODE) == skb.netns
}
