//! Events: the drops that user space sees one by one.
//!
//! Rule: bounded. A CPU has a budget of events per time slot; what is not sent is counted, as suppressed (no budget) or
//! lost (ring full). Stacks have a smaller budget of their own: one costs as much as twenty drops without. The reader is woken
//! only at fill levels, as a wake-up costs more than all the rest.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_get_stack, bpf_ktime_get_ns, bpf_probe_read_kernel_buf};
use tracer_common::{
    Counter, CpuState, DROP_EVENT, DropEvent, ENTRY, FLAG_FIRST, FLAG_HEAD_UNREADABLE, FLAG_SAMPLED, FLAG_STACK,
    FlowKey, HEAD_LENGTH, HEAD_MAC, HEAD_NETWORK, HEAD_NONE, HEAD_TRANSPORT, STACK_FRAMES, StackedDropEvent,
};

use crate::count::bump;
use crate::globals::{self, *};
use crate::maps::EVENTS;
use crate::packet::Packet;
use crate::read::Read;
use crate::skb::Skb;
use crate::{bridge, conntrack, netns, owner, route};

/// `skb->mac_header` and `skb->transport_header` when they are not set (include/linux/skbuff.h).
const UNSET: u16 = u16::MAX;

/// Bytes above a fill level in which events wake the reader: several, as CPUs that reserve at the same time may each see the
/// level passed by another. Should all miss it, the next level or the reader's clock makes up for it.
const WAKE_WINDOW: u64 = 2048;

/// One drop, as far as the counting needed it.
pub struct Drop<'a> {
    pub skb: &'a Skb,
    pub packet: &'a Packet,
    pub flow: &'a FlowKey,
}

/// Sends an event for packet `number` of its flow if it is the first, sampled, or the user asked for every one.
#[inline(always)]
pub fn emit<R: Read>(context: &impl EbpfContext, state: &mut CpuState, drop: &Drop<'_>, number: u64) {
    let flags = match number {
        // Among other flows: said by place, so a line of its own would count it twice.
        0 => return,
        1 => FLAG_FIRST,
        _ if number & u64::from(globals::get(&SAMPLE_MASK)) == 0 => FLAG_SAMPLED,
        _ => 0,
    };
    if flags == 0 && globals::get(&EVERY) == 0 {
        return;
    }
    // SAFETY: the helper takes no arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    if !within_budget(state, time) {
        bump(state, Counter::Suppressed);
        return;
    }
    let sent = if flags != 0 && stack_within_budget(state) {
        stacked::<R>(context, drop, time, flags)
    } else {
        plain::<R>(context, drop, time, flags)
    };
    bump(state, if sent { Counter::Events } else { Counter::Lost });
}

#[inline(always)]
fn within_budget(state: &mut CpuState, time: u64) -> bool {
    let slot = time >> CpuState::SLOT_SHIFT;
    if state.slot != slot {
        state.slot = slot;
        state.slot_events = 0;
        state.slot_stacks = 0;
    }
    state.slot_events += 1;
    state.slot_events <= u64::from(globals::get(&EVENT_BUDGET))
}

#[inline(always)]
fn stack_within_budget(state: &mut CpuState) -> bool {
    state.slot_stacks += 1;
    state.slot_stacks <= u64::from(globals::get(&STACK_BUDGET))
}

#[inline(always)]
fn plain<R: Read>(context: &impl EbpfContext, drop: &Drop<'_>, time: u64, flags: u16) -> bool {
    let Some(mut entry) = EVENTS.reserve::<DropEvent>(0) else { return false };
    fill::<R>(context, entry.as_mut_ptr(), drop, time, flags);
    entry.submit(wake());
    true
}

#[inline(always)]
fn stacked<R: Read>(context: &impl EbpfContext, drop: &Drop<'_>, time: u64, flags: u16) -> bool {
    let Some(mut entry) = EVENTS.reserve::<StackedDropEvent>(0) else { return false };
    let event = entry.as_mut_ptr();
    // SAFETY: `reserve` gave memory for the whole struct; each of its bytes is written before the submit.
    unsafe {
        fill::<R>(context, &raw mut (*event).event, drop, time, flags | FLAG_STACK);
        // What the helper does not fill is not read: it says how much it wrote.
        let stack = &raw mut (*event).stack;
        (*event).stack_bytes =
            bpf_get_stack(context.as_ptr(), stack.cast(), size_of::<[u64; STACK_FRAMES]>() as u32, 0);
    }
    entry.submit(wake());
    true
}

