//! What is wrong with a packet, computed from its own bytes (RFC 791, 8200, 768, 9293, 792, 4443, 1071).
//!
//! Rule: only what the bytes at hand show is said; a checksum over more bytes than there are is not computed. Nothing is
//! read from the machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::head::word;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// IPv6 extension headers followed at most.
const MOST_EXTENSIONS: usize = 8;
/// IPv4 options looked at: a header has room for 40 bytes.
const MOST_OPTIONS: usize = 40;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The header of a protocol (`IPv4 header`, `TCP`) has one checksum and should have another.
    Checksum { of: &'static str, found: u16, right: u16 },
    /// Anything else, as a sentence about the packet: `its IPv4 version field is 5`.
    Header(String),
}

/// The packet from its network header on, `ethertype` as the kernel has it, and the bytes that came if that is known.
pub(super) fn faults(packet: &[u8], ethertype: u16, came: Option<u32>) -> Vec<Fault> {
    let mut faults = Vec::new();
    match ethertype {
        0x0800 => ipv4(packet, came, &mut faults),
        0x86dd => ipv6(packet, came, &mut faults),
        _ => None,
    };
    faults
}

fn wrong(faults: &mut Vec<Fault>, text: String) {
    faults.push(Fault::Header(text));
}

fn ipv4(packet: &[u8], came: Option<u32>, faults: &mut Vec<Fault>) -> Option<()> {
    if packet.len() < IPV4_HEADER {
        wrong(faults, format!("it has {} bytes, and an IPv4 header alone has {IPV4_HEADER}", packet.len()));
        return None;
    }
    let first = *packet.first()?;
    if first >> 4 != 4 {
        wrong(faults, format!("its version field is {}, not 4", first >> 4));
        return None;
    }
    let length = usize::from(first & 0xf) * 4;
    if length < IPV4_HEADER {
        wrong(faults, format!("its IPv4 header length is {length} bytes, below {IPV4_HEADER}"));
        return None;
    }
    let total = word(packet, 2)?;
    if usize::from(total) < length {
        wrong(faults, format!("its total length is {total}, below its header length {length}"));
    } else if let Some(came) = came.filter(|came| *came < u32::from(total)) {
        wrong(faults, format!("its IPv4 header says {total} bytes, {came} came"));
    }
    let header = packet.get(..length)?;
    let found = word(header, 10)?;
    let right = without(header, 10, 0);
    if found != right {
        faults.push(Fault::Checksum { of: "IPv4 header", found, right });
    }
    options(header.get(IPV4_HEADER..)?, faults);
    let source = Ipv4Addr::from_bits(super::head::double(header, 12)?);
    if source.is_multicast() || source.is_broadcast() {
        wrong(faults, format!("its source {source} is a multicast or broadcast address"));
    }
    if word(header, 6)? & 0x3fff != 0 {
        return None;
    }
    let body = packet.get(length..)?;
    let claimed = usize::from(total).checked_sub(length)?;
    let pseudo = sum(packet.get(12..IPV4_HEADER)?);
    transport(*header.get(9)?, body, claimed, pseudo, faults);
    Some(())
}

