//! What the tc programs keep: attempts to talk, name queries, and what they count of themselves.
//!
//! An entry is one attempt as one device saw it, in both directions; user space joins those of several devices. The maps
//! are LRU: an entry is state to be looked at, never a count that must be exact.

use crate::connection::Tuple;
use crate::plain::Plain;

/// [`AttemptKey::tunnel`]: the packet was in no tunnel, or in one of these, which is on the uplink of an overlay network.
pub const TUNNEL_NONE: u8 = 0;
pub const TUNNEL_VXLAN: u8 = 1;
pub const TUNNEL_GENEVE: u8 = 2;
/// IPv4 or IPv6 directly in IP (protocols 4 and 41).
pub const TUNNEL_IPIP: u8 = 3;

/// Index into the pairs of [`Attempt`] and [`Query`]: the device received the packet, or sent it.
pub const INGRESS: usize = 0;
pub const EGRESS: usize = 1;

/// One attempt at one device, from the side that began it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// Address of the `struct net_device`: unlike its index it is no other's, in no namespace, as long as it exists.
    pub device: u64,
    /// As in [`crate::FlowKey`]: IPv4 as `::ffff:a.b.c.d`.
    pub client: [u32; 4],
    pub server: [u32; 4],
    /// Host order.
    pub client_port: u16,
    pub server_port: u16,
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// [`crate::FAMILY_IPV4`] or [`crate::FAMILY_IPV6`].
    pub family: u8,
    /// One of the `TUNNEL_` values.
    pub tunnel: u8,
    pub pad: u8,
}

/// What a device saw of an attempt. Pairs are counts of packets by direction: [`INGRESS`], [`EGRESS`]. Updates of several
/// CPUs at once may lose some: these are counts of a handful of packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `bpf_ktime_get_ns` of the first and last packet, of whichever side. Openers and answers within one
    /// tick of the kernel (1 to 10 ms) have the time of the first of them and one more each: the clock is a third of what one costs.
    pub first: u64,
    pub last: u64,
    /// Of the first answer of the server ([`Self::answers`]), always the clock's; 0 without one.
    pub answered: u64,
    /// `net->net_cookie` and inode of the device's namespace; the cookie is 0 before 5.12.
    pub netns_cookie: u64,
    pub netns: u32,
    pub ifindex: u32,
    /// SYN, or the UDP packet to the known port.
    pub opened: [u32; 2],
    /// SYN-ACK, or the UDP packet from the known port.
    pub answers: [u32; 2],
    /// RST of the client and of the server.
    pub client_resets: [u32; 2],
    pub server_resets: [u32; 2],
    /// The last ICMP or ICMPv6 error that quotes a packet of this attempt.
    pub icmp: Quoting,
    /// The connection's tuple before translation, from the first packet that left by this device and had a conntrack entry;
    /// all zero without one.
    pub original: Tuple,
    /// TTL or hop limit of the last packet of each kind, 0 without one.
    pub open_ttl: u8,
    pub answer_ttl: u8,
    pub reset_ttl: u8,
    /// 1 once a packet that left was asked for its conntrack entry: one without has none later on either.
    pub original_asked: u8,
    /// The kernel's tick when the clock was asked last, its low bits.
    pub tick: u32,
}

/// An ICMP or ICMPv6 error.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoting {
    /// Who sent it, as in [`AttemptKey::client`].
    pub from: [u32; 4],
    /// How many came; 0 for none, then nothing else here is valid.
    pub count: u32,
    /// Next-hop MTU, bytes, for "fragmentation needed" and "packet too big"; else 0.
    pub mtu: u32,
    pub kind: u8,
    pub code: u8,
    /// [`INGRESS`] or [`EGRESS`].
    pub direction: u8,
    /// 1 if the quoted packet is one of the server's.
    pub quotes_server: u8,
    pub ttl: u8,
    pub pad: [u8; 3],
}

/// A DNS transaction at one device: a resolver may have many open from one port.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryKey {
    pub attempt: AttemptKey,
    /// RFC 1035, section 4.1.1; host order.
    pub id: u16,
    pub pad: [u16; 3],
}

/// Bytes of a question that are kept: a name of up to 188 bytes in wire format with type and class; longer ones are cut.
pub const QUESTION_LENGTH: usize = 192;

/// What a device saw of a DNS transaction.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub first: u64,
    pub last: u64,
    /// Of the first answer; 0 without one.
    pub answered: u64,
    pub netns_cookie: u64,
    pub netns: u32,
    pub ifindex: u32,
    pub asked: [u32; 2],
    pub answers: [u32; 2],
    pub original: Tuple,
    /// Bytes 2 and 3 of the header of the first answer, host order: QR, opcode, AA, TC, RD, RA, rcode.
    pub answer_flags: u16,
    /// ANCOUNT of the first answer.
    pub answer_count: u16,
    /// Valid bytes of `question`; 0 for a message without one.
    pub question_length: u16,
    /// As in [`Attempt`].
    pub original_asked: u8,
    pub pad: u8,
    /// What follows the header, up to the message's end: the first question in wire format (RFC 1035, section 4.1.2), perhaps more
    /// behind it, then zeros. Only its first byte was looked at.
    pub question: [u8; QUESTION_LENGTH],
}

/// Index into [`AttemptState::counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum AttemptCounter {
    /// Entries made in the map of attempts.
    Attempts,
    /// Entries made in the map of queries.
    Queries,
    /// Entries that the kernel refused to make.
    Refused,
    /// Packets that looked like an opener, an answer or an error, and whose headers could not be read.
    Unreadable,
}

impl AttemptCounter {
    pub const ALL: [Self; 4] = [Self::Attempts, Self::Queries, Self::Refused, Self::Unreadable];
}

/// What the tc programs count of themselves, one value a CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptState {
    pub counters: [u64; AttemptCounter::ALL.len()],
}

// SAFETY: `repr(C)`, integers, byte arrays and `Plain` structs, no padding (asserted below).
unsafe impl Plain for AttemptKey {}
// SAFETY: as above.
unsafe impl Plain for Attempt {}
// SAFETY: as above.
unsafe impl Plain for Quoting {}
// SAFETY: as above.
unsafe impl Plain for QueryKey {}
// SAFETY: as above.
unsafe impl Plain for Query {}
// SAFETY: as above.
unsafe impl Plain for AttemptState {}

const _: () = assert!(size_of::<AttemptKey>() == 8 + 32 + 8);
const _: () = assert!(size_of::<Quoting>() == 16 + 8 + 8);
const _: () = assert!(size_of::<Attempt>() == 32 + 8 + 32 + size_of::<Quoting>() + size_of::<Tuple>() + 8);
const _: () = assert!(size_of::<QueryKey>() == size_of::<AttemptKey>() + 8);
const _: () = assert!(size_of::<Query>() == 32 + 8 + 16 + size_of::<Tuple>() + 8 + QUESTION_LENGTH);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_stands_at_its_own_index() {
        for (index, counter) in AttemptCounter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }
}
