//! Packets that are damaged or wrongly made: what is wrong is said with the value that was found and the right one.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, TCP, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, remedy};

/// A packet, why it is dropped (finest first), and what is said of it.
struct Case {
    packet: Vec<u8>,
    reasons: &'static [&'static str],
    says: String,
}

fn case(packet: Vec<u8>, reasons: &'static [&'static str], says: impl Into<String>) -> Case {
    Case { packet, reasons, says: says.into() }
}

fn ends(family: Family) -> (IpAddr, IpAddr) {
    (CLIENT.ip(family), NEIGHBOUR.ip(family))
}

fn v4(protocol: u8) -> Ipv4 {
    Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, protocol)
}

fn v6(next: u8) -> Ipv6 {
    Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, next)
}

fn datagram(family: Family) -> Vec<u8> {
    let (source, destination) = ends(family);
    frame::udp(source, destination, (1234, 9), b"hello")
}

fn syn(family: Family) -> Vec<u8> {
    let (source, destination) = ends(family);
    frame::tcp(source, destination, (1234, 80), frame::SYN)
}

fn echo(family: Family) -> Vec<u8> {
    let (source, destination) = ends(family);
    frame::icmp(source, destination, family.pick(8, 128), 0, &[0, 1, 0, 1])
}

/// The checksum at an offset before and after it was made wrong, as it is said.
fn corrupted(right: &[u8], at: usize, name: &str) -> (Vec<u8>, String) {
    let wrong = frame::corrupt(right.to_vec(), at);
    let sum = |bytes: &[u8]| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let says = format!("its {name} checksum is {:#06x}, it should be {:#06x}", sum(&wrong), sum(right));
    (wrong, says)
}

/// Sends each and sees it told; then what is right gets through.
fn told(lab: &Pair, family: Family, cases: Vec<Case>) -> Result<Vec<Event>> {
    let mut story = Story::of(&lab.server)?;
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    let ethertype = family.pick(frame::ETHERTYPE_IPV4, frame::ETHERTYPE_IPV6);
    let mut events = Vec::new();
    for case in cases {
        wire.send(&frame::ethernet(S0_MAC, C0_MAC, ethertype, &case.packet))?;
        let summaries = [format!("{} (sent by {})", case.says, CLIENT.ip(family)), case.says.clone()];
        let wanted = Expect::finest(case.reasons)?.sure("certain").with_any(key::SUMMARY, summaries);
        let event = story.names(wanted.cause("checksum").netns(&lab.server)?, 1).with_context(|| case.says)?;
        let place = format!("its other end is c0 in {}", lab.client.name());
        ensure!(event.texts(key::EVIDENCE).iter().any(|fact| *fact == place), "{event}");
        events.push(event);
    }
    story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    story.end()?;
    Ok(events)
}

#[test]
fn ipv4_headers() -> Result<()> {
    let right = v4(UDP).build(&datagram(Family::V4));
    let sum = u16::from_be_bytes([right[10], right[11]]);
    let sum = format!("its IPv4 header checksum is 0xdead, it should be {sum:#06x}");
    let data = datagram(Family::V4);
    let cases = vec![
        case(Ipv4 { checksum: Some(0xdead), ..v4(UDP) }.build(&data), &["IP_CSUM"], sum),
        case(Ipv4 { version: 5, ..v4(UDP) }.build(&data), &["IP_INHDR"], "its version field is 5, not 4"),
        case(
            Ipv4 { header_words: Some(4), ..v4(UDP) }.build(&data),
            &["IP_INHDR"],
            "its IPv4 header length is 16 bytes, below 20",
        ),
        case(
            Ipv4 { total_length: Some(200), ..v4(UDP) }.build(&data),
            &["PKT_TOO_SMALL"],
            "its IPv4 header says 200 bytes, 33 came",
        ),
        case(
            Ipv4 { options: vec![0x44, 3, 5, 0], ..v4(UDP) }.build(&data),
            &["IP_INHDR"],
            "its IPv4 option 68 has 3 bytes, it needs 4",
        ),
    ];
    told(&topology::pair()?, Family::V4, cases).map(drop)
}

#[test]
fn ipv6_headers() -> Result<()> {
    let data = datagram(Family::V6);
    let loopback = Ipv6::new(Ipv6Addr::LOCALHOST, NEIGHBOUR.v6, UDP).build(&data);
    let cases = vec![
        case(
            Ipv6 { payload_length: Some(200), ..v6(UDP) }.build(&data),
            &["PKT_TOO_SMALL"],
            "its IPv6 header says 200 bytes of payload, 13 came",
        ),
        case(loopback, &["IP_INHDR"], "its source is ::1, which does not travel between machines (sent by ::1)"),
        case(
            v6(0).build(&[UDP, 5, 1, 4, 0, 0, 0, 0]),
            &["NOT_SPECIFIED"],
            "its IPv6 extension header 0 says 48 bytes, 8 are left",
        ),
    ];
    told(&topology::pair()?, Family::V6, cases).map(drop)
}

#[test]
fn checksums_of_what_is_carried() -> Result<()> {
    let lab = topology::pair()?;
    for family in Family::BOTH {
        let build = |protocol: u8, body: &[u8]| family.pick(v4(protocol).build(body), v6(protocol).build(body));
        let icmp = family.pick((frame::ICMP, "ICMP"), (frame::ICMPV6, "ICMPv6"));
        let tcp = corrupted(&syn(family), frame::TCP_CHECKSUM, "TCP");
        let udp = corrupted(&datagram(family), frame::UDP_CHECKSUM, "UDP");
        let ping = corrupted(&echo(family), frame::ICMP_CHECKSUM, icmp.1);
        let cases = vec![
            case(build(TCP, &tcp.0), &["TCP_CSUM"], tcp.1),
            case(build(UDP, &udp.0), &["UDP_CSUM"], udp.1),
            case(build(icmp.0, &ping.0), &["ICMP_CSUM"], ping.1),
        ];
        let events = told(&lab, family, cases)?;
        let first = events.first().context("nothing was told")?;
        let veth = first.texts(key::EVIDENCE).iter().any(|fact| fact.starts_with("s0 (driver veth): rx-checksumming"));
        ensure!(veth, "{first}");
        remedy::apply(first, "ethtool -k s0", &lab.server)?;
        remedy::apply(first, "ethtool -K c0 tx off", &lab.client)?;
        udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?;
    }
    Ok(())
}

#[test]
fn lengths_of_what_is_carried() -> Result<()> {
    let lab = topology::pair()?;
    let mut offset = syn(Family::V4);
    offset[12] = 2 << 4;
    let mut long = datagram(Family::V4);
    long[4..6].copy_from_slice(&200_u16.to_be_bytes());
    let short = syn(Family::V4)[..4].to_vec();
    let cases = vec![
        case(v4(TCP).build(&offset), &["PKT_TOO_SMALL"], "its TCP data offset is 8 bytes, of 20; the least is 20"),
        case(v4(UDP).build(&long), &["PKT_TOO_SMALL"], "its UDP length is 200, and 13 bytes are there"),
        case(v4(TCP).build(&short), &["NOT_SPECIFIED"], "it has 4 bytes for its TCP header, which needs 20"),
    ];
    told(&lab, Family::V4, cases).map(drop)
}