/// Each option has its kind, and all but two have their length, and some a pointer (RFC 791 section 3.1).
fn options(options: &[u8], faults: &mut Vec<Fault>) -> Option<()> {
    let mut at = 0;
    for _ in 0..MOST_OPTIONS {
        let kind = *options.get(at)?;
        match kind {
            0 => return None,
            1 => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let length = usize::from(options.get(at + 1).copied().unwrap_or_default());
        if length < 2 || at + length > options.len() {
            wrong(faults, format!("its IPv4 option {kind} says {length} bytes, {} are there", options.len() - at));
            return None;
        }
        // Record route, the two source routes and timestamp begin with a pointer.
        let least = match kind {
            7 | 131 | 137 => 3,
            68 => 4,
            _ => 2,
        };
        let pointer = options.get(at + 2).copied().filter(|_| least > 2);
        if length < least {
            wrong(faults, format!("its IPv4 option {kind} has {length} bytes, it needs {least}"));
        } else if let Some(pointer) = pointer.filter(|pointer| usize::from(*pointer) <= least) {
            wrong(faults, format!("its IPv4 option {kind} has pointer {pointer}, the least is {}", least + 1));
        }
        at += length;
    }
    None
}

fn ipv6(packet: &[u8], came: Option<u32>, faults: &mut Vec<Fault>) -> Option<()> {
    if packet.len() < IPV6_HEADER {
        wrong(faults, format!("it has {} bytes, and an IPv6 header alone has {IPV6_HEADER}", packet.len()));
        return None;
    }
    let first = *packet.first()?;
    if first >> 4 != 6 {
        wrong(faults, format!("its version field is {}, not 6", first >> 4));
        return None;
    }
    let payload = word(packet, 4)?;
    let whole = u32::from(payload) + 40;
    if let Some(came) = came.filter(|came| *came < whole) {
        wrong(faults, format!("its IPv6 header says {payload} bytes of payload, {} came", came.saturating_sub(40)));
    }
    let source = Ipv6Addr::from(*packet.get(8..24)?.first_chunk::<16>()?);
    let destination = Ipv6Addr::from(*packet.get(24..IPV6_HEADER)?.first_chunk::<16>()?);
    if source.is_multicast() {
        wrong(faults, format!("its source {source} is a multicast address"));
    }
    for (address, role) in [(source, "source"), (destination, "destination")] {
        if address.is_loopback() {
            wrong(faults, format!("its {role} is ::1, which does not travel between machines"));
        }
    }
    let (mut next, mut at) = (*packet.get(6)?, IPV6_HEADER);
    let end = IPV6_HEADER + usize::from(payload);
    for _ in 0..MOST_EXTENSIONS {
        if !matches!(next, 0 | 43 | 60) {
            break;
        }
        let length = 8 * (usize::from(*packet.get(at + 1)?) + 1);
        if at + length > end {
            let left = end.saturating_sub(at);
            wrong(faults, format!("its IPv6 extension header {next} says {length} bytes, {left} are left"));
            return None;
        }
        if next != 43 {
            tlvs(next, packet.get(at + 2..(at + length).min(packet.len()))?, faults);
        }
        next = *packet.get(at)?;
        at += length;
    }
    let body = packet.get(at..)?;
    let claimed = end.checked_sub(at)?;
    let pseudo = sum(packet.get(8..IPV6_HEADER)?);
    transport(next, body, claimed, pseudo, faults);
    Some(())
}

/// Options of a hop-by-hop or destination header; those that nobody has to know begin with two zero bits (RFC 8200 4.2).
fn tlvs(header: u8, options: &[u8], faults: &mut Vec<Fault>) -> Option<()> {
    let mut at = 0;
    for _ in 0..options.len() {
        let kind = *options.get(at)?;
        if kind == 0 {
            at += 1;
            continue;
        }
        let length = usize::from(*options.get(at + 1)?) + 2;
        if at + length > options.len() {
            wrong(faults, format!("option {kind:#04x} of its IPv6 header {header} is longer than the header"));
            return None;
        }
        if kind >> 6 != 0 && !matches!(kind, 0xc2 | 0xc9) {
            wrong(faults, format!("option {kind:#04x} of its IPv6 header {header} must be known to whoever gets it"));
        }
        at += length;
    }
    None
}

fn transport(protocol: u8, body: &[u8], claimed: usize, addresses: u32, faults: &mut Vec<Fault>) -> Option<()> {
    let (name, least, at) = match protocol {
        TCP => ("TCP", 20, 16),
        UDP => ("UDP", 8, 6),
        ICMP => ("ICMP", 8, 2),
        ICMPV6 => ("ICMPv6", 4, 2),
        _ => return None,
    };
    if claimed < least {
        wrong(faults, format!("it has {claimed} bytes for its {name} header, which needs {least}"));
        return None;
    }
    let mut covered = claimed;
    if protocol == TCP {
        let offset = usize::from(*body.get(12)? >> 4) * 4;
        if offset < least || offset > claimed {
            wrong(faults, format!("its TCP data offset is {offset} bytes, of {claimed}; the least is {least}"));
        }
    }
    if protocol == UDP {
        covered = usize::from(word(body, 4)?);
        if covered < least || covered > claimed {
            wrong(faults, format!("its UDP length is {covered}, and {claimed} bytes are there"));
            return None;
        }
    }
    let found = word(body, at)?;
    if protocol == UDP && found == 0 {
        return None;
    }
    let bytes = body.get(..covered)?;
    let pseudo = match protocol {
        ICMP => 0,
        _ => addresses + u32::from(protocol) + u32::try_from(covered).ok()?,
    };
    let mut right = without(bytes, at, pseudo);
    if protocol == UDP && right == 0 {
        right = 0xffff;
    }
    if found != right {
        faults.push(Fault::Checksum { of: name, found, right });
    }
    Some(())
}

/// Words summed; far below overflow for the lengths that packets have.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(0, |sum, pair| {
        let high = pair.first().map_or(0, |byte| u32::from(*byte) << 8);
        sum + high + pair.get(1).map_or(0, |byte| u32::from(*byte))
    })
}

