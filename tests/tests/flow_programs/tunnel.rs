//! Packets in packets, and frames that are not as frames mostly are.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use tracer_common::{
    AttemptCounter, AttemptKey, PORT_DNS, PORT_GENEVE, PORT_VXLAN, TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_NONE,
    TUNNEL_VXLAN,
};
use tracer_tests::topology::{C0_MAC, SERVER};
use tracer_tests::traffic::frame::{self, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Family, eventually};

use crate::lab::{Lab, S0_MAC, ends, ethertype, frame_out, packet, words};

const PORTS: [(u16, u64); 3] = [(4789, PORT_VXLAN), (6081, PORT_GENEVE), (53, PORT_DNS)];

fn segment(from: IpAddr, to: IpAddr, port: u16, flags: u8) -> Vec<u8> {
    packet(from, to, frame::TCP, &frame::tcp(from, to, (40_000, port), flags))
}

fn datagram(from: IpAddr, to: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    packet(from, to, frame::UDP, &frame::udp(from, to, (50_000, port), payload))
}

fn inner_frame(packet: &[u8]) -> Vec<u8> {
    frame::ethernet(S0_MAC, C0_MAC, ethertype(packet), packet)
}

/// The header that says what it is, and the frame.
fn vxlan(inner: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner_frame(inner)].concat()
}

fn geneve(inner: &[u8]) -> Vec<u8> {
    // Two words of options.
    [&[2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 1, 0, 0, 0, 0][..], &inner_frame(inner)].concat()
}

#[test]
fn what_a_tunnel_carries_is_seen_as_in_a_tunnel() -> Result<()> {
    let lab = Lab::new(&PORTS)?;
    for (outer, inner) in [(Family::V4, Family::V4), (Family::V4, Family::V6), (Family::V6, Family::V4)] {
        let (from, to) = ends(outer);
        let (client, server) = (SERVER.ip(inner), ends(inner).0);
        let port = |number: u16| number + outer.pick(0, 10) + inner.pick(0, 20);
        let sent = |number: u16, flags| segment(client, server, port(number), flags);
        for flags in [frame::SYN, frame::ACK] {
            lab.send_out(&frame_out(&datagram(from, to, 4789, &vxlan(&sent(1000, flags)))))?;
            lab.send_out(&frame_out(&datagram(from, to, 6081, &geneve(&sent(1001, flags)))))?;
            let protocol = inner.pick(4, 41);
            lab.send_out(&frame_out(&packet(from, to, protocol, &sent(1002, flags))))?;
        }
        for (number, tunnel) in [(1000, TUNNEL_VXLAN), (1001, TUNNEL_GENEVE), (1002, TUNNEL_IPIP)] {
            eventually("the opener", || Ok(lab.watched.attempt(port(number)).is_ok()))?;
            let (key, attempt) = lab.watched.attempt(port(number))?;
            let AttemptKey { client: seen_client, server: seen_server, tunnel: seen, .. } = key;
            assert_eq!((seen_client, seen_server, seen), (words(client), words(server), tunnel));
            assert_eq!((attempt.opened, attempt.open_ttl), ([0, 1], 64));
        }
    }
    assert_eq!(lab.watched.attempts()?.len(), 9);
    assert_eq!(lab.watched.counter(AttemptCounter::Unreadable)?, 0);
    Ok(())
}

#[test]
fn one_tunnel_is_looked_into_and_no_second() -> Result<()> {
    let lab = Lab::new(&PORTS)?;
    let (from, to) = ends(Family::V4);
    let inner = vxlan(&segment(from, to, 443, frame::SYN));
    lab.send_out(&frame_out(&datagram(from, to, 4789, &vxlan(&datagram(from, to, 4789, &inner)))))?;
    let query = b"\x00\x05\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    lab.send_out(&frame_out(&datagram(from, to, 4789, &vxlan(&datagram(from, to, 53, query)))))?;
    eventually("the query", || Ok(lab.watched.query(5).is_ok()))?;
    assert_eq!(lab.watched.query(5)?.0.attempt.tunnel, TUNNEL_VXLAN);
    assert!(lab.watched.attempts()?.is_empty());
    Ok(())
}

