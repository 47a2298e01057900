//! Events and packets, good, lying and random.

use std::net::{IpAddr, Ipv4Addr};

use tracer_common::{HEAD_MAC, HEAD_NETWORK, HEAD_NONE, Plain};

use super::*;

const TCP_SYN: [u8; 40] = [
    0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 99, 1, 2, 10, 99, 2, 2, // IPv4
    0xa0, 0x3e, 0x28, 0x0a, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0, // TCP
];

fn event(head_kind: u8, head: &[u8]) -> DropEvent {
    let mut event: DropEvent = read_plain(&[0; size_of::<DropEvent>()]).unwrap();
    event.kind = DROP_EVENT;
    event.ethertype = 0x0800;
    event.head_kind = head_kind;
    event.head_length = head.len() as u16;
    event.head[..head.len()].copy_from_slice(head);
    event
}

#[test]
fn a_syn_is_read_with_and_without_link_layer_header() {
    let mut framed = vec![0u8; 12];
    framed.extend([0x08, 0x00]);
    framed.extend(TCP_SYN);
    for (kind, head) in [(HEAD_NETWORK, &TCP_SYN[..]), (HEAD_MAC, &framed[..])] {
        let headers = decode(event(kind, head).as_bytes()).unwrap().headers;
        assert_eq!(headers.source, Some(IpAddr::V4(Ipv4Addr::new(10, 99, 1, 2))));
        assert_eq!((headers.source_port, headers.destination_port), (Some(41022), Some(10250)));
        assert_eq!(headers.tcp_flags.unwrap().to_string(), "S");
        assert_eq!((headers.ttl, headers.protocol), (Some(64), Some(6)));
    }
}

#[test]
fn vlan_tags_in_the_frame_are_taken_off() {
    let mut framed = vec![0u8; 12];
    framed.extend([0x81, 0x00, 0x00, 77, 0x08, 0x00]);
    framed.extend(TCP_SYN);
    let headers = decode(event(HEAD_MAC, &framed).as_bytes()).unwrap().headers;
    assert_eq!((headers.vlan, headers.destination_port), (Some(77), Some(10250)));
}

#[test]
fn ipv6_extension_headers_are_followed_and_bounded() {
    let mut head = vec![0x60, 0, 0, 0, 0, 24, 0, 64];
    head.extend([0xfd; 16]);
    head.extend([0xfe; 16]);
    head.extend([17, 0, 1, 4, 0, 0, 0, 0]); // hop-by-hop, next UDP
    head.extend([0, 53, 0x10, 0x00, 0, 8, 0, 0]);
    let mut v6 = event(HEAD_NETWORK, &head);
    v6.ethertype = 0x86dd;
    let headers = decode(v6.as_bytes()).unwrap().headers;
    assert_eq!((headers.protocol, headers.source_port, headers.destination_port), (Some(17), Some(53), Some(4096)));

    let mut endless = head[..40].to_vec();
    endless.extend([0u8; 80]); // hop-by-hop headers pointing at hop-by-hop headers
    assert_eq!(parse(HEAD_NETWORK, 0x86dd, &endless).source_port, None);
}

#[test]
fn later_fragments_have_no_ports() {
    let mut head = TCP_SYN;
    head[7] = 3;
    let headers = parse(HEAD_NETWORK, 0x0800, &head);
    assert!(headers.later_fragment);
    assert_eq!(headers.destination_port, None);
}

#[test]
fn lying_header_lengths_only_shorten_what_is_known() {
    let mut head = TCP_SYN;
    head[0] = 0x4f;
    assert_eq!(parse(HEAD_NETWORK, 0x0800, &head).destination_port, None);
    head[0] = 0x44;
    assert_eq!(parse(HEAD_NETWORK, 0x0800, &head).destination_port, None);
    head[0] = 0x55;
    assert_eq!(parse(HEAD_NETWORK, 0x0800, &head).source, None);
}

