//! What is known of a packet, whichever way its bytes were read, and the numbers of its headers.

use tracer_common::{Attempt, AttemptKey, PORT_NONE, Query, QueryKey, TUNNEL_NONE, port_place};

use crate::maps::PORTS;

/// Length of an Ethernet header, bytes.
pub const ETHERNET: u32 = 14;
pub const ETH_P_IP: u32 = 0x0800_u16.to_be() as u32;
pub const ETH_P_IPV6: u32 = 0x86dd_u16.to_be() as u32;
pub const ETH_P_8021Q: u32 = 0x8100_u16.to_be() as u32;
pub const ETH_P_8021AD: u32 = 0x88a8_u16.to_be() as u32;

pub const ICMP: u8 = 1;
pub const IPIP: u8 = 4;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const IPV6: u8 = 41;
pub const ICMPV6: u8 = 58;

/// TCP flags.
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// `MF` may be set, the offset not: the first fragment has the ports.
pub const FRAGMENT_OFFSET: u16 = 0x1fff_u16.to_be();

/// A packet that may matter.
#[repr(C)]
pub struct Packet {
    /// As in [`AttemptKey::client`].
    pub source: [u32; 4],
    pub destination: [u32; 4],
    /// Where the transport header begins, and where the packet ends as its network header says; bytes from the frame's begin.
    pub transport: u32,
    pub end: u32,
    /// [`tracer_common::INGRESS`] or [`tracer_common::EGRESS`].
    pub direction: u32,
    /// Where a DNS message begins in it, and where the network header of a packet that it carries is; 0 for none.
    pub message: u32,
    pub inner: u32,
    /// As in `__sk_buff.protocol`, of the packet that it carries.
    pub inner_protocol: u16,
    /// Host order.
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub family: u8,
    /// One of the `TUNNEL_` values: the one that this packet is in; when [`Self::inner`] is set, that of the inner one.
    pub tunnel: u8,
    pub ttl: u8,
    /// Of TCP.
    pub flags: u8,
}

impl Packet {
    pub const EMPTY: Self = Self {
        source: [0; 4],
        destination: [0; 4],
        transport: 0,
        end: 0,
        direction: 0,
        message: 0,
        inner: 0,
        inner_protocol: 0,
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        family: 0,
        tunnel: TUNNEL_NONE,
        ttl: 0,
        flags: 0,
    };

    /// The attempt's key, from the side that began it.
    #[inline(always)]
    pub fn key(&self, device: u64, is_from_client: bool) -> AttemptKey {
        let (protocol, family, tunnel, pad) = (self.protocol, self.family, self.tunnel, 0);
        // Two whole keys, or each member would be a branch of its own.
        if is_from_client {
            let (client, server, client_port, server_port) =
                (self.source, self.destination, self.source_port, self.destination_port);
            AttemptKey { device, client, server, client_port, server_port, protocol, family, tunnel, pad }
        } else {
            let (client, server, client_port, server_port) =
                (self.destination, self.source, self.destination_port, self.source_port);
            AttemptKey { device, client, server, client_port, server_port, protocol, family, tunnel, pad }
        }
    }
}

/// What is too large for the stack, one a CPU: no other program of ours runs on it until one returns. The verifier forgets what is
/// written here, so that it follows far fewer paths.
#[repr(C)]
pub struct Scratch {
    pub packet: Packet,
    /// What an error quotes.
    pub quoted: Packet,
    pub key: QueryKey,
    pub attempt: Attempt,
    pub query: Query,
}

/// The class of a port, by the map that user space fills.
#[inline(always)]
pub fn class(port: u16) -> u64 {
    let (word, shift) = port_place(port);
    PORTS.get(word).map_or(PORT_NONE, |classes| classes >> shift & 0xf)
}
