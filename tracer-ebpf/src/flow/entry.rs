//! Entries of attempts: found and changed in place, or made.

use core::mem::transmute;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tracer_common::{ABSENT, Attempt, AttemptCounter, AttemptKey, CAST_CALL, EGRESS, Tuple};

use super::Context;
use super::packet::Packet;
use crate::conntrack;
use crate::globals::{self, *};
use crate::maps::{ATTEMPT_STATE, ATTEMPTS, SCRATCH};
use crate::read::{Direct, Probe, Read, follow};

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
    if globals::get(&CAST_CONTEXT) == 0 {
        return follow(context.cast(), &SKB_DEV) as u64;
    }
    // SAFETY: the loader makes this the number of a function of the kernel that takes and gives just that.
    let packet = unsafe {
        let cast: unsafe extern "C" fn(Context) -> *const u8 = transmute(CAST_CALL as usize);
        cast(context)
    };
    Direct::pointer(packet, &SKB_DEV) as u64
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

/// Writes an opener or an answer into its attempt: the short way, by the packet's own bytes, for one that is known.
#[inline(always)]
pub fn see(context: Context, packet: &Packet, is_opener: bool) {
    let key = packet.key(device(context), is_opener);
    let Some(attempt) = ATTEMPTS.get_ptr_mut(&key) else {
        let part = if is_opener { Part::Opener } else { Part::Answer };
        return make(context, &key, part, packet.direction, packet.ttl);
    };
    // SAFETY: a value of the map; other CPUs may change it at the same time, which loses a count.
    let attempt = unsafe { &mut *attempt };
    if is_opener {
        touch(attempt);
        add(&mut attempt.opened, packet.direction);
        attempt.open_ttl = packet.ttl;
    } else {
        answer(attempt, packet.direction, packet.ttl);
    }
    remember(context, &mut attempt.original, &mut attempt.original_asked, packet.direction, key.tunnel);
}

/// The same for any packet, for the second look; gives the entry.
#[inline(never)]
pub fn note(context: Context, packet: &Packet, part: Part) -> Option<&'static mut Attempt> {
    let key = packet.key(device(context), part.is_from_client());
    if let Some(attempt) = ATTEMPTS.get_ptr_mut(&key) {
        // SAFETY: as above; it stays as long as the program runs.
        let attempt = unsafe { &mut *attempt };
        update(context, attempt, &key, part, packet.direction, packet.ttl);
        return Some(attempt);
    }
    make(context, &key, part, packet.direction, packet.ttl);
    // SAFETY: as above.
    ATTEMPTS.get_ptr_mut(&key).map(|attempt| unsafe { &mut *attempt })
}

#[inline(never)]
fn make(context: Context, key: &AttemptKey, part: Part, direction: u32, ttl: u8) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own value, of which nobody above holds this part.
    let attempt = unsafe { &mut (*scratch).attempt };
    zero(attempt);
    place(context, &mut attempt.netns, &mut attempt.netns_cookie, &mut attempt.ifindex);
    update(context, attempt, key, part, direction, ttl);
    attempt.first = attempt.last;
    // Refused too if another CPU was faster: the next packet is counted.
    let made = ATTEMPTS.insert(key, &*attempt, u64::from(BPF_NOEXIST)).is_ok();
    count(if made { AttemptCounter::Attempts } else { AttemptCounter::Refused });
}

/// Word by word, as the compiler would call a function that does it byte by byte.
#[inline(always)]
pub fn zero<T>(to: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(size_of::<u64>())) };
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

/// Asks the clock, unless it was asked within this tick: then the time is only another than that of the packet before.
#[inline(always)]
fn touch(attempt: &mut Attempt) {
    // SAFETY: the helper takes no arguments. It is a load where there is a JIT.
    let tick = unsafe { bpf_jiffies64() } as u32;
    if attempt.tick == tick {
        attempt.last = attempt.last.wrapping_add(1);
    } else {
        attempt.tick = tick;
        // SAFETY: as above.
        attempt.last = unsafe { bpf_ktime_get_ns() };
    }
}

#[inline(always)]
fn answer(attempt: &mut Attempt, direction: u32, ttl: u8) {
    if attempt.answered == 0 {
        // SAFETY: the helper takes no arguments.
        attempt.last = unsafe { bpf_ktime_get_ns() };
        attempt.answered = attempt.last;
    } else {
        touch(attempt);
    }
    add(&mut attempt.answers, direction);
    attempt.answer_ttl = ttl;
}

#[inline(always)]
fn update(context: Context, attempt: &mut Attempt, key: &AttemptKey, part: Part, direction: u32, ttl: u8) {
    // SAFETY: the helper takes no arguments.
    attempt.last = unsafe { bpf_ktime_get_ns() };
    match part {
        Part::Opener => {
            add(&mut attempt.opened, direction);
            attempt.open_ttl = ttl;
        }
        Part::Answer => {
            add(&mut attempt.answers, direction);
            attempt.answer_ttl = ttl;
            if attempt.answered == 0 {
                attempt.answered = attempt.last;
            }
        }
        Part::ClientReset => {
            add(&mut attempt.client_resets, direction);
            attempt.reset_ttl = ttl;
        }
        Part::ServerReset => {
            add(&mut attempt.server_resets, direction);
            attempt.reset_ttl = ttl;
        }
        Part::QuotedClient | Part::QuotedServer => {}
    }
    remember(context, &mut attempt.original, &mut attempt.original_asked, direction, key.tunnel);
    // An error may have no connection where the packets that it quotes have one.
    if part == Part::QuotedClient || part == Part::QuotedServer {
        attempt.original_asked = u8::from(attempt.original.family != 0);
    }
}

/// Notes the connection's tuple before translation, once: conntrack has seen a packet that leaves. What is in a tunnel has no
/// connection of its own any more.
#[inline(always)]
pub fn remember(context: Context, original: &mut Tuple, asked: &mut u8, direction: u32, tunnel: u8) {
    if direction == EGRESS as u32 && tunnel == 0 && *asked == 0 {
        *asked = 1;
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
