//! Segments that the sockets of this machine sent again (`tcp:tcp_retransmit_skb`), by connection.

use crate::plain::Plain;

/// One connection, from the socket that sends.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetransmitKey {
    /// As in [`crate::FlowKey`]: IPv4 as `::ffff:a.b.c.d`.
    pub local: [u32; 4],
    pub remote: [u32; 4],
    /// Host order.
    pub local_port: u16,
    pub remote_port: u16,
    /// Inode of the socket's namespace.
    pub netns: u32,
}

/// What was sent again.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmit {
    /// `bpf_ktime_get_ns`.
    pub first: u64,
    pub last: u64,
    pub netns_cookie: u64,
    /// Segments with data, and of these those at least as long as half of the largest segment (`tcp_sock.mss_cache`).
    pub segments: u32,
    pub large: u32,
    /// SYN and SYN-ACK.
    pub handshakes: u32,
    /// Longest one, bytes of payload.
    pub longest: u32,
    /// `tcp_sock.mss_cache` at the last one, bytes; 0 where it can't be read.
    pub mss: u32,
    /// `sk->__sk_common.skc_state` at the last one.
    pub state: u32,
}

// SAFETY: `repr(C)`, integers only, no padding (asserted below).
unsafe impl Plain for RetransmitKey {}
// SAFETY: as above.
unsafe impl Plain for Retransmit {}

const _: () = assert!(size_of::<RetransmitKey>() == 32 + 4 + 4);
const _: () = assert!(size_of::<Retransmit>() == 24 + 6 * 4);
