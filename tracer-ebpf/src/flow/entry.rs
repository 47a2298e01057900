//! Entries of attempts: found and changed in place, or made.

use core::ptr::{addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{ABSENT, Attempt, AttemptCounter, AttemptKey, EGRESS, Tuple};

use super::Context;
use super::packet::Packet;
use crate::conntrack;
use crate::globals::{self, *};
use crate::maps::{ATTEMPT_STATE, ATTEMPTS, SCRATCH};
use crate::read::{Probe, Read, follow};

/// What [`find`] finds: an attempt of the packet's sender, of its receiver, none.
pub const FROM_CLIENT: u32 = 0;
pub const FROM_SERVER: u32 = 1;
pub const UNKNOWN: u32 = 2;

/// What a packet is in its attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    Opener,
    Answer,
    ClientReset,
    ServerReset,
    /// It is quoted by an error.
    QuotedClient,
    QuotedServer,
}

impl Part {
    #[inline(always)]
    fn is_from_client(self) -> bool {
        matches!(self, Self::Opener | Self::ClientReset | Self::QuotedClient)
    }
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
pub fn see(context: Context, packet: &Packet, part: Part) {
    let key = packet.key(device(context), part.is_from_client());
    match ATTEMPTS.get_ptr_mut(&key) {
        // SAFETY: a value of the map; other CPUs may change it at the same time, which loses a count.
        Some(attempt) => update(context, unsafe { &mut *attempt }, packet, part),
        None => make(context, packet, &key, part),
    }
}

/// The same, for the second look; gives the entry.
#[inline(never)]
pub fn note(context: Context, packet: &Packet, part: Part) -> Option<&'static mut Attempt> {
    let key = packet.key(device(context), part.is_from_client());
    if let Some(attempt) = ATTEMPTS.get_ptr_mut(&key) {
        // SAFETY: as above; it stays as long as the program runs.
        let attempt = unsafe { &mut *attempt };
        update(context, attempt, packet, part);
        return Some(attempt);
    }
    make(context, packet, &key, part);
    // SAFETY: as above.
    ATTEMPTS.get_ptr_mut(&key).map(|attempt| unsafe { &mut *attempt })
}

#[inline(never)]
fn make(context: Context, packet: &Packet, key: &AttemptKey, part: Part) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own value, of which nobody above holds this part.
    let attempt = unsafe { &mut (*scratch).attempt };
    zero(attempt);
    place(context, &mut attempt.netns, &mut attempt.netns_cookie, &mut attempt.ifindex);
    update(context, attempt, packet, part);
    attempt.first = attempt.last;
    // Refused too if another CPU was faster: the next packet is counted.
    let made = ATTEMPTS.insert(key, &*attempt, u64::from(BPF_NOEXIST)).is_ok();
    count(if made { AttemptCounter::Attempts } else { AttemptCounter::Refused });
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
fn update(context: Context, attempt: &mut Attempt, packet: &Packet, part: Part) {
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
        Part::QuotedClient | Part::QuotedServer => {}
    }
    remember(context, &mut attempt.original, packet);
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
