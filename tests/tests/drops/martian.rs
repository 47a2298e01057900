//! Packets with addresses that cannot be, and frames that are not ours.

use std::net::Ipv4Addr;

use anyhow::Result;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, UDP};
use tracer_tests::traffic::{BROADCAST_MAC, Mac};
use tracer_tests::{Family, sysctl};

use crate::frames::{Case, between, ends, ethernet_to, flow, names_each};

const SOMEONE_ELSE: Mac = [2, 0, 0, 0, 0, 0x99];

/// The function of the early IPv4 receive path that all of these are freed in.
const FINISH: &[&str] = &["ip_rcv_finish_core", "ip_rcv_finish"];

fn case(mac: Mac, source: Ipv4Addr, destination: Ipv4Addr, reasons: &'static [&'static str]) -> Case {
    let ends = (source.into(), destination.into());
    let datagram = frame::udp(ends.0, ends.1, (1234, 9), b"hello");
    let frame = ethernet_to(mac, &Ipv4::new(source, destination, UDP).build(&datagram));
    Case::new(frame, reasons, FINISH).hook("route").of(&between("udp", ends, (1234, 9)))
}

#[test]
fn source() -> Result<()> {
    let case = |source, reasons| case(S0_MAC, source, NEIGHBOUR.v4, reasons);
    let cases = [
        case(Ipv4Addr::LOCALHOST, &["IP_LOCALNET", "NOT_SPECIFIED"]),
        case(Ipv4Addr::UNSPECIFIED, &["IP_INVALID_SOURCE", "NOT_SPECIFIED"]),
        case(Ipv4Addr::new(224, 0, 0, 5), &["IP_INVALID_SOURCE", "NOT_SPECIFIED"]),
        case(Ipv4Addr::BROADCAST, &["IP_INVALID_SOURCE", "NOT_SPECIFIED"]),
        case(NEIGHBOUR.v4, &["IP_LOCAL_SOURCE", "NOT_SPECIFIED"]),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn destination() -> Result<()> {
    let case = |destination, reasons| case(S0_MAC, CLIENT.v4, destination, reasons);
    let cases = [
        case(Ipv4Addr::LOCALHOST, &["IP_LOCALNET", "NOT_SPECIFIED"]),
        case(Ipv4Addr::UNSPECIFIED, &["IP_INVALID_DEST", "NOT_SPECIFIED"]),
    ];
    names_each(&topology::pair()?, &cases)
}

#[test]
fn a_multicast_group_that_nobody_joined() -> Result<()> {
    let case = case([1, 0, 0x5e, 1, 1, 1], CLIENT.v4, Ipv4Addr::new(239, 1, 1, 1), &["NOT_SPECIFIED"]);
    names_each(&topology::pair()?, &[case])
}

#[test]
fn unicast_in_a_broadcast_frame() -> Result<()> {
    let lab = topology::pair()?;
    let _strict = sysctl::set(&lab.server, "net/ipv4/conf/s0/drop_unicast_in_l2_multicast", "1")?;
    names_each(&lab, &[case(BROADCAST_MAC, CLIENT.v4, NEIGHBOUR.v4, &["UNICAST_IN_L2_MULTICAST"])])
}

#[test]
fn a_frame_for_another_host() -> Result<()> {
    let (source, destination) = ends(Family::V4);
    let datagram = frame::udp(source, destination, (1234, 9), b"hello");
    let packet4 = Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP).build(&datagram);
    let (source, destination) = ends(Family::V6);
    let datagram = frame::udp(source, destination, (1234, 9), b"hello");
    let packet6 = Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, UDP).build(&datagram);
    let frame6 = frame::ethernet(SOMEONE_ELSE, C0_MAC, frame::ETHERTYPE_IPV6, &packet6);
    let cases = [
        Case::new(ethernet_to(SOMEONE_ELSE, &packet4), &["OTHERHOST"], &["ip_rcv_core"]).of(&flow(
            "udp",
            Family::V4,
            (1234, 9),
        )),
        Case::new(frame6, &["OTHERHOST"], &["ip6_rcv_core"]).of(&flow("udp", Family::V6, (1234, 9))),
    ];
    names_each(&topology::pair()?, &cases)
}