#[test]
fn short_and_unknown_events_are_errors() {
    assert_eq!(decode(&[]), Err(DecodeError::Short(0)));
    let mut event = event(HEAD_NONE, &[]);
    assert_eq!(decode(&event.as_bytes()[..100]), Err(DecodeError::Short(100)));
    event.flags = FLAG_STACK;
    assert!(matches!(decode(event.as_bytes()), Err(DecodeError::Short(_))));
    event.kind = 9;
    assert_eq!(decode(event.as_bytes()), Err(DecodeError::Kind(9)));
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..200_000_u32 {
        let mut head = [0u8; HEAD_LENGTH];
        for byte in &mut head {
            *byte = random() as u8;
        }
        if round % 2 == 0 {
            head[0] = if round % 4 == 0 { 0x45 } else { 0x60 };
        }
        let length = random() as usize % (HEAD_LENGTH + 1);
        let ethertype = [0x0800, 0x86dd, 0x0806, 0x8100, random() as u16][random() as usize % 5];
        let headers = parse((round % 4) as u8, ethertype, &head[..length]);
        assert!(headers.source.is_none() || length >= 20, "an address out of {length} bytes");
    }
}

#[test]
fn random_events_are_decoded_or_refused() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..50_000_u32 {
        let length = random() as usize % (size_of::<StackedDropEvent>() + 32);
        let mut bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if round % 2 == 0 && length > 1 {
            bytes[..2].copy_from_slice(&DROP_EVENT.to_ne_bytes());
        }
        match decode(&bytes) {
            Ok(dropped) => {
                assert!(dropped.stack.len() <= tracer_common::STACK_FRAMES);
                let _any = dropped.connection();
                decoded += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(decoded > 1000 && refused > 1000, "{decoded} decoded, {refused} refused");
}

/// A connection to a service, whose destination is translated.
fn tracked(family: u16, address: fn(u8) -> [u32; 4]) -> DropEvent {
    let tuple = |source, destination, ports: (u16, u16)| tracer_common::Tuple {
        source: address(source),
        destination: address(destination),
        source_port: ports.0,
        destination_port: ports.1,
        family,
        protocol: 6,
        direction: 0,
    };
    let mut event = event(HEAD_NONE, &[]);
    event.conntrack = 2 | tracer_common::ENTRY;
    event.connection = tracer_common::Connection {
        mark: 42,
        status: 0x20,
        zone: 3,
        pad: 0,
        original: tuple(1, 2, (40000, 443)),
        reply: tuple(3, 1, (6443, 40000)),
    };
    event
}

fn ipv4(last: u8) -> [u32; 4] {
    [u32::from_ne_bytes([10, 0, 0, last]), 0, 0, 0]
}

fn ipv6(last: u8) -> [u32; 4] {
    [u32::from_ne_bytes([0xfd, 0, 0, 0]), 0, 0, u32::from_ne_bytes([0, 0, 0, last])]
}

#[test]
fn both_directions_of_a_connection_are_read_in_both_families() {
    for (family, address, prefix) in [(2, ipv4 as fn(u8) -> _, "10.0.0."), (10, ipv6, "fd00::")] {
        let connection = decode(tracked(family, address).as_bytes()).unwrap().connection().unwrap();
        assert_eq!((connection.mark, connection.status, connection.zone), (42, 0x20, 3));
        let ends = |tuple: &Tuple| (tuple.source.to_string(), tuple.destination.to_string());
        assert_eq!(ends(&connection.original), (format!("{prefix}1"), format!("{prefix}2")));
        assert_eq!((connection.original.source_port, connection.original.destination_port), (40000, 443));
        assert_eq!(ends(&connection.reply), (format!("{prefix}3"), format!("{prefix}1")));
        assert_eq!((connection.reply.source_port, connection.reply.destination_port), (6443, 40000));
    }
}

#[test]
fn without_an_entry_or_with_an_empty_one_there_is_no_connection() {
    let mut untracked = tracked(2, ipv4);
    untracked.conntrack = 7;
    assert_eq!(decode(untracked.as_bytes()).unwrap().connection(), None);
    // A template, or a kernel whose tuples could not be found.
    assert_eq!(decode(tracked(0, ipv4).as_bytes()).unwrap().connection(), None);
    assert_eq!(decode(tracked(7, ipv4).as_bytes()).unwrap().connection(), None, "a family without addresses");
}