/// Wakes the reader where the fill passes a multiple of the level: not for each event above it, or a reader that is behind
/// would be woken by every drop.
#[inline(always)]
fn wake() -> u64 {
    let waiting = EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let level = u64::from(globals::get(&WAKE_AT));
    let passed = waiting >= level && waiting & level.wrapping_sub(1) < WAKE_WINDOW;
    u64::from(if passed { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}

/// Group by group, each read and written before the next: what is kept for later is one more thing in which the verifier's
/// paths differ.
#[inline(always)]
fn fill<R: Read>(context: &impl EbpfContext, event: *mut DropEvent, drop: &Drop<'_>, time: u64, flags: u16) {
    let skb = drop.skb;
    let unreadable = if drop.packet.unreadable { FLAG_HEAD_UNREADABLE } else { 0 };
    // SAFETY: the caller reserved the memory; every field is written, here or by what is called.
    unsafe {
        (*event).kind = DROP_EVENT;
        (*event).flags = flags | unreadable;
        (*event).cpu = bpf_get_smp_processor_id();
        (*event).time = time;
        copy_flow(&raw mut (*event).flow, drop.flow);
        (*event).length = skb.length;
        (*event).mark = R::member(skb.at, &SKB_MARK);
        (*event).priority = R::member(skb.at, &SKB_PRIORITY);
        (*event).in_ifindex = R::member(skb.at, &SKB_IIF);
        (*event).source_port = drop.packet.source_port;
        (*event).destination_port = drop.packet.destination_port;
        (*event).ethertype = skb.protocol.swap_bytes();
        (*event).vlan = R::member(skb.at, &SKB_VLAN);
        (*event).packet_type = R::member::<u8>(skb.at, &SKB_PKT_TYPE) & 7;
        (*event).interface_name = skb.interface_name::<R>();
        copy_conntrack::<R>(event, skb);
        let socket = owner::socket(context, skb);
        owner::copy_owner(event, socket);
        netns::copy_cookie(event, skb, socket);
        route::copy_way_out::<R>(event, skb);
        bridge::copy_ports::<R>(event, skb);
        copy_head::<R>(event, skb);
    }
}

/// The connection is that of the packet, whatever the state.
///
/// # Safety
/// `event` must point to memory for a [`DropEvent`].
#[inline(always)]
unsafe fn copy_conntrack<R: Read>(event: *mut DropEvent, skb: &Skb) {
    let nfct: u64 = R::member(skb.at, &SKB_NFCT);
    // SAFETY: the caller's promise.
    unsafe {
        (*event).conntrack = (nfct & !conntrack::POINTER) as u32;
        if conntrack::copy(&raw mut (*event).connection, nfct) {
            (*event).conntrack |= ENTRY;
        }
    }
}

/// Copies word by word: the compiler would call a function that copies byte by byte, dear to run and to verify.
///
/// # Safety
/// `to` must point to memory for a [`FlowKey`].
#[inline(always)]
unsafe fn copy_flow(to: *mut FlowKey, from: &FlowKey) {
    const WORDS: usize = size_of::<FlowKey>() / size_of::<u64>();
    const _: () = assert!(WORDS * size_of::<u64>() == size_of::<FlowKey>());
    let (to, from) = (to.cast::<u64>(), core::ptr::from_ref(from).cast::<u64>());
    for word in 0..WORDS {
        // SAFETY: both have that many words and are aligned to them. Volatile, or it becomes a call again.
        unsafe { core::ptr::write_volatile(to.add(word), core::ptr::read(from.add(word))) };
    }
}

/// The outermost header that is set and lies in the linear data: its kind and its offset from `skb->head`.
#[inline(always)]
fn head_start<R: Read>(skb: &Skb) -> (u8, u32) {
    let mac: u16 = R::member(skb.at, &SKB_MAC_HEADER);
    let transport: u16 = R::member(skb.at, &SKB_TRANSPORT_HEADER);
    let inside = |header: u16| header != UNSET && header != 0 && u32::from(header) < skb.tail;
    if inside(mac) && (mac < skb.network || skb.network == 0) {
        (HEAD_MAC, u32::from(mac))
    } else if inside(skb.network) {
        (HEAD_NETWORK, u32::from(skb.network))
    } else if inside(transport) {
        (HEAD_TRANSPORT, u32::from(transport))
    } else {
        (HEAD_NONE, 0)
    }
}

/// Copies a fixed number of bytes (what lies behind the packet's end is its own buffer or `skb_shared_info`) and says
/// how many of them are the packet's.
///
/// # Safety
/// `event` must point to memory for a [`DropEvent`].
#[inline(always)]
unsafe fn copy_head<R: Read>(event: *mut DropEvent, skb: &Skb) {
    let (kind, start) = head_start::<R>(skb);
    // SAFETY: the caller's promise.
    let head = unsafe { &mut (*event).head };
    let from = skb.head.wrapping_add(start as usize);
    // SAFETY: the helper checks the source; it zeroes the destination when it fails.
    let copied = kind != HEAD_NONE && unsafe { bpf_probe_read_kernel_buf(from, head) }.is_ok();
    let (kind, length) =
        if copied { (kind, (skb.tail - start).min(HEAD_LENGTH as u32) as u16) } else { (HEAD_NONE, 0) };
    // SAFETY: the caller's promise.
    unsafe {
        (*event).head_kind = kind;
        (*event).head_length = length;
    }
}