/// The Internet checksum with the field at `at` taken for zero.
fn without(bytes: &[u8], at: usize, more: u32) -> u16 {
    let field = word(bytes, at).map_or(0, u32::from);
    let mut total = sum(bytes) - field + more;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10.0.0.1:1000 > 10.0.0.2:2000 "ab" by UDP, summed by hand.
    fn datagram() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let right = without(&packet, 10, 0).to_be_bytes();
        packet[10..12].copy_from_slice(&right);
        packet.extend([3, 232, 7, 208, 0, 10, 0x7e, 0xbd, b'a', b'b']);
        packet
    }

    fn text(packet: &[u8], came: u32) -> Vec<String> {
        faults(packet, 0x0800, Some(came))
            .into_iter()
            .map(|fault| match fault {
                Fault::Header(text) => text,
                Fault::Checksum { of, found, right } => format!("{of} {found:#06x} {right:#06x}"),
            })
            .collect()
    }

    #[test]
    fn a_right_packet_has_no_fault() {
        assert_eq!(faults(&datagram(), 0x0800, Some(30)), []);
    }

    #[test]
    fn checksums_are_told_with_the_right_ones() {
        let mut packet = datagram();
        packet[26..28].copy_from_slice(&[0xde, 0xad]);
        assert_eq!(text(&packet, 30), ["UDP 0xdead 0x7ebd"]);
        packet[26..28].copy_from_slice(&[0, 0]);
        assert_eq!(text(&packet, 30), [""; 0], "without a checksum");
        let mut packet = datagram();
        let right = word(&packet, 10).unwrap();
        packet[10..12].copy_from_slice(&[0xde, 0xad]);
        assert_eq!(text(&packet, 30), [format!("IPv4 header 0xdead {right:#06x}")]);
    }

    #[test]
    fn each_field_is_told() {
        let packet = datagram();
        assert_eq!(text(&packet[..4], 4), ["it has 4 bytes, and an IPv4 header alone has 20"]);
        assert_eq!(text(&packet, 29), ["its IPv4 header says 30 bytes, 29 came"]);
        let with = |at: usize, byte: u8| {
            let mut packet = datagram();
            packet[at] = byte;
            text(&packet, 30).into_iter().find(|fault| !fault.starts_with("IPv4 header")).unwrap()
        };
        assert_eq!(with(0, 0x55), "its version field is 5, not 4");
        assert_eq!(with(0, 0x44), "its IPv4 header length is 16 bytes, below 20");
        assert_eq!(with(12, 224), "its source 224.0.0.1 is a multicast or broadcast address");
        assert_eq!(with(25, 200), "its UDP length is 200, and 10 bytes are there");
    }

    #[test]
    fn options_are_told() {
        let mut faults = Vec::new();
        options(&[0x44, 3, 5, 0], &mut faults);
        assert_eq!(faults, [Fault::Header("its IPv4 option 68 has 3 bytes, it needs 4".into())]);
        faults.clear();
        options(&[7, 9, 4, 0], &mut faults);
        assert_eq!(faults, [Fault::Header("its IPv4 option 7 says 9 bytes, 4 are there".into())]);
        faults.clear();
        options(&[1, 1, 1, 0], &mut faults);
        assert_eq!(faults, []);
    }

    #[test]
    fn ipv6_headers_are_told() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 0, 64];
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend([17, 5, 1, 4, 0, 0, 0, 0]);
        let found = faults(&packet, 0x86dd, Some(48));
        let said = |part: &str| found.iter().any(|fault| matches!(fault, Fault::Header(text) if text.contains(part)));
        assert!(said("its source is ::1") && said("extension header 0 says 48 bytes, 8 are left"), "{found:?}");
        packet[41] = 0;
        packet[42] = 0x80;
        assert!(
            matches!(&faults(&packet, 0x86dd, Some(48))[1], Fault::Header(text) if text.starts_with("option 0x80"))
        );
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let mut state = 7u64;
        for round in 0..50_000_usize {
            let mut packet = datagram();
            packet.resize(128, 0x45);
            for byte in &mut packet {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if state >> 61 == 0 {
                    *byte = (state >> 33) as u8;
                }
            }
            packet.truncate(round % 129);
            let _ = faults(&packet, 0x0800, Some(30));
            let _ = faults(&packet, 0x86dd, None);
        }
    }
}
