//! The answer would not go back the way the packet came.

use anyhow::Result;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, R1_MAC, Router, SERVER};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, frame, udp};
use tracer_tests::{Dual, Expect, Family, Story, sysctl};

/// A neighbour of the server, and not on the client's side.
const SPOOFED: Dual =
    Dual { v4: std::net::Ipv4Addr::new(10, 99, 2, 77), v6: std::net::Ipv6Addr::new(0xfd99, 2, 0, 0, 0, 0, 0, 0x77) };

/// A datagram from the client's side with an address of the other side.
fn send_spoofed(lab: &Router, family: Family) -> Result<Flow> {
    let (source, destination) = (SPOOFED.port(family, 5000), SERVER.port(family, 5001));
    let datagram = frame::udp(source.ip(), destination.ip(), (source.port(), destination.port()), b"spoofed");
    let (ethertype, packet) = match family {
        Family::V4 => (frame::ETHERTYPE_IPV4, frame::Ipv4::new(SPOOFED.v4, SERVER.v4, frame::UDP).build(&datagram)),
        Family::V6 => (frame::ETHERTYPE_IPV6, frame::Ipv6::new(SPOOFED.v6, SERVER.v6, frame::UDP).build(&datagram)),
    };
    lab.client.run(|| Interface::sender("c0")?.send(&frame::ethernet(R1_MAC, C0_MAC, ethertype, &packet)))?;
    Ok(Flow { protocol: "udp", source, destination })
}

#[test]
fn strict_rp_filter() -> Result<()> {
    // IPv6 has no such sysctl.
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    let mut story = Story::of(&lab.router)?;
    let flow = send_spoofed(&lab, Family::V4)?;
    let wanted = Expect::drop("IP_RPFILTER")
        .cause("reverse_path")
        .problem()
        .hook("route")
        .interface("r1")
        .netns(&lab.router)?
        .flow(&flow);
    story.names(wanted.freed_in(&["ip_rcv_finish_core", "ip_rcv_finish"]), 1)?;
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

#[test]
fn rpfilter_match_of_iptables() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            let chain = Chain { namespace: &lab.router, backend, family, table: "raw", chain: "PREROUTING" };
            // A rule for one protocol: link-local neighbour discovery has no route either.
            let _rule = chain.append("-p udp -m rpfilter --invert -j DROP")?;
            let flow = send_spoofed(&lab, family)?;
            let wanted = Expect::drop("NETFILTER_DROP").hook("prerouting").interface("r1").netns(&lab.router)?;
            story.names(wanted.flow(&flow).freed_in(&[backend.location()]), 1)?;
            story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        }
        story.end()?;
    }
    Ok(())
}
