//! Hand-made frames: right by default, wrong where a test says so. Plain RFC 791, 8200, 768, 793, 792, 4443 layouts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Mac;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const FRAGMENT_HEADER: u8 = 44;
pub const ICMPV6: u8 = 58;

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;

/// Where the checksum stands in each transport header, for [`corrupt`].
pub const TCP_CHECKSUM: usize = 16;
pub const UDP_CHECKSUM: usize = 6;
pub const ICMP_CHECKSUM: usize = 2;

/// More fragments follow; for [`Ipv4::fragment`].
pub const MORE_FRAGMENTS: u16 = 0x2000;

pub fn ethernet(destination: Mac, source: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &ethertype.to_be_bytes(), payload].concat()
}

/// An IPv4 header; what is `None` is worked out from the payload.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: u8,
    pub ttl: u8,
    pub version: u8,
    pub identification: u16,
    /// Flags and offset in units of 8 bytes.
    pub fragment: u16,
    /// Whole words of options.
    pub options: Vec<u8>,
    pub header_words: Option<u8>,
    pub total_length: Option<u16>,
    pub checksum: Option<u16>,
}

impl Ipv4 {
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> Self {
        Self {
            source,
            destination,
            protocol,
            ttl: 64,
            version: 4,
            identification: 1,
            fragment: 0,
            options: Vec::new(),
            header_words: None,
            total_length: None,
            checksum: None,
        }
    }

    pub fn build(&self, payload: &[u8]) -> Vec<u8> {
        let length = 20 + self.options.len();
        let words = self.header_words.unwrap_or((length / 4) as u8);
        let total = self.total_length.unwrap_or((length + payload.len()) as u16);
        let mut header = vec![self.version << 4 | words, 0];
        header.extend(total.to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.extend(&self.options);
        let sum = self.checksum.unwrap_or_else(|| checksum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [header.as_slice(), payload].concat()
    }
}

/// An IPv6 header; what is `None` is worked out from the payload.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub next_header: u8,
    pub hop_limit: u8,
    pub version: u8,
    pub payload_length: Option<u16>,
}

impl Ipv6 {
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8) -> Self {
        Self { source, destination, next_header, hop_limit: 64, version: 6, payload_length: None }
    }

    pub fn build(&self, payload: &[u8]) -> Vec<u8> {
        let length = self.payload_length.unwrap_or(payload.len() as u16);
        let mut packet = vec![self.version << 4, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([self.next_header, self.hop_limit]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(payload);
        packet
    }
}

/// An IPv6 fragment header (RFC 8200 section 4.5) before a part of a packet; `offset` in units of 8 bytes.
pub fn fragment6(next_header: u8, offset: u16, more: bool, identification: u32, part: &[u8]) -> Vec<u8> {
    let place = offset << 3 | u16::from(more);
    [&[next_header, 0][..], &place.to_be_bytes(), &identification.to_be_bytes(), part].concat()
}

pub fn udp(source: IpAddr, destination: IpAddr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = Vec::new();
    for number in [ports.0, ports.1, length, 0] {
        datagram.extend(number.to_be_bytes());
    }
    datagram.extend(payload);
    fill_checksum(&mut datagram, UDP_CHECKSUM, source, destination, UDP);
    datagram
}

/// A TCP segment without options or data, with sequence number 1.
pub fn tcp(source: IpAddr, destination: IpAddr, ports: (u16, u16), flags: u8) -> Vec<u8> {
    tcp_segment(source, destination, &Segment { ports, flags, ..Segment::default() })
}

/// What a TCP segment says.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub ports: (u16, u16),
    pub flags: u8,
    pub sequence: u32,
    pub acknowledged: u32,
    /// Whole words of options.
    pub options: &'a [u8],
    pub data: &'a [u8],
}

impl Default for Segment<'_> {
    fn default() -> Self {
        Self { ports: (0, 0), flags: SYN, sequence: 1, acknowledged: 0, options: &[], data: &[] }
    }
}

pub fn tcp_segment(source: IpAddr, destination: IpAddr, segment: &Segment) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(segment.ports.0.to_be_bytes());
    bytes.extend(segment.ports.1.to_be_bytes());
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledged.to_be_bytes());
    bytes.extend([((20 + segment.options.len()) as u8 / 4) << 4, segment.flags, 0x10, 0, 0, 0, 0, 0]);
    bytes.extend(segment.options);
    bytes.extend(segment.data);
    fill_checksum(&mut bytes, TCP_CHECKSUM, source, destination, TCP);
    bytes
}

/// ICMP or ICMPv6, by the family of the addresses; `body` follows the checksum.
pub fn icmp(source: IpAddr, destination: IpAddr, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(body);
    if source.is_ipv4() {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    } else {
        fill_checksum(&mut message, ICMP_CHECKSUM, source, destination, ICMPV6);
    }
    message
}

/// Makes the 16-bit checksum at an offset wrong, and never zero (which UDP takes for "none").
pub fn corrupt(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let wrong = if sum == 0x5a5a { 0x5a5b } else { sum ^ 0x5a5a };
    bytes[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
    bytes
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn fill_checksum(segment: &mut [u8], at: usize, source: IpAddr, destination: IpAddr, protocol: u8) {
    let mut covered = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => covered.extend(address.octets()),
            IpAddr::V6(address) => covered.extend(address.octets()),
        }
    }
    covered.extend((segment.len() as u32).to_be_bytes());
    covered.extend([0, protocol]);
    covered.extend_from_slice(segment);
    let sum = match checksum(&covered) {
        0 => 0xffff,
        sum => sum,
    };
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    #[test]
    fn a_header_sums_to_nothing_and_knows_its_length() {
        let packet = Ipv4 { options: vec![1, 1, 1, 0], ..Ipv4::new(A, B, UDP) }.build(b"hello");
        assert_eq!(packet.len(), 29);
        assert_eq!(packet[0], 0x46);
        assert_eq!(packet[2..4], [0, 29]);
        assert_eq!(checksum(&packet[..24]), 0);
    }

    #[test]
    fn a_known_datagram_has_its_known_checksum() {
        // 10.0.0.1:1000 > 10.0.0.2:2000 "ab", summed by hand.
        let datagram = udp(A.into(), B.into(), (1000, 2000), b"ab");
        assert_eq!(datagram, [3, 232, 7, 208, 0, 10, 0x7e, 0xbd, b'a', b'b']);
    }

    #[test]
    fn what_is_corrupted_is_wrong_and_nothing_else_changes() {
        let whole = tcp(A.into(), B.into(), (1, 2), SYN);
        let broken = corrupt(whole.clone(), TCP_CHECKSUM);
        assert_ne!(whole[16..18], broken[16..18]);
        assert_eq!(whole[..16], broken[..16]);
        assert_eq!(whole[18..], broken[18..]);
    }
}
