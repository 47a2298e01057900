//! Matches that look at the packet's bytes.

use super::*;
use Truth::{No, Yes};

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_ne_bytes(), to.to_ne_bytes()].concat()
}

fn tcp(source: Vec<u8>, destination: Vec<u8>, rest: [u8; 4]) -> Match {
    decode4("tcp", 0, &[source, destination, rest.to_vec()].concat())
}

fn all() -> Vec<u8> {
    ports(0, u16::MAX)
}

#[test]
fn ports_flags_and_options_of_tcp() {
    assert_eq!(ask(&tcp(all(), ports(22, 22), [0; 4]), &syn()), Yes);
    assert_eq!(ask(&tcp(all(), ports(22, 22), [0, 0, 0, 2]), &syn()), No, "! --dport 22");
    assert_eq!(ask(&tcp(ports(1, 3999), all(), [0; 4]), &syn()), No);
    assert_eq!(ask(&tcp(all(), all(), [0, 0x17, 0x02, 0]), &syn()), Yes, "--syn");
    assert_eq!(ask(&tcp(all(), all(), [0, 0x17, 0x02, 4]), &syn()), No, "! --syn");
    assert_eq!(ask(&tcp(all(), all(), [4, 0, 0, 0]), &syn()), Yes, "SACK is behind MSS");
    assert_eq!(ask(&tcp(all(), all(), [5, 0, 0, 0]), &syn()), No);
    assert_eq!(ask(&tcp(all(), all(), [5, 0, 0, 8]), &syn()), Yes);
}

#[test]
fn what_was_not_kept_is_not_what_is_not_there() {
    let mut short = syn();
    short.bytes.truncate(30);
    assert_eq!(ask(&tcp(all(), ports(22, 22), [0; 4]), &short), Yes, "the ports were kept");
    assert_eq!(ask(&tcp(all(), all(), [0, 0x17, 0x02, 0]), &short), Truth::unknown("the TCP flags"));
    assert_eq!(ask(&tcp(all(), ports(23, 23), [0, 0x17, 0x02, 0]), &short), No, "the port decides");
    short.length = Some(30);
    assert_eq!(ask(&tcp(all(), all(), [0; 4]), &short), No, "the header is cut off");
    let mut later = syn();
    (later.fragment_offset, later.transport) = (100, None);
    assert_eq!(ask(&tcp(all(), all(), [0; 4]), &later), No, "a later fragment has no TCP header");
    let mut told = syn();
    (told.bytes, told.network, told.transport, told.length) = (Vec::new(), None, None, None);
    (told.source_port, told.destination_port) = (Some(4000), Some(22));
    assert_eq!(ask(&tcp(all(), ports(22, 22), [0; 4]), &told), Yes, "ports without bytes");
}

#[test]
fn lists_of_ports() {
    let multiport = |flags: u8, invert: u8| {
        let mut data = vec![flags, 3];
        data.extend_from_slice(&[ports(20, 25), ports(80, 0)].concat());
        data.resize(32, 0);
        data.push(1);
        data.resize(47, 0);
        data.push(invert);
        decode4("multiport", 1, &data)
    };
    assert_eq!(ask(&multiport(1, 0), &syn()), Yes, "22 is between 20 and 25");
    assert_eq!(ask(&multiport(0, 0), &syn()), No);
    assert_eq!(ask(&multiport(2, 1), &syn()), No);
}

