//! A socket and the packets that it sends, a batch in a system call.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// Packets a system call.
const BATCH: usize = 64;
/// Bytes of a datagram.
const PAYLOAD: usize = 64;
/// An IPv4 header without options, and a UDP header.
const HEADERS: usize = 20 + 8;
/// Where the source address stands in the IPv4 header (RFC 791).
const SOURCE: std::ops::Range<usize> = 12..16;
/// The first of the spoofed addresses: in no network of the lab.
const FIRST_SOURCE: u32 = Ipv4Addr::new(10, 100, 0, 0).to_bits();

/// Endless packets of a number of flows.
pub(super) struct Packets {
    socket: Socket,
    flows: u32,
    next: u32,
    buffers: Vec<Vec<u8>>,
    messages: Vec<libc::mmsghdr>,
    /// What the messages point to.
    _parts: Vec<libc::iovec>,
}

impl Packets {
    /// Starts with flow number `first`.
    pub(super) fn new((from_port, to): (u16, SocketAddrV4), flows: u32, first: u32) -> Result<Self> {
        let (kind, protocol, packet) = if flows == 1 {
            (Type::DGRAM, Protocol::UDP, vec![b'w'; PAYLOAD])
        } else {
            // IPPROTO_RAW: we give the IP header.
            (Type::RAW, Protocol::from(libc::IPPROTO_RAW), datagram(from_port, to))
        };
        let socket = Socket::new(Domain::IPV4, kind, Some(protocol)).context("no socket")?;
        // Connected, so that the route is looked up once.
        socket.connect(&to.into()).with_context(|| format!("no route to {to}"))?;
        let mut buffers = vec![packet; BATCH];
        let mut parts: Vec<libc::iovec> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() })
            .collect();
        let message = |part| {
            // SAFETY: all-zero is an empty message: no name, no parts, no control data.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        };
        let messages = parts.iter_mut().map(|part| message(std::ptr::from_mut(part))).collect();
        Ok(Self { socket, flows, next: first, buffers, messages, _parts: parts })
    }

    /// Sends a batch; how many packets the kernel took of it.
    pub(super) fn send(&mut self) -> io::Result<u64> {
        if self.flows > 1 {
            for buffer in &mut self.buffers {
                buffer[SOURCE].copy_from_slice(&(FIRST_SOURCE + self.next).to_be_bytes());
                self.next = if self.next + 1 < self.flows { self.next + 1 } else { 0 };
            }
        }
        // SAFETY: there are `BATCH` messages, whose parts and buffers live as long as they do.
        let sent =
            unsafe { libc::sendmmsg(self.socket.as_raw_fd(), self.messages.as_mut_ptr(), BATCH as libc::c_uint, 0) };
        u64::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// An IPv4 packet with a datagram; the kernel fills in the length and the checksum of a header given to it.
fn datagram(from_port: u16, to: SocketAddrV4) -> Vec<u8> {
    let udp_length = (8 + PAYLOAD) as u16;
    // Version 4, five words of header, identification 1, time to live 64, protocol 17 (UDP).
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0];
    packet.extend(to.ip().octets());
    for word in [from_port, to.port(), udp_length, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.resize(HEADERS + PAYLOAD, b'w');
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datagram_has_its_destination_and_room_for_its_source() {
        let packet = datagram(53, "10.99.1.3:9".parse().unwrap());
        assert_eq!(packet.len(), HEADERS + PAYLOAD);
        assert_eq!(packet[SOURCE], [0; 4]);
        assert_eq!(packet[16..20], [10, 99, 1, 3]);
        assert_eq!(packet[20..24], [0, 53, 0, 9]);
    }
}
