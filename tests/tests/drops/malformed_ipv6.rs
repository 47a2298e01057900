//! IPv6 packets that are not right.

use std::net::Ipv6Addr;

use anyhow::Result;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR};
use tracer_tests::traffic::frame::{self, ICMPV6, Ipv6, TCP, UDP};
use tracer_tests::{Expect, Family, Story, sysctl};

use crate::frames::{Case, between, ends, ethernet6, flow, names_each};

const CORE: &[&str] = &["ip6_rcv_core"];
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;

fn header(next: u8) -> Ipv6 {
    Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, next)
}

fn datagram(ports: (u16, u16)) -> Vec<u8> {
    let (source, destination) = ends(Family::V6);
    frame::udp(source, destination, ports, b"hello")
}

#[test]
fn addresses() -> Result<()> {
    let case = |source: Ipv6Addr, destination: Ipv6Addr| {
        let ends = (source.into(), destination.into());
        let datagram = frame::udp(ends.0, ends.1, (1234, 9), b"hello");
        let packet = Ipv6::new(source, destination, UDP).build(&datagram);
        Case::new(ethernet6(&packet), &["IP_INHDR"], CORE).hook("prerouting").of(&between("udp", ends, (1234, 9)))
    };
    let cases = [
        case(Ipv6Addr::LOCALHOST, NEIGHBOUR.v6),
        case(CLIENT.v6, Ipv6Addr::LOCALHOST),
        case(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5), NEIGHBOUR.v6),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn header_fields() -> Result<()> {
    let udp = |port| flow("udp", Family::V6, (1234, port));
    let length = Ipv6 { payload_length: Some(200), ..header(UDP) }.build(&datagram((1234, 1)));
    let version = Ipv6 { version: 5, ..header(UDP) }.build(&datagram((1234, 2)));
    let unknown = header(253).build(b"hello");
    let no_protocol = &["ip6_input_finish", "ip6_protocol_deliver_rcu"];
    let cases = [
        Case::new(ethernet6(&length), &["PKT_TOO_SMALL"], CORE).of(&udp(1)).hook("prerouting"),
        Case::new(ethernet6(&version), &["UNHANDLED_PROTO"], CORE),
        Case::new(ethernet6(&unknown), &["IP_NOPROTO"], no_protocol).of(&flow("253", Family::V6, (0, 0))),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn extension_headers() -> Result<()> {
    let udp = flow("udp", Family::V6, (1234, 3));
    // Says it is 48 bytes long and is 8; then an option that demands to be known; then routing type 0 (RFC 5095).
    let too_long = header(HOP_BY_HOP).build(&[UDP, 5, 1, 4, 0, 0, 0, 0]);
    let option = [&[UDP, 0, 0x80, 4, 0, 0, 0, 0][..], &datagram((1234, 3))].concat();
    let routing = [&[UDP, 2, 0, 1, 0, 0, 0, 0][..], &NEIGHBOUR.v6.octets(), &datagram((1234, 3))].concat();
    let cases = [
        Case::new(ethernet6(&too_long), &["NOT_SPECIFIED"], &["ipv6_parse_hopopts"]).between(&udp),
        Case::new(
            ethernet6(&header(DESTINATION_OPTIONS).build(&option)),
            &["UNHANDLED_PROTO"],
            &["ip6_tlvopt_unknown", "ip6_parse_tlv"],
        )
        .between(&udp),
        Case::new(ethernet6(&header(ROUTING).build(&routing)), &["NOT_SPECIFIED"], &["ipv6_rthdr_rcv"]).between(&udp),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn transport() -> Result<()> {
    let (source, destination) = ends(Family::V6);
    let tcp = flow("tcp", Family::V6, (1234, 80));
    let syn = frame::tcp(source, destination, (1234, 80), frame::SYN);
    let bad_tcp = header(TCP).build(&frame::corrupt(syn, frame::TCP_CHECKSUM));
    let bad_udp = header(UDP).build(&frame::corrupt(datagram((1234, 9)), frame::UDP_CHECKSUM));
    // RFC 8200 section 8.1 wants a checksum; the kernel takes the packet for one that no socket accepts.
    let mut none = datagram((1234, 10));
    none[frame::UDP_CHECKSUM..frame::UDP_CHECKSUM + 2].fill(0);
    let freed_in_udp = &["__udp6_lib_rcv", "udpv6_rcv"];
    let udp = |port| flow("udp", Family::V6, (1234, port));
    let cases = [
        Case::new(ethernet6(&bad_tcp), &["TCP_CSUM"], &["tcp_v6_rcv"]).of(&tcp).cause("checksum"),
        Case::new(ethernet6(&bad_udp), &["UDP_CSUM"], freed_in_udp).of(&udp(9)).cause("checksum"),
        Case::new(ethernet6(&header(UDP).build(&none)), &["NO_SOCKET"], freed_in_udp).of(&udp(10)),
    ];
    names_each(&topology::pair()?, &cases.map(|case| case.hook("socket")))
}

#[test]
fn icmp() -> Result<()> {
    let (source, destination) = ends(Family::V6);
    let flow = flow("icmpv6", Family::V6, (0, 0));
    let echo = frame::icmp(source, destination, 128, 0, &[0, 1, 0, 1]);
    let bad = header(ICMPV6).build(&frame::corrupt(echo, frame::ICMP_CHECKSUM));
    // For private experimentation (RFC 4443 section 2.1).
    let unknown = header(ICMPV6).build(&frame::icmp(source, destination, 200, 0, &[0; 4]));
    let cases = [
        Case::new(ethernet6(&bad), &["ICMP_CSUM"], &["icmpv6_rcv"]).of(&flow).cause("checksum"),
        Case::new(ethernet6(&unknown), &["NOT_SPECIFIED"], &["icmpv6_rcv"]).of(&flow),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn ipv6_is_switched_off() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let _off = sysctl::set(&lab.server, "net/ipv6/conf/s0/disable_ipv6", "1")?;
    let frame = ethernet6(&header(UDP).build(&datagram((1234, 9))));
    lab.client.run(|| tracer_tests::traffic::raw::Interface::sender("c0")?.send(&frame))?;
    let wanted = Expect::drop("IPV6DISABLED").interface("s0").netns(&lab.server)?.freed_in(CORE);
    story.names(wanted.flow(&flow("udp", Family::V6, (1234, 9))), 1)?;
    story.end().map(drop)
}
