//! The packets: made by chance, sent through or from the router, and told to the evaluator as they are at each hook.

use std::net::IpAddr;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use tracer_netfilter::model::Hook;
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Mark, Packet, Tuple};
use tracer_tests::traffic::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Segment};
use tracer_tests::{Family, topology};

use crate::lab::Lab;
use crate::random::Random;
use crate::universe::{DSCPS, HOPS, MACS, MARKS, PAYLOADS, PORTS, destinations, own, sources};

const SCTP: u8 = 132;

/// Which way a packet takes in the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Through,
    Into,
    OutOf,
}

impl Way {
    pub(crate) const fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Through => &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            Self::Into => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
            Self::OutOf => &[Hook::Output, Hook::Postrouting],
        }
    }
}

/// What the IP header carries.
#[derive(Clone, Debug)]
enum Transport {
    Tcp { flags: u8, options: Vec<u8> },
    Udp,
    Icmp { kind: u8, code: u8 },
    Sctp { chunk: u8 },
    Other(u8),
}

/// One packet.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) way: Way,
    pub(crate) family: Family,
    source: IpAddr,
    destination: IpAddr,
    transport: Transport,
    ports: (u16, u16),
    hops: u8,
    dscp: u8,
    payload: usize,
    /// Hop-by-hop and destination options (IPv6).
    has_extensions: bool,
    /// First or later part of a larger packet; only where nothing puts it together.
    fragment: Option<u16>,
    mac: u8,
    mark: u32,
}

impl Probe {
    pub(crate) fn new(random: &mut Random, family: Family, has_fragments: bool) -> Self {
        let way = *random.pick(&[Way::Through, Way::Through, Way::Into, Way::OutOf]);
        let (from, to) = match way {
            Way::Through => (sources(family), destinations(family)),
            Way::Into => (sources(family), own(family)),
            Way::OutOf => (own(family), destinations(family)),
        };
        // What comes to the router itself is put together first, which never ends here.
        let is_fragment = has_fragments && way == Way::Through && random.percent(20);
        Self {
            way,
            family,
            source: *random.pick(&from),
            destination: *random.pick(&to),
            transport: transport(random, family),
            ports: (*random.pick(&PORTS) as u16, *random.pick(&PORTS) as u16),
            hops: *random.pick(&HOPS) as u8,
            dscp: *random.pick(&DSCPS) as u8,
            payload: *random.pick(&PAYLOADS),
            has_extensions: family == Family::V6 && random.percent(15),
            fragment: is_fragment.then(|| *random.pick(&[0, 3])),
            mac: *random.pick(&MACS),
            mark: if way == Way::OutOf { *random.pick(&MARKS) } else { 0 },
        }
    }

    const fn protocol(&self) -> u8 {
        match (&self.transport, self.family) {
            (Transport::Tcp { .. }, _) => frame::TCP,
            (Transport::Udp, _) => frame::UDP,
            (Transport::Icmp { .. }, Family::V4) => frame::ICMP,
            (Transport::Icmp { .. }, Family::V6) => frame::ICMPV6,
            (Transport::Sctp { .. }, _) => SCTP,
            (Transport::Other(protocol), _) => *protocol,
        }
    }

    /// Transport header and data.
    fn message(&self) -> Vec<u8> {
        let data: Vec<u8> = (0..self.payload).map(|at| b"whydrop "[at % 8]).collect();
        let (source, destination, ports) = (self.source, self.destination, self.ports);
        match &self.transport {
            Transport::Tcp { flags, options } => {
                let segment = Segment { ports, flags: *flags, options, data: &data, ..Segment::default() };
                frame::tcp_segment(source, destination, &segment)
            }
            Transport::Udp => frame::udp(source, destination, ports, &data),
            Transport::Icmp { kind, code } => {
                let body = [&ports.0.to_be_bytes()[..], &[0, 1], &data].concat();
                frame::icmp(source, destination, *kind, *code, &body)
            }
            Transport::Sctp { chunk } => sctp(ports, *chunk, &data),
            Transport::Other(_) => [&[7; 8], &data[..]].concat(),
        }
    }

