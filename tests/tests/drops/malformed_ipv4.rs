//! IPv4 packets that are not right.

use anyhow::Result;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, TCP, UDP};
use tracer_tests::{Expect, Family, Story};

use crate::frames::{Case, ends, ethernet4, flow, names_each};

fn header(protocol: u8) -> Ipv4 {
    Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, protocol)
}

fn datagram(ports: (u16, u16)) -> Vec<u8> {
    let (source, destination) = ends(Family::V4);
    frame::udp(source, destination, ports, b"hello")
}

fn syn(ports: (u16, u16)) -> Vec<u8> {
    let (source, destination) = ends(Family::V4);
    frame::tcp(source, destination, ports, frame::SYN)
}

#[test]
fn header_fields() -> Result<()> {
    let udp = |port| flow("udp", Family::V4, (1234, port));
    let checksum = Ipv4 { checksum: Some(0xdead), ..header(UDP) }.build(&datagram((1234, 1)));
    let version = Ipv4 { version: 5, ..header(UDP) }.build(&datagram((1234, 2)));
    let words = Ipv4 { header_words: Some(4), ..header(UDP) }.build(&datagram((1234, 3)));
    let total = Ipv4 { total_length: Some(200), ..header(UDP) }.build(&datagram((1234, 4)));
    // A timestamp option of three bytes: it must have four.
    let option = Ipv4 { options: vec![0x44, 3, 5, 0], ..header(UDP) }.build(&datagram((1234, 5)));
    let source_route = Ipv4 { options: source_route(), ..header(UDP) }.build(&datagram((1234, 6)));
    let core: &[&str] = &["ip_rcv_core"];
    let finish: &[&str] = &["ip_rcv_finish_core", "ip_rcv_finish"];
    let cases = [
        Case::new(ethernet4(&checksum), &["IP_CSUM"], core).of(&udp(1)).cause("checksum").hook("prerouting"),
        Case::new(ethernet4(&total), &["PKT_TOO_SMALL"], core).of(&udp(4)).hook("prerouting"),
        Case::new(ethernet4(&option), &["IP_INHDR"], finish).of(&udp(5)),
        Case::new(ethernet4(&source_route), &["NOT_SPECIFIED"], finish).between(&udp(6)),
        // What these three are cannot be told from their headers, so they are one kind of drop.
        Case::new(ethernet4(&version), &["IP_INHDR"], core).also(ethernet4(&words)).also(ethernet4(&[0x45, 0, 0, 20])),
    ];
    names_each(&topology::pair()?, &cases)
}

/// Loose source route by way of one router, padded (RFC 791 section 3.1).
fn source_route() -> Vec<u8> {
    vec![131, 7, 4, 10, 99, 2, 2, 0]
}

#[test]
fn transport() -> Result<()> {
    let tcp = |port| flow("tcp", Family::V4, (1234, port));
    let udp = |port| flow("udp", Family::V4, (1234, port));
    let bad_tcp = header(TCP).build(&frame::corrupt(syn((1234, 80)), frame::TCP_CHECKSUM));
    let bad_udp = header(UDP).build(&frame::corrupt(datagram((1234, 9)), frame::UDP_CHECKSUM));
    let mut small_offset = syn((1234, 81));
    small_offset[12] = 2 << 4;
    let ports_only = syn((1234, 82))[..4].to_vec();
    let mut long = datagram((1234, 10));
    long[4..6].copy_from_slice(&200_u16.to_be_bytes());
    let cases = [
        Case::new(ethernet4(&bad_tcp), &["TCP_CSUM"], &["tcp_v4_rcv"]).of(&tcp(80)).cause("checksum"),
        Case::new(ethernet4(&bad_udp), &["UDP_CSUM"], &["__udp4_lib_rcv", "udp_rcv"]).of(&udp(9)).cause("checksum"),
        Case::new(ethernet4(&header(TCP).build(&small_offset)), &["PKT_TOO_SMALL"], &["tcp_v4_rcv"]).of(&tcp(81)),
        Case::new(ethernet4(&header(TCP).build(&ports_only)), &["NOT_SPECIFIED"], &["tcp_v4_rcv"]).between(&tcp(82)),
        Case::new(ethernet4(&header(UDP).build(&long)), &["PKT_TOO_SMALL"], &["__udp4_lib_rcv", "udp_rcv"])
            .of(&udp(10)),
    ];
    names_each(&topology::pair()?, &cases.map(|case| case.hook("socket")))
}

#[test]
fn icmp() -> Result<()> {
    let (source, destination) = ends(Family::V4);
    let flow = flow("icmp", Family::V4, (0, 0));
    let echo = frame::icmp(source, destination, 8, 0, &[0, 1, 0, 1]);
    let bad = header(frame::ICMP).build(&frame::corrupt(echo, frame::ICMP_CHECKSUM));
    let unknown = header(frame::ICMP).build(&frame::icmp(source, destination, 99, 0, &[0; 4]));
    let cases = [
        Case::new(ethernet4(&bad), &["ICMP_CSUM"], &["icmp_rcv"]).of(&flow).cause("checksum"),
        Case::new(ethernet4(&unknown), &["UNHANDLED_PROTO"], &["icmp_rcv"]).of(&flow),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn unknown_protocol() -> Result<()> {
    let flow = flow("253", Family::V4, (0, 0));
    let freed_in = &["ip_local_deliver_finish", "ip_protocol_deliver_rcu"];
    let case = Case::new(ethernet4(&header(253).build(b"hello")), &["IP_NOPROTO"], freed_in).of(&flow);
    names_each(&topology::pair()?, &[case])
}

#[test]
fn unknown_ethertype() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    // IEEE 802 local experimental ethertype 1.
    let frame = frame::ethernet(S0_MAC, C0_MAC, 0x88b5, b"hello hello hello");
    lab.client.run(|| tracer_tests::traffic::raw::Interface::sender("c0")?.send(&frame))?;
    let wanted = Expect::drop("UNHANDLED_PROTO").hook("ingress").interface("s0").netns(&lab.server)?;
    let wanted = wanted.with(tracer_tests::event::key::FAMILY, "other");
    story.names(wanted.freed_in(&["__netif_receive_skb_core"]), 1)?;
    story.end().map(drop)
}
