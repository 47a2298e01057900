//! Whether the checksum of a packet's TCP, UDP or ICMP is right.
//!
//! Rule: only of a packet that is known whole. A checksum that the device is still to fill in (it holds the sum of the
//! pseudo header) is not a wrong one.

use std::net::IpAddr;

use tracer_netfilter::packet::Packet;

/// Where the checksum stands in each header.
const fn at(protocol: u8) -> Option<usize> {
    match protocol {
        6 => Some(16),
        17 => Some(6),
        1 | 58 => Some(2),
        _ => None,
    }
}

/// The checksum that the packet has, and the one that it should have, if that is another.
pub(super) fn wrong(packet: &Packet) -> Option<(u16, u16)> {
    let protocol = packet.protocol?;
    let (at, body) = (at(protocol)?, body(packet)?);
    let has = u16::from_be_bytes(*body.get(at..)?.first_chunk()?);
    // UDP over IPv4 may go without.
    if has == 0 && protocol == 17 && packet.is_ipv4() {
        return None;
    }
    let pseudo = if protocol == 1 { 0 } else { pseudo(packet, protocol, body.len())? };
    let right = !fold(pseudo + sum(body) - u32::from(has));
    // The two zeros of one's complement are the same.
    let is_right = fold(pseudo + sum(body)) == 0xffff;
    let is_to_be_filled = protocol != 1 && has == fold(pseudo);
    (!is_right && !is_to_be_filled).then_some((has, right))
}

/// The transport header with all behind it, if it is all there and no fragment.
fn body(packet: &Packet) -> Option<&[u8]> {
    let (network, transport) = (packet.network?, packet.transport?);
    let word = |offset| packet.at(Some(network), offset, 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let end = if packet.is_ipv4() {
        let is_part = word(6)? & 0x3fff != 0;
        if is_part {
            return None;
        }
        network.checked_add(usize::from(word(2)?))?
    } else {
        network.checked_add(40)?.checked_add(usize::from(word(4)?))?
    };
    packet.bytes.get(transport..end).filter(|_| packet.fragment_offset == 0)
}

fn pseudo(packet: &Packet, protocol: u8, length: usize) -> Option<u32> {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    let length = u32::try_from(length).ok()?;
    Some(address(packet.source?) + address(packet.destination?) + u32::from(protocol) + length)
}

/// The 16-bit words, of less than 64 KiB: no overflow.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(high) << 8,
            _ => 0,
        })
        .sum()
}

const fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UDP 10.99.1.2:1000 > 10.99.2.2:9, "ab".
    fn datagram(checksum: u16) -> Packet {
        let mut bytes = vec![0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 99, 1, 2, 10, 99, 2, 2];
        bytes.extend([3, 232, 0, 9, 0, 10]);
        bytes.extend(checksum.to_be_bytes());
        bytes.extend(*b"ab");
        Packet::from_network(0x0800, &bytes)
    }

    #[test]
    fn a_wrong_one_is_told_with_the_right_one() {
        let (has, right) = wrong(&datagram(0x1234)).unwrap();
        assert_eq!(has, 0x1234);
        assert_eq!(wrong(&datagram(right)), None);
        assert_eq!(wrong(&datagram(0)), None, "none at all");
        let mut short = datagram(0x1234);
        short.bytes.pop();
        assert_eq!(wrong(&short), None, "not all of it is known");
    }

    #[test]
    fn one_that_the_device_fills_in_is_not_wrong() {
        let packet = datagram(0);
        let partial = fold(pseudo(&packet, 17, 10).unwrap());
        assert_eq!(wrong(&datagram(partial)), None);
    }
}
