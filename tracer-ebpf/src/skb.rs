//! What is read of an `sk_buff`, its device and its socket.
//!
//! Rule: `skb->dev` may be overlaid by other data (`dev_scratch` in a socket's receive queue, `rbnode` in a tree of
//! fragments or of TCP's segments out of order) and `skb->sk` may be a small request or time-wait socket: both are
//! believed only as far as what they lead to makes sense.

use tracer_common::ABSENT;

use crate::globals::{self, *};
use crate::packet::MAPPED;
use crate::read::{Probe, Read};

/// Numbers that a namespace's inode can have: they are given out from 0xF0000000 on, the lowest free one first
/// (`PROC_DYNAMIC_FIRST`, fs/proc/generic.c, 5.10 to 7.2), those of the first namespaces stand just before (nsfs.h, 6.18).
/// Each number in use costs the kernel some hundred bytes, so those above are not reached; the upper half of a pointer and
/// most other data are outside.
const FIRST_INODE: u32 = 0xefff_ff00;
const INODES: u32 = 0x0200_0000;

/// Whether a namespace can have this inode: 0, what can't be read, is none. One comparison, so one branch for the verifier.
#[inline(always)]
fn is_namespace(inode: u32) -> bool {
    inode.wrapping_sub(FIRST_INODE) < INODES
}

/// What is needed to filter and count a drop.
pub struct Skb {
    pub at: *const u8,
    pub head: *const u8,
    /// Bytes, counted from `head`: where the linear data ends, and where the headers start (0xffff: not set).
    pub tail: u32,
    pub network: u16,
    pub length: u32,
    /// Network order.
    pub protocol: u16,
    pub device: *const u8,
    /// `skb->sk`: loaded once, because the verifier searches all types for each load of a pointer from the tracepoint's
    /// argument or from this one, on each path that it takes (`btf_nested_type_is_trusted`, kernel/bpf/btf.c, 6.18). Pointers
    /// behind it are read by the helper.
    pub socket: *const u8,
    pub ifindex: u32,
    pub netns: u32,
}

impl Skb {
    #[inline(always)]
    pub fn new<R: Read>(at: *const u8, receiver: *const u8) -> Self {
        let device = R::pointer(at, &SKB_DEV);
        let mut skb = Self {
            at,
            head: R::pointer(at, &SKB_HEAD),
            tail: R::member(at, &SKB_TAIL),
            network: R::member(at, &SKB_NETWORK_HEADER),
            length: R::member(at, &SKB_LEN),
            protocol: R::member(at, &SKB_PROTOCOL),
            device,
            socket: R::pointer(at, &SKB_SK),
            ifindex: R::member(device, &DEV_IFINDEX),
            netns: R::member(R::pointer(device, &DEV_NET), &NET_INODE),
        };
        if !is_namespace(skb.netns) {
            // TCP takes the device off a packet when it has found the socket, and a tree has another packet's address in
            // its place, but where it came in stays.
            skb.device = core::ptr::null();
            skb.ifindex = R::member(at, &SKB_IIF);
            skb.netns = skb.netns_without_device::<R>(receiver);
        }
        skb
    }

    /// A local packet has no device before it is routed, a received one none any more in its socket: its namespace is
    /// that of its socket, of its route, or of the socket that it is for.
    #[inline(always)]
    fn netns_without_device<R: Read>(&self, receiver: *const u8) -> u32 {
        let inode = Probe::member(Probe::pointer(self.socket, &SOCK_NET), &NET_INODE);
        if is_namespace(inode) {
            return inode;
        }
        let device = Probe::pointer(self.route::<R>(), &DST_DEV);
        let inode = Probe::member(Probe::pointer(device, &DEV_NET), &NET_INODE);
        if is_namespace(inode) {
            return inode;
        }
        Probe::member(Probe::pointer(receiver, &SOCK_NET), &NET_INODE)
    }

    /// Its route, to be read by the helper; null before it has one.
    #[inline(always)]
    pub fn route<R: Read>(&self) -> *const u8 {
        // Bit 0 of `_skb_refdst` says that no reference is held (include/linux/skbuff.h, SKB_DST_NOREF).
        (R::member::<u64>(self.at, &SKB_DST) & !7) as *const u8
    }

    /// The interface's name, NUL-padded, in two halves; empty without a device.
    #[inline(always)]
    pub fn interface_name<R: Read>(&self) -> [u64; 2] {
        match R::address(self.device, &DEV_NAME) {
            Some(name) => [R::at(name), R::at(name.wrapping_add(8))],
            None => [0; 2],
        }
    }
}

/// `AF_INET` and `AF_INET6` (include/linux/socket.h).
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// What a socket says of its packets, for a packet that has no headers yet.
pub struct Connection {
    pub is_ipv6: bool,
    pub protocol: u8,
    pub source: [u32; 4],
    pub destination: [u32; 4],
    pub source_port: u16,
    pub destination_port: u16,
}

impl Connection {
    /// `None` for a socket that is not an internet socket, or is a small one.
    #[inline(always)]
    pub fn of<R: Read>(socket: *const u8) -> Option<Self> {
        let family: u16 = R::member(socket, &SOCK_FAMILY);
        if (family != AF_INET && family != AF_INET6) || is_small::<R>(socket) {
            return None;
        }
        let is_ipv6 = family == AF_INET6;
        Some(Self {
            is_ipv6,
            protocol: R::member(socket, &SOCK_PROTOCOL),
            source: address::<R>(socket, is_ipv6, &SOCK_SOURCE, &SOCK_SOURCE6),
            destination: address::<R>(socket, is_ipv6, &SOCK_DESTINATION, &SOCK_DESTINATION6),
            source_port: R::member(socket, &SOCK_SOURCE_PORT),
            destination_port: R::member::<u16>(socket, &SOCK_DESTINATION_PORT).swap_bytes(),
        })
    }
}

#[inline(always)]
fn address<R: Read>(socket: *const u8, is_ipv6: bool, v4: &'static u32, v6: &'static u32) -> [u32; 4] {
    if !is_ipv6 {
        return [0, 0, MAPPED, R::member(socket, v4)];
    }
    let offset = globals::get(v6);
    if offset == ABSENT {
        return [0; 4];
    }
    let at = socket.wrapping_add(offset as usize);
    [R::at(at), R::at(at.wrapping_add(4)), R::at(at.wrapping_add(8)), R::at(at.wrapping_add(12))]
}

/// `TCP_TIME_WAIT` and `TCP_NEW_SYN_RECV` (include/net/tcp_states.h): such sockets end after `sock_common`.
const SMALL_SOCKETS: u32 = 1 << 6 | 1 << 12;

#[inline(always)]
pub fn is_small<R: Read>(socket: *const u8) -> bool {
    let state: u8 = R::member(socket, &SOCK_STATE);
    globals::get(&SOCK_STATE) == ABSENT || 1u32.wrapping_shl(u32::from(state)) & SMALL_SOCKETS != 0
}
