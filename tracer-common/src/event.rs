//! What goes through the ring buffer: one drop with its context and the packet's first bytes.

use crate::connection::Connection;
use crate::flow::FlowKey;
use crate::plain::Plain;

/// [`DropEvent::kind`].
pub const DROP_EVENT: u16 = 1;

/// The first packet of its flow in this generation.
pub const FLAG_FIRST: u16 = 1;
/// Chosen by sampling.
pub const FLAG_SAMPLED: u16 = 2;
/// A [`StackedDropEvent`]: the stack follows.
pub const FLAG_STACK: u16 = 4;
/// The packet has a header but its memory could not be read.
pub const FLAG_HEAD_UNREADABLE: u16 = 8;
/// [`DropEvent::uid`] and [`DropEvent::gid`] were read: the packet's socket belongs to a program.
pub const FLAG_OWNER: u16 = 16;

/// [`DropEvent::head_kind`]: no header was found.
pub const HEAD_NONE: u8 = 0;
/// `head` starts at the link-layer header.
pub const HEAD_MAC: u8 = 1;
/// `head` starts at the network header.
pub const HEAD_NETWORK: u8 = 2;
/// `head` starts at the transport header.
pub const HEAD_TRANSPORT: u8 = 3;

/// Bytes kept of a packet: Ethernet, two VLAN tags, IPv6 and TCP with options, or VXLAN up to the inner ports.
pub const HEAD_LENGTH: usize = 128;
/// Stack frames kept; the deepest hook (a bridged packet inside a tunnel) is found within 20.
pub const STACK_FRAMES: usize = 32;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropEvent {
    /// Always [`DROP_EVENT`].
    pub kind: u16,
    /// `FLAG_` bits.
    pub flags: u16,
    pub cpu: u32,
    /// `bpf_ktime_get_ns`: nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    pub flow: FlowKey,
    /// `sk->__sk_common.skc_cookie` of the owning socket, 0 when there is none or it has none yet.
    pub socket_cookie: u64,
    /// cgroup v2 id of the owning socket, 0 when unknown.
    pub cgroup: u64,
    /// `net->net_cookie` of the namespace whose inode is in the flow: unlike that number it is never another one's. 0 when it
    /// is unknown, and before 5.12.
    pub netns_cookie: u64,
    /// `skb->len`, bytes.
    pub length: u32,
    /// `skb->mark`.
    pub mark: u32,
    /// `skb->skb_iif`: the interface it came in by, 0 for a local packet.
    pub in_ifindex: u32,
    /// `skb->_nfct`: the low three bits are `enum ip_conntrack_info`, [`crate::ENTRY`] says that there is an entry.
    pub conntrack: u32,
    /// Host order, as in the packet (unlike [`FlowKey::port`]); 0 when there is none.
    pub source_port: u16,
    pub destination_port: u16,
    /// `skb->protocol`, host order: the EtherType.
    pub ethertype: u16,
    /// `skb->vlan_tci` of a tag that was taken off, 0 when none.
    pub vlan: u16,
    /// `skb->pkt_type` (`PACKET_HOST`, `PACKET_OTHERHOST`, …).
    pub packet_type: u8,
    /// One of the `HEAD_` values.
    pub head_kind: u8,
    /// Valid bytes of `head`, at most [`HEAD_LENGTH`].
    pub head_length: u16,
    /// `skb->priority`.
    pub priority: u32,
    /// `skb->dev->name`, sixteen bytes, NUL-padded; empty for a packet without device.
    pub interface_name: [u64; 2],
    /// Name of the device of `out_ifindex`, in the same form; empty without one.
    pub out_interface_name: [u64; 2],
    /// `skb_dst(skb)->dev->ifindex`: the device that the packet's route leads to, 0 before it has a route. A packet that came
    /// in and is for this host has the route's stand-in there: the loopback device, or the VRF.
    pub out_ifindex: u32,
    /// Ports of the bridge, while br_netfilter shows a bridged packet to the rules of IP; 0 for none (`struct
    /// nf_bridge_info`: `physinif`, or `physindev` before Linux 6.8, and `physoutdev`, known from the forward hook on).
    pub bridge_in_ifindex: u32,
    pub bridge_out_ifindex: u32,
    /// `fsuid` and `fsgid` of who opened the socket, in the initial user namespace, as the rules `owner` and `meta skuid` see
    /// them; valid with [`FLAG_OWNER`].
    pub uid: u32,
    pub gid: u32,
    pub connection: Connection,
    pub head: [u8; HEAD_LENGTH],
}

/// A [`DropEvent`] with the kernel stack at the drop, innermost frame first.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackedDropEvent {
    pub event: DropEvent,
    /// What `bpf_get_stack` returned: bytes written to `stack`, or a negative error number.
    pub stack_bytes: i64,
    pub stack: [u64; STACK_FRAMES],
}

// SAFETY: `repr(C)`, integers, byte arrays and a `Plain` struct, no padding (asserted below).
unsafe impl Plain for DropEvent {}
// SAFETY: as above.
unsafe impl Plain for StackedDropEvent {}

const _: () =
    assert!(size_of::<DropEvent>() == 8 + 8 + 56 + 24 + 16 + 8 + 8 + 32 + 20 + size_of::<Connection>() + HEAD_LENGTH);
const _: () = assert!(size_of::<StackedDropEvent>() == size_of::<DropEvent>() + 8 + 8 * STACK_FRAMES);
