//! The routing table says no.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Dual, Expect, Family, Story, Tracer, sysctl};

/// Nobody; the client's default route leads to the router.
const NOWHERE: Dual = Dual { v4: Ipv4Addr::new(10, 99, 3, 5), v6: Ipv6Addr::new(0xfd99, 3, 0, 0, 0, 0, 0, 5) };

/// Reason, function and possible causes of a drop in each family.
type Named = [(&'static str, &'static str, &'static [&'static str]); 2];

const NO_ROUTE: &[&str] = &["no_route"];
const REJECT: &[&str] = &["route_reject"];

/// The router has been told something, and refuses to forward one datagram to `to`.
fn refuses(commands: &str, to: Dual, named: Named) -> Result<()> {
    let lab = topology::router()?;
    lab.router.exec(commands)?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(to.port(family, 81), 1, 20))?;
        let (reason, symbol, causes) = family.pick(named[0], named[1]);
        // `ip_error` has one place for all routes that refuse.
        let wanted = Expect::drop(reason).or_derived("IP_INNOROUTES");
        let wanted = wanted.with_any(key::CAUSE, causes.iter().copied()).problem();
        let wanted = wanted.hook("route").interface("r1").netns(&lab.router)?;
        // 6.1 does not inline the function behind it.
        story.names(wanted.flow(&sent.flow).freed_in(&[symbol, "ip6_pkt_drop"]), 1)?;
    }
    story.end().map(drop)
}

#[test]
fn no_route() -> Result<()> {
    refuses("true", NOWHERE, [("IP_INNOROUTES", "ip_error", NO_ROUTE), ("IP_INNOROUTES", "ip6_pkt_discard", NO_ROUTE)])
}

#[test]
fn blackhole() -> Result<()> {
    let routes = "ip route add blackhole 10.99.3.0/24 && ip route add blackhole fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error", REJECT), ("NOT_SPECIFIED", "dst_discard_out", REJECT)])
}

#[test]
fn unreachable() -> Result<()> {
    let routes = "ip route add unreachable 10.99.3.0/24 && ip route add unreachable fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error", REJECT), ("IP_INNOROUTES", "ip6_pkt_discard", REJECT)])
}

#[test]
fn prohibit() -> Result<()> {
    let routes = "ip route add prohibit 10.99.3.0/24 && ip route add prohibit fd99:3::/64";
    refuses(routes, NOWHERE, [("NOT_SPECIFIED", "ip_error", REJECT), ("IP_INNOROUTES", "ip6_pkt_prohibit", REJECT)])
}

#[test]
fn rule_that_prohibits() -> Result<()> {
    let rules = "ip rule add from 10.99.1.2 prohibit && ip -6 rule add from fd99:1::2 prohibit";
    refuses(rules, SERVER, [("NOT_SPECIFIED", "ip_error", REJECT), ("IP_INNOROUTES", "ip6_pkt_prohibit", REJECT)])
}

#[test]
fn not_a_router() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let name = family.pick("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding");
        let off = sysctl::set(&lab.router, name, "0")?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("IP_INADDRERRORS")
            .cause("no_route")
            .problem()
            .interface("r1")
            .netns(&lab.router)?
            .flow(&sent.flow);
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
    let wanted =
        Expect::drop("IP_INADDRERRORS").cause("no_route").problem().hook("route").interface("r1").netns(&lab.router)?;
    story.names(wanted.flow(&sent.flow).freed_in(&["ip_error"]), 1)?;
    story.end().map(drop)
}

#[test]
fn the_route_of_a_connection_is_gone() -> Result<()> {
    let lab = topology::router()?;
    let mut connection = tcp::connect(&lab.client, &lab.server, SERVER.port(Family::V4, 8080))?;
    let mut tracer = Tracer::watch(&lab.client)?;
    lab.client.exec("ip route del default")?;
    connection.client.write_all(b"lost")?;
    let wanted = Expect::drop("IP_OUTNOROUTES").cause("no_route").problem().hook("route").netns(&lab.client)?;
    let wanted = wanted.flow(&connection.flow).freed_in(&["__ip_queue_xmit"]);
    // And again with each retry: how many there will be is the connection's affair.
    tracer.wait_for(&wanted)?;
    tracer.stop()?.ensure_clean()
}
