//! Entries of attempts: found and changed in place, or made.

use core::ptr::{addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{ABSENT, Attempt, AttemptCounter, AttemptKey, EGRESS, Tuple};

use super::icmp::Error;
use super::packet::Packet;
use super::Context;
use crate::conntrack;
use crate::globals::{self, *};
use crate::maps::{ATTEMPT, ATTEMPT_STATE, ATTEMPTS};
use crate::read::{Probe, Read, follow};

/// What [`find`] finds: an attempt of the packet's sender, of its receiver, none.
pub const FROM_CLIENT: u32 = 0;
pub const FROM_SERVER: u32 = 1;
pub const UNKNOWN: u32 = 2;

/// What a packet is in its attempt.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    Opener,
    Answer,
    ClientReset,
    ServerReset,
    Error(&'a Error<'a>),
}

/// Adds one to a counter of our own.
#[inline(always)]
pub fn count(counter: AttemptCounter) {
    if let Some(state) = ATTEMPT_STATE.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        unsafe { (*state).counters[counter as usize] += 1 };
    }
}

/// Address of the packet's device.
#[inline(always)]
pub fn device(context: Context) -> u64 {
    follow(context.cast(), &SKB_DEV) as u64
}

/// Whose attempt a packet belongs to.
#[inline(never)]
pub fn find(context: Context, packet: &Packet) -> u32 {
    let device = device(context);
    if ATTEMPTS.get_ptr(packet.key(device, true)).is_some() {
        FROM_CLIENT
    } else if ATTEMPTS.get_ptr(packet.key(device, false)).is_some() {
        FROM_SERVER
    } else {
        UNKNOWN
    }
}

/// Writes a packet into its attempt.
#[inline(always)]
pub fn see(context: Context, packet: &Packet, is_from_client: bool, part: Part<'_>) {
    let key = packet.key(device(context), is_from_client);
    match ATTEMPTS.get_ptr_mut(&key) {
        Some(attempt) => {
            update(attempt, packet, is_from_client, part);
            // SAFETY: as in `update`.
            remember(context, unsafe { &mut (*attempt).original }, packet);
        }
        None => make(context, packet, &key, is_from_client, part),
    }
}

#[inline(always)]
fn make(context: Context, packet: &Packet, key: &AttemptKey, is_from_client: bool, part: Part<'_>) {
    let Some(scratch) = begin(context) else { return };
    update(scratch, packet, is_from_client, part);
    // SAFETY: this CPU's own value, and no other program of ours runs on it until this one returns.
    let attempt = unsafe { &mut *scratch };
    attempt.first = attempt.last;
    remember(context, &mut attempt.original, packet);
    if !insert(key) {
        if let Some(attempt) = ATTEMPTS.get_ptr_mut(key) {
            // Another CPU was faster.
            update(attempt, packet, is_from_client, part);
        }
    }
}

/// An entry in which nothing has been seen.
#[inline(always)]
fn begin(context: Context) -> Option<*mut Attempt> {
    let scratch = ATTEMPT.get_ptr_mut(0)?;
    zero(scratch);
    // SAFETY: as in `make`.
    let attempt = unsafe { &mut *scratch };
    place(context, &mut attempt.netns, &mut attempt.netns_cookie, &mut attempt.ifindex);
    Some(scratch)
}

/// Makes an entry of what [`begin`] gave; `false` if there may be one already.
#[inline(never)]
fn insert(key: &AttemptKey) -> bool {
    let Some(scratch) = ATTEMPT.get_ptr(0) else { return true };
    // SAFETY: as in `make`.
    if ATTEMPTS.insert(key, unsafe { &*scratch }, u64::from(BPF_NOEXIST)).is_ok() {
        count(AttemptCounter::Attempts);
        return true;
    }
    if ATTEMPTS.get_ptr(key).is_none() {
        count(AttemptCounter::Refused);
    }
    false
}

/// Word by word, as the compiler would call a function that does it byte by byte.
#[inline(always)]
pub fn zero<T>(to: *mut T) {
    const { assert!(size_of::<T>() % size_of::<u64>() == 0) };
    for word in 0..size_of::<T>() / size_of::<u64>() {
        // SAFETY: it has that many words, and begins with one. Volatile, or it becomes a call again.
        unsafe { write_volatile(to.cast::<u64>().add(word), 0) };
    }
}

/// Where the packet is: the device's namespace and index.
#[inline(always)]
pub fn place(context: Context, netns: &mut u32, cookie: &mut u64, ifindex: &mut u32) {
    let net = follow(follow(context.cast(), &SKB_DEV), &DEV_NET);
    *netns = Probe::member(net, &NET_INODE);
    *cookie = Probe::member(net, &NET_COOKIE);
    // SAFETY: the context of a tc program.
    *ifindex = unsafe { read_volatile(&raw const (*context).ifindex) };
}

#[inline(always)]
pub fn add(pair: &mut [u32; 2], direction: u32) {
    if direction == EGRESS as u32 {
        pair[1] = pair[1].wrapping_add(1);
    } else {
        pair[0] = pair[0].wrapping_add(1);
    }
}

#[inline(always)]
fn update(attempt: *mut Attempt, packet: &Packet, is_from_client: bool, part: Part<'_>) {
    // SAFETY: a value of the map or of this CPU; other CPUs may change it at the same time, which loses a count.
    let attempt = unsafe { &mut *attempt };
    // SAFETY: the helper takes no arguments.
    attempt.last = unsafe { bpf_ktime_get_ns() };
    match part {
        Part::Opener => {
            add(&mut attempt.opened, packet.direction);
            attempt.open_ttl = packet.ttl;
        }
        Part::Answer => {
            add(&mut attempt.answers, packet.direction);
            attempt.answer_ttl = packet.ttl;
            if attempt.answered == 0 {
                attempt.answered = attempt.last;
            }
        }
        Part::ClientReset => {
            add(&mut attempt.client_resets, packet.direction);
            attempt.reset_ttl = packet.ttl;
        }
        Part::ServerReset => {
            add(&mut attempt.server_resets, packet.direction);
            attempt.reset_ttl = packet.ttl;
        }
        Part::Error(error) => {
            let icmp = &mut attempt.icmp;
            icmp.from = error.packet.source;
            icmp.count = icmp.count.wrapping_add(1);
            icmp.mtu = error.mtu;
            icmp.kind = error.kind;
            icmp.code = error.code;
            icmp.direction = packet.direction as u8;
            icmp.quotes_server = u8::from(!is_from_client);
            icmp.ttl = error.packet.ttl;
        }
    }
}

/// Notes the connection's tuple before translation, once: conntrack has seen a packet that leaves. What is in a tunnel has no
/// connection of its own any more.
#[inline(always)]
pub fn remember(context: Context, original: &mut Tuple, packet: &Packet) {
    if packet.direction == EGRESS as u32 && packet.tunnel == 0 && original.family == 0 {
        copy_original(context, original);
    }
}

#[inline(never)]
fn copy_original(context: Context, original: *mut Tuple) {
    let nfct = globals::get(&SKB_NFCT);
    if nfct == ABSENT {
        return;
    }
    let nfct: u64 = Probe::at(context.cast::<u8>().cast_const().wrapping_add(nfct as usize));
    let connection = (nfct & conntrack::POINTER) as *const u8;
    if !connection.is_null() {
        // SAFETY: a tuple of an entry.
        unsafe { conntrack::copy_tuple(addr_of_mut!(*original), connection, &CT_ORIGINAL) };
    }
}
