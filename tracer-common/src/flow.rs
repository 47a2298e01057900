//! What is counted: a flow, or (for flows that did not fit) the coarser total it belongs to.

use crate::plain::Plain;

pub const FAMILY_OTHER: u8 = 0;
pub const FAMILY_IPV4: u8 = 4;
pub const FAMILY_IPV6: u8 = 6;

/// Set in [`FlowKey::family`] when `port` is the source's.
pub const PORT_IS_SOURCE: u8 = 0x10;

/// `reason` on kernels whose `kfree_skb` tracepoint has none (before 5.17).
pub const NO_REASON: u32 = u32::MAX;

/// Drops of one kind of packet at one place: the key of the flow maps.
///
/// Only the service's port is kept (a SYN's destination, a SYN-ACK's source, else the lower one), so that a client's
/// retries from ephemeral ports are one flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Address after the call that freed the packet: the tracepoint's `location`.
    pub location: u64,
    /// Network namespace inode (`net->ns.inum`), 0 when none could be found.
    pub netns: u32,
    /// The tracepoint's `reason`, or [`NO_REASON`].
    pub reason: u32,
    /// `skb->dev->ifindex`, 0 for a packet that has no device yet.
    pub ifindex: u32,
    /// Host order. For ICMP and ICMPv6 type * 256 + code; 0 when there is none.
    pub port: u16,
    /// IP protocol number (IPv6: the first next-header); 0 for [`FAMILY_OTHER`].
    pub protocol: u8,
    /// One of the `FAMILY_` values, with [`PORT_IS_SOURCE`] set or not.
    pub family: u8,
    /// The sixteen bytes of the address as they are in the packet, read as four words; IPv4 as `::ffff:a.b.c.d`.
    pub source: [u32; 4],
    pub destination: [u32; 4],
}

impl FlowKey {
    /// The total that this flow is part of.
    pub const fn total(&self) -> TotalKey {
        TotalKey { location: self.location, netns: self.netns, reason: self.reason, ifindex: self.ifindex, pad: 0 }
    }
}

/// The coarse key: flows that find the flow map full are counted here.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TotalKey {
    pub location: u64,
    pub netns: u32,
    pub reason: u32,
    pub ifindex: u32,
    pub pad: u32,
}

/// Dropped packets and their bytes (`skb->len`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub packets: u64,
    pub bytes: u64,
}

// SAFETY: `repr(C)`, integers and byte arrays only, no padding (asserted below).
unsafe impl Plain for FlowKey {}
// SAFETY: as above.
unsafe impl Plain for TotalKey {}
// SAFETY: as above.
unsafe impl Plain for Tally {}

const _: () = assert!(size_of::<FlowKey>() == 8 + 3 * 4 + 2 + 2 + 2 * 16);
const _: () = assert!(size_of::<TotalKey>() == 8 + 4 * 4);
const _: () = assert!(size_of::<Tally>() == 16);
