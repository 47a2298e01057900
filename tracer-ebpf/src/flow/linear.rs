//! The first look, at headers where they are in the linear part of a packet and as long as they mostly are.
//!
//! Rule: it only has to find out that a packet is data. What is unusual (IP options, a VLAN tag in the packet, headers in pages,
//! tunnels, errors) goes [`Seen::Further`].

use core::ptr::read_volatile;

use tracer_common::{FAMILY_IPV4, FAMILY_IPV6, PORT_DNS, PORT_NONE, PORT_REQUEST, PORT_VXLAN};

use super::packet::{
    ACK, ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, FIN, FRAGMENT_OFFSET, ICMP, ICMPV6, IPIP, IPV6, Packet, RST,
    SYN, TCP, UDP, class,
};
use super::{Context, icmp, tunnel, udp};
use crate::packet::MAPPED;

pub enum Seen {
    Nothing,
    /// A handshake of TCP, or a UDP packet between a port of class [`PORT_REQUEST`] and one of none: the first or the second of an
    /// attempt, `true` for the first.
    Packet(Packet, bool),
    Further,
}

/// The linear part.
#[derive(Clone, Copy)]
struct Linear {
    data: usize,
    end: usize,
}

impl Linear {
    /// Whether so many bytes from the begin on are there. Everything below it may be read then.
    #[inline(always)]
    fn has(self, bytes: usize) -> bool {
        self.data + bytes <= self.end
    }

    /// What stands at an offset, which [`Self::has`] was asked for.
    #[inline(always)]
    fn at<T: Copy>(self, offset: usize) -> T {
        // SAFETY: the verifier refuses the program if it was not asked. Network headers are aligned as the kernel wants them.
        unsafe { read_volatile((self.data + offset) as *const T) }
    }
}

#[inline(always)]
pub fn look(context: Context, start: u32, direction: u32) -> Seen {
    // SAFETY: the context of a tc program; the verifier turns these loads into loads of the packet's members.
    let (protocol, data, end, length) = unsafe {
        let context = &raw const *context;
        (
            read_volatile(&raw const (*context).protocol),
            read_volatile(&raw const (*context).data) as usize,
            read_volatile(&raw const (*context).data_end) as usize,
            read_volatile(&raw const (*context).len),
        )
    };
    let linear = Linear { data, end };
    let at = start as usize;
    match protocol {
        ETH_P_IP => match ipv4(linear, at, false) {
            Data::No => ipv4_packet(linear, at, length, direction),
            Data::Yes => Seen::Nothing,
            Data::Unknown => Seen::Further,
        },
        ETH_P_IPV6 => match ipv6(linear, at, false) {
            Data::No => ipv6_packet(linear, at, length, direction),
            Data::Yes => Seen::Nothing,
            Data::Unknown => Seen::Further,
        },
        ETH_P_8021Q | ETH_P_8021AD if start != 0 => Seen::Further,
        _ => Seen::Nothing,
    }
}

/// Whether a packet is of no interest. [`Data::No`]: its headers are here, and it is what [`Seen::Packet`] may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Yes,
    No,
    Unknown,
}

/// `is_inner`: of a tunnel, in which no other tunnel is looked into.
#[inline(always)]
fn ipv4(linear: Linear, at: usize, is_inner: bool) -> Data {
    if !linear.has(at + 28) || linear.at::<u8>(at) != 0x45 {
        return Data::Unknown;
    }
    if linear.at::<u16>(at + 6) & FRAGMENT_OFFSET != 0 {
        return Data::Yes;
    }
    match linear.at::<u8>(at + 9) {
        TCP => tcp(linear, at + 20),
        UDP => udp(linear, at + 20, is_inner),
        ICMP if icmp::is_error4(linear.at(at + 20)) => Data::Unknown,
        IPIP | IPV6 if !is_inner => Data::Unknown,
        _ => Data::Yes,
    }
}

#[inline(always)]
fn ipv6(linear: Linear, at: usize, is_inner: bool) -> Data {
    if !linear.has(at + 48) || linear.at::<u8>(at) & 0xf0 != 0x60 {
        return Data::Unknown;
    }
    match linear.at::<u8>(at + 6) {
        TCP => tcp(linear, at + 40),
        UDP => udp(linear, at + 40, is_inner),
        ICMPV6 if icmp::is_error6(linear.at(at + 40)) => Data::Unknown,
        // Hop-by-hop options, and a fragment, which may be the first.
        0 | 44 => Data::Unknown,
        IPIP | IPV6 if !is_inner => Data::Unknown,
        _ => Data::Yes,
    }
}

