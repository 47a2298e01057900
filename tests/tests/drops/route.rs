//! The routing table says no.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER, ip};
use tracer_tests::traffic::udp;
use tracer_tests::{Dual, Expect, Family, Story, sysctl};

/// Nobody; the client's default route leads to the router.
const NOWHERE: Dual = Dual { v4: Ipv4Addr::new(10, 99, 3, 5), v6: Ipv6Addr::new(0xfd99, 3, 0, 0, 0, 0, 0, 5) };

/// Reason and function of a drop in each family.
type Named = [(&'static str, &'static str); 2];

/// The router has been told something by `ip`, and refuses to forward one datagram to `to`.
fn refuses(commands: &str, to: Dual, named: Named) -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.router, commands)?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(to.port(family, 81), 1, 20))?;
        let (reason, symbol) = family.pick(named[0], named[1]);
        let wanted = Expect::drop(reason).hook("route").interface("r1").netns(&lab.router)?;
        story.names(wanted.flow(&sent.flow).freed_in(&[symbol]), 1)?;
    }
    story.end().map(drop)
}

#[test]
fn no_route() -> Result<()> {
    refuses("", NOWHERE, [("IP_INNOROUTES", "ip_error"), ("IP_INNOROUTES", "ip6_pkt_discard")])
}

#[test]
fn blackhole() -> Result<()> {
    let routes = "route add blackhole 10.99.3.0/24\nroute add blackhole fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error"), ("NOT_SPECIFIED", "dst_discard_out")])
}

#[test]
fn unreachable() -> Result<()> {
    let routes = "route add unreachable 10.99.3.0/24\nroute add unreachable fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error"), ("IP_INNOROUTES", "ip6_pkt_discard")])
}

#[test]
fn prohibit() -> Result<()> {
    let routes = "route add prohibit 10.99.3.0/24\nroute add prohibit fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error"), ("IP_INNOROUTES", "ip6_pkt_prohibit")])
}

#[test]
fn rule_that_prohibits() -> Result<()> {
    let rules = "rule add from 10.99.1.2 prohibit\nrule add from fd99:1::2 prohibit";
    refuses(rules, SERVER, [("NOT_SPECIFIED", "ip_error"), ("IP_INNOROUTES", "ip6_pkt_prohibit")])
}

#[test]
fn not_a_router() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let name = family.pick("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding");
        let off = sysctl::set(&lab.router, name, "0")?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("IP_INADDRERRORS").interface("r1").netns(&lab.router)?.flow(&sent.flow);
        story.names(wanted.freed_in(&[family.pick("ip_error", "ip6_forward")]), 1)?;
        drop(off);
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn one_interface_does_not_forward() -> Result<()> {
    let lab = topology::router()?;
    let _off = sysctl::set(&lab.router, "net/ipv4/conf/r1/forwarding", "0")?;
    let mut story = Story::of(&lab.router)?;
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, 81), 1, 20))?;
    let wanted = Expect::drop("IP_INADDRERRORS").hook("route").interface("r1").netns(&lab.router)?;
    story.names(wanted.flow(&sent.flow).freed_in(&["ip_error"]), 1)?;
    story.end().map(drop)
}
