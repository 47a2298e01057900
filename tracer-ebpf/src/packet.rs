//! The few header fields that make a flow: addresses, protocol and the service's port.
//!
//! Rule: one copy of the bytes, no loop, no trust. Lengths in the packet only ever make it read less.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use tracer_common::{FAMILY_IPV4, FAMILY_IPV6, FAMILY_OTHER, PORT_IS_SOURCE};

use crate::globals::SKB_SK;
use crate::read::Read;
use crate::skb::{Connection, Skb};

const ETH_P_IP: u16 = 0x0800_u16.to_be();
const ETH_P_IPV6: u16 = 0x86dd_u16.to_be();

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

/// Second half of the first word of `::ffff:a.b.c.d`.
pub const MAPPED: u32 = 0xffff_0000;
/// Bytes of a transport header that matter: ports at 0, TCP flags at 13.
const TRANSPORT: u32 = 16;

/// The fields of a packet, as far as they could be read; what could not is zero.
#[repr(C)]
pub struct Packet {
    pub source: [u32; 4],
    pub destination: [u32; 4],
    pub source_port: u16,
    pub destination_port: u16,
    /// What goes into the flow: the service's port or the ICMP type and code.
    pub port: u16,
    pub family: u8,
    pub protocol: u8,
    pub port_is_source: bool,
    pub unreadable: bool,
}

impl Packet {
    #[inline(always)]
    pub fn parse<R: Read>(skb: &Skb) -> Self {
        let mut packet = Self {
            family: FAMILY_OTHER,
            protocol: 0,
            source: [0; 4],
            destination: [0; 4],
            source_port: 0,
            destination_port: 0,
            port: 0,
            port_is_source: false,
            unreadable: false,
        };
        let start = u32::from(skb.network);
        if skb.head.is_null() || start >= skb.tail || skb.protocol == 0 {
            packet.without_headers::<R>(skb);
            return packet;
        }
        let available = skb.tail - start;
        let at = skb.head.wrapping_add(start as usize);
        if skb.protocol == ETH_P_IP && available >= 20 {
            packet.ipv4(at, available);
        } else if skb.protocol == ETH_P_IPV6 && available >= 40 {
            packet.ipv6(at, available);
        }
        packet
    }

    /// `family` as the flow map has it.
    #[inline(always)]
    pub fn flow_family(&self) -> u8 {
        if self.port_is_source { self.family | PORT_IS_SOURCE } else { self.family }
    }

    #[inline(always)]
    fn ipv4(&mut self, at: *const u8, available: u32) {
        // Reading past the packet's end is harmless: `skb_shared_info` follows the buffer.
        // SAFETY: the helper checks the address.
        let Ok(words) = (unsafe { bpf_probe_read_kernel(at.cast::<[u32; 9]>()) }) else {
            self.unreadable = true;
            return;
        };
        if words[0] & 0xf0 != 0x40 {
            return;
        }
        self.family = FAMILY_IPV4;
        self.source = [0, 0, MAPPED, words[3]];
        self.destination = [0, 0, MAPPED, words[4]];
        self.protocol = (words[2] >> 8) as u8;
        let later_fragment = words[1] & 0xff1f_0000 != 0;
        let header = (words[0] & 0xf) * 4;
        if later_fragment || header < 20 || available < header + 4 {
            return;
        }
        if header == 20 {
            self.transport(words[5], if available >= header + TRANSPORT { words[8] } else { 0 });
            return;
        }
        let options = at.wrapping_add(header as usize);
        // SAFETY: the helper checks the address.
        if let Ok(words) = unsafe { bpf_probe_read_kernel(options.cast::<[u32; 4]>()) } {
            self.transport(words[0], if available >= header + TRANSPORT { words[3] } else { 0 });
        }
    }

    #[inline(always)]
    fn ipv6(&mut self, at: *const u8, available: u32) {
        // SAFETY: the helper checks the address.
        let Ok(words) = (unsafe { bpf_probe_read_kernel(at.cast::<[u32; 14]>()) }) else {
            self.unreadable = true;
            return;
        };
        if words[0] & 0xf0 != 0x60 {
            return;
        }
        self.family = FAMILY_IPV6;
        self.source = [words[2], words[3], words[4], words[5]];
        self.destination = [words[6], words[7], words[8], words[9]];
        self.protocol = (words[1] >> 16) as u8;
        if available >= 44 {
            self.transport(words[10], if available >= 40 + TRANSPORT { words[13] } else { 0 });
        }
    }

    /// A packet that its socket has just made: what the headers will say.
    #[inline(always)]
    fn without_headers<R: Read>(&mut self, skb: &Skb) {
        let Some(connection) = Connection::of::<R>(R::pointer(skb.at, &SKB_SK)) else { return };
        self.family = if connection.is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 };
        self.protocol = connection.protocol;
        self.source = connection.source;
        self.destination = connection.destination;
        self.source_port = connection.source_port;
        self.destination_port = connection.destination_port;
        self.port_is_source = self.source_port < self.destination_port;
        self.port = if self.port_is_source { self.source_port } else { self.destination_port };
    }

    /// `first` is bytes 0 to 3 of the transport header, `fourth` bytes 12 to 15.
    #[inline(always)]
    fn transport(&mut self, first: u32, fourth: u32) {
        match self.protocol {
            TCP | UDP | SCTP | DCCP | UDPLITE => {
                self.source_port = (first as u16).swap_bytes();
                self.destination_port = ((first >> 16) as u16).swap_bytes();
            }
            ICMP | ICMPV6 => {
                self.port = (first as u16).swap_bytes();
                return;
            }
            _ => return,
        }
        // SYN and ACK are bits 1 and 4 of byte 13.
        let handshake = if self.protocol == TCP { fourth & 0x1200 } else { 0 };
        self.port_is_source = match handshake {
            0x0200 => false,
            0x1200 => true,
            _ => self.source_port < self.destination_port,
        };
        self.port = if self.port_is_source { self.source_port } else { self.destination_port };
    }
}