#[test]
fn fields_of_the_ip_header() {
    let length = |from, to| decode4("length", 0, &ports(from, to));
    assert_eq!((ask(&length(48, 48), &syn()), ask(&length(49, 99), &syn())), (Yes, No));
    assert_eq!(ask(&decode4("dscp", 0, &[0x2e, 0]), &syn()), Yes);
    assert_eq!(ask(&decode4("dscp", 0, &[0x2e, 1]), &syn()), No);
    assert_eq!(ask(&decode4("tos", 1, &[0x0f, 0x08, 0]), &syn()), Yes);
    assert_eq!(ask(&decode4("ttl", 0, &[2, 65]), &syn()), Yes, "less than 65");
    assert_eq!(ask(&decode4("ttl", 0, &[1, 64]), &syn()), No, "not 64");
    assert_eq!(ask(&decode4("tcpmss", 0, &ports(1, 1460)), &syn()), Yes);
    assert_eq!(ask(&decode4("tcpmss", 0, &ports(1, 1459)), &syn()), No);
    assert_eq!(ask(&decode4("ecn", 0, &[0x10, 0, 0]), &syn()), No, "no ECE");
    assert_eq!(ask(&decode4("ecn", 0, &[0x11, 0x10, 0]), &syn()), Yes, "ECT 0 and no ECE");
}

#[test]
fn text_in_a_packet() {
    let text = |to: u16, pattern: &[u8], flags: u8| {
        let mut data = ports(0, to);
        data.resize(20, 0);
        data.extend_from_slice(pattern);
        data.resize(148, 0);
        data.extend_from_slice(&[pattern.len() as u8, flags]);
        decode4("string", 1, &data)
    };
    assert_eq!(ask(&text(u16::MAX, &[10, 0, 0, 1], 0), &syn()), Yes);
    assert_eq!(ask(&text(15, &[10, 0, 0, 1], 0), &syn()), No, "it ends behind 15");
    assert_eq!(ask(&text(u16::MAX, b"no such", 1), &syn()), Yes, "inverted");
    let mut long = syn();
    long.length = Some(1500);
    assert_eq!(ask(&text(u16::MAX, b"no such", 1), &long), Truth::unknown("text that was not kept (string)"));
    assert_eq!(ask(&text(48, b"no such", 0), &long), No, "all of where it may stand was kept");
}

/// IPv6 with a hop-by-hop header (router alert), a routing header of type 0 by one address, and UDP.
fn with_extension_headers() -> Packet {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 40, 0, 64];
    bytes.extend_from_slice(&[0xfd; 32]);
    bytes.extend_from_slice(&[43, 0, 5, 2, 0, 0, 1, 0]);
    bytes.extend_from_slice(&[17, 2, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0xfe; 16]);
    bytes.extend_from_slice(&[0, 53, 0, 53, 0, 8, 0, 0]);
    packet(&bytes, 72)
}

#[test]
fn extension_headers() {
    let packet = with_extension_headers();
    let decode6 = |name, start: &[u8]| decode(name, 0, Family::Ip6, start);
    let word = |number: u32| number.to_ne_bytes();
    let rt = |kind: u32, from: u32, to: u32| {
        decode6("rt", &[word(kind), word(from), word(to), word(24), [5, 0, 0, 0]].concat())
    };
    assert_eq!((ask(&rt(0, 1, 1), &packet), ask(&rt(0, 2, 9), &packet), ask(&rt(2, 1, 1), &packet)), (Yes, No, No));
    let options = |name, kind: u16| {
        let start = [&word(8)[..], &[3, 0], &(kind << 8 | 0xff).to_ne_bytes(), &[0; 30], &[1]].concat();
        decode6(name, &start)
    };
    assert_eq!((ask(&options("hbh", 5), &packet), ask(&options("hbh", 6), &packet)), (Yes, No));
    assert_eq!(ask(&options("dst", 5), &packet), No, "there are no destination options");
    assert_eq!(ask(&decode6("frag", &[word(0), word(u32::MAX)].concat()), &packet), No);
    let headers = |bits, soft| decode6("ipv6header", &[bits, 0, soft]);
    assert_eq!((ask(&headers(128 | 32 | 1, 0), &packet), ask(&headers(128, 0), &packet)), (Yes, No));
    assert_eq!((ask(&headers(128, 1), &packet), ask(&headers(16, 1), &packet)), (Yes, No));
    let mut short = packet;
    short.bytes.truncate(50);
    assert_eq!(ask(&rt(0, 1, 1), &short), Truth::unknown("the routing header"));
}