    /// From the IP header on, as it is sent.
    fn bytes(&self) -> Vec<u8> {
        let message = self.message();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let fragment = self.fragment.map_or(0, |offset| offset | frame::MORE_FRAGMENTS);
                let header =
                    frame::Ipv4 { ttl: self.hops, fragment, ..frame::Ipv4::new(source, destination, self.protocol()) };
                let mut packet = header.build(&message);
                packet[1] = self.dscp << 2;
                fill_checksum(&mut packet);
                packet
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (next, payload) = self.extended(message);
                let header = frame::Ipv6 { hop_limit: self.hops, ..frame::Ipv6::new(source, destination, next) };
                let mut packet = header.build(&payload);
                packet[0] |= self.dscp >> 2;
                packet[1] = self.dscp << 6;
                packet
            }
            _ => Vec::new(),
        }
    }

    /// The extension headers of IPv6 before a message, and the number of the first.
    fn extended(&self, message: Vec<u8>) -> (u8, Vec<u8>) {
        let (mut next, mut payload) = (self.protocol(), message);
        if let Some(offset) = self.fragment {
            payload = frame::fragment6(next, offset, true, 7, &payload[..payload.len() & !7]);
            next = frame::FRAGMENT_HEADER;
        }
        if self.has_extensions {
            // Destination options, and before them hop-by-hop ones: PadN of four bytes each.
            payload = [&[next, 0, 1, 4, 0, 0, 0, 0], &payload[..]].concat();
            payload = [&[60, 0, 1, 4, 0, 0, 0, 0], &payload[..]].concat();
            next = 0;
        }
        (next, payload)
    }

    fn mac(&self) -> [u8; 6] {
        [2, 0x77, 0, 0, 1, self.mac]
    }

    /// Sends it into or from the router.
    pub(crate) fn send(&self, lab: &mut Lab) -> Result<()> {
        if self.way != Way::OutOf {
            return lab.client.send(&self.frame());
        }
        lab.router().run(|| {
            let domain = self.family.pick(Domain::IPV4, Domain::IPV6);
            let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
            socket.set_mark(self.mark)?;
            // What a rule drops at output comes back as an error: EPERM.
            let _outcome = socket.send_to(&self.bytes(), &std::net::SocketAddr::new(self.destination, 0).into());
            Ok(())
        })
    }

    fn frame(&self) -> Vec<u8> {
        let ethertype = self.family.pick(ETHERTYPE_IPV4, ETHERTYPE_IPV6);
        frame::ethernet(topology::R1_MAC, self.mac(), ethertype, &self.bytes())
    }

    /// As an event at this hook would show it; with its connection's state and mark, if connection tracking is at work.
    pub(crate) fn packet(&self, hook: Hook, mark: Mark, connection: Option<(ConnectionState, u32)>) -> Result<Packet> {
        let ethertype = self.family.pick(ETHERTYPE_IPV4, ETHERTYPE_IPV6);
        let mut packet = match self.way {
            Way::OutOf => Packet::from_network(ethertype, &self.bytes()),
            Way::Through | Way::Into => Packet::from_frame(ethertype, &self.frame()),
        };
        if matches!(hook, Hook::Forward | Hook::Postrouting) && self.way == Way::Through {
            let network = packet.network.context("no network header")?;
            // `ip_forward` and `ip6_forward` count down before the hook.
            packet.bytes[network + self.family.pick(8, 7)] -= 1;
            if self.family == Family::V4 {
                fill_checksum(&mut packet.bytes[network..network + 20]);
            }
        }
        let comes_in = self.way != Way::OutOf;
        let goes_out = matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting);
        packet.input = if comes_in { Known::Is(device(1)) } else { Known::Absent };
        packet.output = if goes_out { Known::Is(device(2)) } else { Known::Absent };
        packet.mark = mark;
        packet.packet_type = Some(0);
        packet.connection =
            connection.map_or(Known::Absent, |(state, mark)| Known::Is(self.connection(&packet, state, mark)));
        packet.socket = match self.way {
            Way::OutOf => Known::Is(tracer_netfilter::packet::Socket { user: Some(0), group: Some(0), cgroup: None }),
            Way::Through | Way::Into => Known::Absent,
        };
        Ok(packet)
    }

    pub(crate) const fn ends(&self) -> (IpAddr, IpAddr) {
        (self.source, self.destination)
    }

    /// Kernels do not agree on what to take for its ports.
    pub(crate) fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|offset| offset > 0)
    }

    pub(crate) const fn mark(&self) -> u32 {
        self.mark
    }

    /// Nothing is ever confirmed, so that each packet is the first of its connection.
    fn connection(&self, packet: &Packet, state: ConnectionState, mark: u32) -> Connection {
        let tuple = |source, destination, (source_port, destination_port)| Tuple {
            source,
            destination,
            source_port,
            destination_port,
            protocol: self.protocol(),
        };
        let ports = (packet.source_port.unwrap_or(0), packet.destination_port.unwrap_or(0));
        let is_new = state == ConnectionState::New;
        Connection {
            state,
            is_reply: false,
            mark: Some(mark),
            status: None,
            original: is_new.then(|| tuple(self.source, self.destination, ports)),
            reply: is_new.then(|| tuple(self.destination, self.source, (ports.1, ports.0))),
        }
    }
}

fn transport(random: &mut Random, family: Family) -> Transport {
    match random.below(20) {
        0..=7 => Transport::Tcp {
            flags: *random.pick(&[2, 2, 2, 0x10, 0x18, 0x12, 4, 0x11, 0x29]),
            options: options(random),
        },
        8..=12 => Transport::Udp,
        13..=15 => Transport::Icmp { kind: *random.pick(&family.pick([8, 8, 0, 13], [128, 128, 129, 140])), code: 0 },
        16..=18 => Transport::Sctp { chunk: *random.pick(&[1, 0, 3]) },
        _ => Transport::Other(253),
    }
}

/// A maximum segment size, window scale, or nothing.
fn options(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => vec![2, 4, 5, 0xb4],
        1 => vec![2, 4, 2, 0x18, 1, 3, 3, 7],
        2 => vec![1, 1, 4, 2],
        _ => Vec::new(),
    }
}

/// A common header and one chunk (RFC 9260); an INIT needs 16 bytes of parameters.
fn sctp(ports: (u16, u16), chunk: u8, data: &[u8]) -> Vec<u8> {
    let tag: u32 = if chunk == 1 { 0 } else { 9 };
    let data = if chunk == 1 { &[] } else { data };
    let value = [&[0, 0, 0, 1, 0, 0, 0x20, 0, 0, 1, 0, 1, 0, 0, 0, 1][..], data].concat();
    let length = (4 + value.len()) as u16;
    let mut packet = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &tag.to_be_bytes(), &[0; 4]].concat();
    packet.extend([chunk, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend(value);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// Castagnoli's CRC, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), fold))
}

fn fill_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = frame::checksum(&header[..20]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The router's devices (see [`topology::router`]).
fn device(number: u32) -> Device {
    Device {
        index: number * 10 + 1,
        name: format!("r{number}"),
        hardware: Some(1),
        group: Some(0),
        kind: Some("veth".to_owned()),
        master: Some(0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_of_sctp_is_the_known_one() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
    }
}
