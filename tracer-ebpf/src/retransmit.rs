//! The `retransmit` program: connections whose segments are sent again, from the `tcp_retransmit_skb` tracepoint.
//!
//! Rule: a packet in a socket's queue has no headers: its length is its payload, and who sends it is what the socket says.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::{Retransmit, RetransmitKey};

use crate::globals::*;
use crate::maps::RETRANSMITS;
use crate::read::{Probe, Read, follow};
use crate::skb::Connection;

/// `TCP_SYN_SENT` and `TCP_SYN_RECV` (include/net/tcp_states.h).
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;

/// What is sent again.
struct Segments {
    /// Bytes of payload.
    length: u32,
    mss: u32,
    state: u32,
}

/// Its arguments begin with the socket and the packet since 4.16.
#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
pub fn retransmit(context: RawTracePointContext) -> i32 {
    note(context.arg(0), context.arg(1));
    0
}

#[inline(always)]
fn note(socket: *const u8, skb: *const u8) {
    let segments = Segments {
        length: Probe::member(skb, &SKB_LEN),
        mss: Probe::member(socket, &TCP_MSS),
        state: u32::from(Probe::member::<u8>(socket, &SOCK_STATE)),
    };
    let is_handshake = segments.state == SYN_SENT || segments.state == SYN_RECV;
    // A FIN alone tells nothing of data.
    if segments.length == 0 && !is_handshake {
        return;
    }
    let Some(connection) = Connection::of::<Probe>(socket) else { return };
    let net = follow(socket, &SOCK_NET);
    let key = RetransmitKey {
        local: connection.source,
        remote: connection.destination,
        local_port: connection.source_port,
        remote_port: connection.destination_port,
        netns: Probe::member(net, &NET_INODE),
    };
    if let Some(entry) = RETRANSMITS.get_ptr_mut(&key) {
        // SAFETY: a value of the map; other CPUs may change it at the same time, which loses a count.
        return update(unsafe { &mut *entry }, &segments, is_handshake);
    }
    let mut entry = Retransmit {
        first: 0,
        last: 0,
        netns_cookie: Probe::member(net, &NET_COOKIE),
        segments: 0,
        large: 0,
        handshakes: 0,
        longest: 0,
        mss: 0,
        state: 0,
    };
    update(&mut entry, &segments, is_handshake);
    entry.first = entry.last;
    // Refused only if another CPU was faster: the next one is counted.
    let _made = RETRANSMITS.insert(&key, &entry, u64::from(BPF_NOEXIST));
}

/// One packet of the queue may be several segments.
#[inline(always)]
fn update(entry: &mut Retransmit, sent: &Segments, is_handshake: bool) {
    // SAFETY: the helper takes no arguments.
    entry.last = unsafe { bpf_ktime_get_ns() };
    entry.mss = sent.mss;
    entry.state = sent.state;
    if is_handshake {
        entry.handshakes = entry.handshakes.wrapping_add(1);
        return;
    }
    let mss = if sent.mss == 0 { u32::MAX } else { sent.mss };
    let (whole, rest) = (sent.length / mss, sent.length % mss);
    entry.segments = entry.segments.wrapping_add(whole + u32::from(rest != 0));
    entry.large = entry.large.wrapping_add(whole + u32::from(rest >= mss.div_ceil(2)));
    entry.longest = entry.longest.max(sent.length.min(mss));
}
