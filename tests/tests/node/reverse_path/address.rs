//! Addresses that may not come in, and options that ask for a way.

use std::net::Ipv4Addr;

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::sysctl;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR};

use super::{Case, Datagram, ELSEWHERE};

#[test]
fn an_address_of_this_machine_as_source() -> Result<()> {
    let lab = topology::pair()?;
    let case = |source, summary, route, remedy| Case {
        datagram: Datagram::to(&lab, source, NEIGHBOUR.v4),
        at: (&lab.server, "s0"),
        server: &lab.server,
        reasons: &["IP_LOCAL_SOURCE", "NOT_SPECIFIED"],
        summary,
        setting: Some(("net.ipv4.conf.s0.accept_local", "0", "0")),
        route: Some((route, "local")),
        remedy: Some(remedy),
    };
    case(
        NEIGHBOUR.v4,
        "its source 10.99.1.3 is an address of this machine (on s0), and accept_local is 0 on s0",
        "local 10.99.1.3 dev s0 proto kernel scope host src 10.99.1.3",
        "net.ipv4.conf.s0.accept_local=1",
    )
    .tell()?;
    // With the address on another device the filter would be next.
    let _off = sysctl::set(&lab.server, "net/ipv4/conf/s0/accept_local", "0")?;
    let _strict = sysctl::set(&lab.server, "net/ipv4/conf/all/rp_filter", "1")?;
    lab.server.exec("ip addr add 10.77.0.9/32 dev lo")?;
    case(
        ELSEWHERE,
        "its source 10.77.0.9 is an address of this machine (on lo), and accept_local is 0 on s0",
        "local 10.77.0.9 dev lo proto kernel scope host src 10.77.0.9",
        "net.ipv4.conf.s0.accept_local=1 net.ipv4.conf.s0.rp_filter=2",
    )
    .tell()
    .map(drop)
}

#[test]
fn a_loopback_destination() -> Result<()> {
    let lab = topology::pair()?;
    let case = Case {
        datagram: Datagram::to(&lab, CLIENT.v4, Ipv4Addr::LOCALHOST),
        at: (&lab.server, "s0"),
        server: &lab.server,
        reasons: &["IP_LOCALNET", "NOT_SPECIFIED"],
        summary: "its destination 127.0.0.1 is a loopback address, and route_localnet is 0 on s0",
        setting: Some(("net.ipv4.conf.s0.route_localnet", "0", "0")),
        route: None,
        remedy: Some("sysctl -w net.ipv4.conf.s0.route_localnet=1"),
    };
    case.tell().map(drop)
}

#[test]
fn sources_that_nobody_can_answer() -> Result<()> {
    let lab = topology::pair()?;
    // Else the kernel looks up no source but its own addresses.
    let _strict = sysctl::set(&lab.server, "net/ipv4/conf/all/rp_filter", "1")?;
    let localnet = &["IP_LOCALNET", "NOT_SPECIFIED"][..];
    let invalid = &["IP_INVALID_SOURCE", "NOT_SPECIFIED"][..];
    let broadcast = "broadcast 10.99.1.255 dev s0 proto kernel scope link src 10.99.1.3";
    for (source, reasons, summary, route) in [
        (
            Ipv4Addr::LOCALHOST,
            localnet,
            "its source 127.0.0.1 is a loopback address, which may not come in by s0",
            None,
        ),
        (
            Ipv4Addr::new(224, 0, 0, 5),
            invalid,
            "its source 224.0.0.5 is a multicast address: nobody can be answered there",
            None,
        ),
        (
            Ipv4Addr::UNSPECIFIED,
            invalid,
            "its source 0.0.0.0 is that of a host which has no address yet: nobody can be answered there",
            None,
        ),
        (
            Ipv4Addr::new(10, 99, 1, 255),
            invalid,
            "its source 10.99.1.255 is no address of a host here (broadcast 10.99.1.255 dev s0 proto kernel scope link \
             src 10.99.1.3): nobody can be answered there",
            Some((broadcast, "local")),
        ),
    ] {
        let case = Case {
            datagram: Datagram::to(&lab, source, NEIGHBOUR.v4),
            at: (&lab.server, "s0"),
            server: &lab.server,
            reasons,
            summary,
            setting: None,
            route,
            remedy: None,
        };
        let event = case.tell()?;
        event.says(key::REMEDY, &format!("tcpdump -nevi s0 host {source}"))?;
        event.says(key::REMEDY, "02:77:00:00:01:02 (10.99.1.2)")?;
    }
    Ok(())
}

#[test]
fn a_source_route_among_the_options() -> Result<()> {
    let lab = topology::pair()?;
    let _off = sysctl::set(&lab.server, "net/ipv4/conf/all/accept_source_route", "0")?;
    let _own = sysctl::set(&lab.server, "net/ipv4/conf/s0/accept_source_route", "1")?;
    // All routers of the list are passed.
    let options = vec![1, 131, 7, 8, 10, 99, 1, 2];
    let case = Case {
        datagram: Datagram { options, ..Datagram::to(&lab, CLIENT.v4, NEIGHBOUR.v4) },
        at: (&lab.server, "s0"),
        server: &lab.server,
        reasons: &["NOT_SPECIFIED", "IP_RPFILTER"],
        summary: "its IP option loose source route (LSRR) is refused: accept_source_route is 0 on s0",
        setting: Some(("net.ipv4.conf.all.accept_source_route", "0", "0")),
        route: None,
        remedy: Some("sysctl -w net.ipv4.conf.all.accept_source_route=1"),
    };
    case.tell().map(drop)
}