#[inline(always)]
fn tcp(linear: Linear, at: usize) -> Data {
    if !linear.has(at + 20) {
        return Data::Unknown;
    }
    let flags = linear.at::<u8>(at + 13);
    if flags & (SYN | RST | FIN) == SYN {
        return Data::No;
    }
    if flags & (SYN | RST) != 0 {
        return Data::Unknown;
    }
    let is_dns = |offset| class(u16::from_be(linear.at(at + offset))) == PORT_DNS;
    if is_dns(2) || is_dns(0) { Data::Unknown } else { Data::Yes }
}

#[inline(always)]
fn udp(linear: Linear, at: usize, is_inner: bool) -> Data {
    let (of_source, of_destination) = (class(u16::from_be(linear.at(at))), class(u16::from_be(linear.at(at + 2))));
    let class = if of_destination == PORT_NONE { of_source } else { of_destination };
    match class {
        PORT_NONE => Data::Yes,
        PORT_REQUEST if of_source == PORT_NONE || of_destination == PORT_NONE => Data::No,
        PORT_DNS => Data::Unknown,
        PORT_VXLAN if !is_inner => vxlan(linear, at + 8),
        _ if linear.has(at + 12) && udp::is_data(class, linear.at(at + 8)) => Data::Yes,
        _ => Data::Unknown,
    }
}

/// Most packets on the uplink of an overlay network are in such a tunnel.
#[inline(always)]
fn vxlan(linear: Linear, at: usize) -> Data {
    let inner = at + tunnel::VXLAN_HEADER as usize;
    if !linear.has(inner) {
        return Data::Unknown;
    }
    let is_data = match u32::from(linear.at::<u16>(inner - 2)) {
        ETH_P_IP => ipv4(linear, inner, true) == Data::Yes,
        ETH_P_IPV6 => ipv6(linear, inner, true) == Data::Yes,
        _ => false,
    };
    if is_data { Data::Yes } else { Data::Unknown }
}

/// A packet of which [`ipv4`] said that it is none of data; one whose length is not true is looked at again, and counted there.
#[inline(always)]
fn ipv4_packet(linear: Linear, at: usize, length: u32, direction: u32) -> Seen {
    let end = at as u32 + u32::from(u16::from_be(linear.at(at + 2)));
    let protocol = linear.at(at + 9);
    if end > length {
        return Seen::Further;
    }
    transport(
        linear,
        at + 20,
        end,
        Packet {
            source: [0, 0, MAPPED, linear.at(at + 12)],
            destination: [0, 0, MAPPED, linear.at(at + 16)],
            protocol,
            family: FAMILY_IPV4,
            ttl: linear.at(at + 8),
            direction,
            ..Packet::EMPTY
        },
    )
}

#[inline(always)]
fn ipv6_packet(linear: Linear, at: usize, length: u32, direction: u32) -> Seen {
    let end = at as u32 + 40 + u32::from(u16::from_be(linear.at(at + 4)));
    if end > length {
        return Seen::Further;
    }
    let address = |at| [linear.at(at), linear.at(at + 4), linear.at(at + 8), linear.at(at + 12)];
    transport(
        linear,
        at + 40,
        end,
        Packet {
            source: address(at + 8),
            destination: address(at + 24),
            protocol: linear.at(at + 6),
            family: FAMILY_IPV6,
            ttl: linear.at(at + 7),
            direction,
            ..Packet::EMPTY
        },
    )
}

#[inline(always)]
fn transport(linear: Linear, at: usize, end: u32, mut packet: Packet) -> Seen {
    let header = if packet.protocol == TCP { 20 } else { 8 };
    if end < at as u32 + header {
        return Seen::Further;
    }
    packet.source_port = u16::from_be(linear.at(at));
    packet.destination_port = u16::from_be(linear.at(at + 2));
    packet.transport = at as u32;
    packet.end = end;
    let is_opener = if packet.protocol == TCP {
        if !linear.has(at + 20) {
            return Seen::Further;
        }
        linear.at::<u8>(at + 13) & ACK == 0
    } else {
        class(packet.destination_port) != PORT_NONE
    };
    Seen::Packet(packet, is_opener)
}