#[test]
fn tags_options_extension_headers_and_fragments() -> Result<()> {
    let lab = Lab::new(&[])?;
    for family in Family::BOTH {
        let (client, server) = ends(family);
        let base = family.pick(2000, 3000);
        let plain = segment(client, server, base, frame::SYN);
        for (number, tag) in [(0, 0x8100_u16), (1, 0x88a8)] {
            let inner = segment(client, server, base + number, frame::SYN);
            let tagged = [&[0, 5][..], &ethertype(&inner).to_be_bytes(), &inner].concat();
            lab.send_out(&frame::ethernet(S0_MAC, C0_MAC, tag, &tagged))?;
        }
        let tcp = |number| frame::tcp(client, server, (40_000, base + number), frame::SYN);
        let odd = if let (IpAddr::V4(from), IpAddr::V4(to)) = (client, server) {
            let options = frame::Ipv4 { options: vec![1; 8], ..frame::Ipv4::new(from, to, frame::TCP) };
            let first = frame::Ipv4 { fragment: frame::MORE_FRAGMENTS, ..frame::Ipv4::new(from, to, frame::TCP) };
            let later = frame::Ipv4 { fragment: 3, ..frame::Ipv4::new(from, to, frame::TCP) };
            [options.build(&tcp(2)), first.build(&tcp(3)), later.build(&tcp(4))]
        } else {
            let hop_by_hop = [&[frame::TCP, 0, 1, 4, 0, 0, 0, 0][..], &tcp(2)].concat();
            let first = frame::fragment6(frame::TCP, 0, true, 1, &tcp(3));
            let later = frame::fragment6(frame::TCP, 3, false, 1, &tcp(4));
            [
                packet(client, server, 0, &hop_by_hop),
                packet(client, server, frame::FRAGMENT_HEADER, &first),
                packet(client, server, frame::FRAGMENT_HEADER, &later),
            ]
        };
        for odd in odd {
            lab.send_out(&frame_out(&odd))?;
        }
        for number in 0..4 {
            eventually("the opener", || Ok(lab.watched.attempt(base + number).is_ok()))?;
            let (key, attempt) = lab.watched.attempt(base + number)?;
            assert_eq!((key.client, key.server, key.tunnel), (words(client), words(server), TUNNEL_NONE));
            assert_eq!(attempt.opened, [0, 1]);
        }
        assert!(lab.watched.attempt(base + 4).is_err(), "a later fragment has no ports");
        assert_eq!(plain.len(), family.pick(40, 60));
    }
    Ok(())
}

/// With such a header the kernel keeps only the Ethernet header in the linear part of a large packet.
#[test]
fn headers_in_pages_are_read() -> Result<()> {
    const PACKET_VNET_HDR: i32 = 15;
    let lab = Lab::new(&[])?;
    for (namespace, device) in [(&lab.pair.client, "c0"), (&lab.pair.server, "s0")] {
        namespace.exec(&format!("ip link set {device} mtu 9000"))?;
    }
    let data = [7; 5000];
    for family in Family::BOTH {
        let (client, server) = ends(family);
        let ports = (40_000, family.pick(4004, 4006));
        let whole = frame::tcp_segment(client, server, &Segment { ports, data: &data, ..Segment::default() });
        let sent = [&[0; 10][..], &frame_out(&packet(client, server, frame::TCP, &whole))].concat();
        lab.pair.client.run(|| {
            let mut interface = Interface::sender("c0")?;
            let on = 1_i32;
            // SAFETY: an open socket, and an option of this size.
            let result = unsafe {
                let (level, size) = (libc::SOL_PACKET, size_of::<i32>() as libc::socklen_t);
                libc::setsockopt(interface.as_raw_fd(), level, PACKET_VNET_HDR, (&raw const on).cast(), size)
            };
            ensure!(result == 0, "no such header here: {}", std::io::Error::last_os_error());
            interface.send(&sent)
        })?;
        let (key, attempt) = lab.watched.attempt(ports.1)?;
        assert_eq!((key.client, attempt.opened), (words(client), [0, 1]));
    }
    Ok(())
}
