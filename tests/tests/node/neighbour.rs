//! Nobody answers for the next hop: the entry, the route and the other end of the link are named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, R2_MAC, ROUTER_1, ROUTER_2, SERVER, ip};
use tracer_tests::traffic::udp;
use tracer_tests::{Dual, Expect, Family, NetNs, Story, neighbour, patience, remedy, sysctl};

const BESIDE_CLIENT: Dual =
    Dual { v4: Ipv4Addr::new(10, 99, 1, 99), v6: Ipv6Addr::new(0xfd99, 1, 0, 0, 0, 0, 0, 0x99) };
const BESIDE_SERVER: Dual =
    Dual { v4: Ipv4Addr::new(10, 99, 2, 99), v6: Ipv6Addr::new(0xfd99, 2, 0, 0, 0, 0, 0, 0x99) };
/// A network that is reached by a gateway only.
const BEYOND: Dual = Dual { v4: Ipv4Addr::new(10, 99, 7, 7), v6: Ipv6Addr::new(0xfd99, 7, 0, 0, 0, 0, 0, 7) };

fn failed(namespace: &NetNs, family: Family) -> Result<Expect> {
    let reason = family.pick("NEIGH_FAILED", "NOT_SPECIFIED");
    let wanted = Expect::drop(reason).cause("neighbour").sure("certain").netns(namespace)?;
    Ok(wanted.freed_in(&["neigh_invalidate"]))
}

/// What is said about one datagram from the client for whose next hop, at an interface, `asks` asks in vain.
fn unanswered(
    (lab, story): (&topology::Router, &mut Story),
    (asks, interface, next_hop): (&NetNs, &str, IpAddr),
    to: SocketAddr,
    wanted: Expect,
) -> Result<Event> {
    let one = || lab.client.run(|| udp::send(to, 1, 20));
    let sent = neighbour::unanswered(asks, interface, next_hop, one)?;
    story.names(wanted.flow(&sent.flow), 1)
}

/// The router does not know the server any more. The server asks for the router itself sooner or later, and would be known
/// by that: so it need not ask.
fn forget(lab: &topology::Router, family: Family) -> Result<()> {
    let router = ROUTER_2.ip(family);
    let mac = R2_MAC.map(|byte| format!("{byte:02x}")).join(":");
    ip(&lab.server, &format!("neigh replace {router} lladdr {mac} dev s0 nud permanent"))?;
    lab.router.exec(&format!("ip {} neigh flush dev r2", family.pick("-4", "-6"))).map(drop)
}

fn questions(family: Family) -> &'static str {
    family.pick("ARP", "neighbour solicitations")
}

#[test]
fn a_host_on_the_link_is_not_there() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let silent = BESIDE_SERVER.ip(family);
        let wanted = failed(&lab.router, family)?.with(key::ROUTE_TABLE, "main");
        let event =
            unanswered((&lab, &mut story), (&lab.router, "r2", silent), BESIDE_SERVER.port(family, 53), wanted)?;
        let place = format!("s0 in {} does not have this address", lab.server.name());
        let summary =
            format!("the next hop {silent} on r2 did not answer {} (entry FAILED): {place}", questions(family));
        ensure!(event.text(key::SUMMARY) == summary, "{event}");
        event.says(key::EVIDENCE, &format!("the neighbour entry of {silent} on r2 is FAILED"))?;
        event.says(key::EVIDENCE, &format!("it has {}", SERVER.ip(family)))?;
        let route = family.pick("10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1", "fd99:2::/64 dev r2");
        ensure!(event.text(key::ROUTE_TEXT).starts_with(route), "{event}");
        remedy::apply(&event, "neigh show", &lab.router)?;
        remedy::apply(&event, "route get", &lab.router)?;
        // What is to be done cannot be pasted: the host must have its address.
        ip(&lab.server, &format!("address add {silent}/{} dev s0 {}", family.pick(24, 64), family.pick("", "nodad")))?;
        story.control(udp::deliver(&lab.client, &lab.server, BESIDE_SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn a_gateway_is_gone() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        let gateway = BESIDE_CLIENT.ip(family);
        let network = family.pick("10.99.7.0/24", "fd99:7::/64");
        ip(&lab.client, &format!("route add {network} via {gateway} dev c0"))?;
        let wanted = failed(&lab.client, family)?;
        let event = unanswered((&lab, &mut story), (&lab.client, "c0", gateway), BEYOND.port(family, 53), wanted)?;
        let part = format!("the next hop {gateway} on c0 did not answer");
        ensure!(event.text(key::SUMMARY).starts_with(&part), "{event}");
        let route = format!("{network} via {gateway} dev c0");
        ensure!(event.text(key::ROUTE_TEXT).starts_with(&route), "{event}");
        event.says(key::REMEDY, &format!("correct the route {route}"))?;
        // The route is corrected, as was said.
        ip(&lab.client, &format!("route replace {network} via {} dev c0", ROUTER_1.ip(family)))?;
        let (length, flags) = family.pick((32, ""), (128, "nodad"));
        ip(&lab.server, &format!("address add {}/{length} dev s0 {flags}", BEYOND.ip(family)))?;
        ip(&lab.router, &format!("route add {network} via {} dev r2", SERVER.ip(family)))?;
        story.control(udp::deliver(&lab.client, &lab.server, BEYOND.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn the_other_end_may_not_answer() -> Result<()> {
    let lab = topology::router()?;
    let _mute = sysctl::set(&lab.server, "net/ipv4/conf/all/arp_ignore", "8")?;
    let mut story = Story::of(&lab.router)?;
    forget(&lab, Family::V4)?;
    let setting = "net.ipv4.conf.all.arp_ignore";
    let wanted = failed(&lab.router, Family::V4)?.with(key::SYSCTL_NAME, setting).with(key::SYSCTL_VALUE, "8");
    let event =
        unanswered((&lab, &mut story), (&lab.router, "r2", SERVER.v4.into()), SERVER.port(Family::V4, 53), wanted)?;
    let reason = format!("s0 in {} has the address but {setting} is 8 there", lab.server.name());
    ensure!(event.text(key::SUMMARY).ends_with(&reason), "{event}");
    remedy::apply(&event, "arp_ignore=0", &lab.server)?;
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

#[test]
fn the_other_end_uses_no_arp() -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.server, "link set s0 arp off")?;
    let mut story = Story::of(&lab.router)?;
    forget(&lab, Family::V4)?;
    let wanted = failed(&lab.router, Family::V4)?;
    let event =
        unanswered((&lab, &mut story), (&lab.router, "r2", SERVER.v4.into()), SERVER.port(Family::V4, 53), wanted)?;
    event.says(key::EVIDENCE, "has the flag NOARP")?;
    remedy::apply(&event, "arp on", &lab.server)?;
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

#[test]
fn the_other_end_has_the_address_and_filters_the_question() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::router()?;
        let (table, what) = family.pick(("arp", ""), ("ip6", "icmpv6 type nd-neighbor-solicit "));
        lab.server.exec(&format!("nft add table {table} mute"))?;
        lab.server.exec(&format!("nft add chain {table} mute in '{{ type filter hook input priority 0 ; }}'"))?;
        lab.server.exec(&format!("nft add rule {table} mute in {what}drop"))?;
        let mut story = Story::of(&lab.router)?;
        forget(&lab, family)?;
        let wanted = failed(&lab.router, family)?;
        let event =
            unanswered((&lab, &mut story), (&lab.router, "r2", SERVER.ip(family)), SERVER.port(family, 53), wanted)?;
        let reason = format!("s0 in {} has the address and keeps silent", lab.server.name());
        ensure!(event.text(key::SUMMARY).ends_with(&reason), "{event}");
        event.says(key::EVIDENCE, "the question or its answer was filtered")?;
        remedy::apply(&event, "nft -a list ruleset", &lab.server)?;
        lab.server.exec(&format!("nft delete table {table} mute"))?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        story.end().map(drop)?;
    }
    Ok(())
}

/// Sends six at once to somebody who begins to exist a moment later; how many arrive.
fn six_arrive(lab: &topology::Router, family: Family) -> Result<()> {
    let late = BESIDE_CLIENT.ip(family);
    let port = BESIDE_CLIENT.port(family, CONTROL_PORT);
    let receiver = lab.router.run(|| {
        let any = family.pick("0.0.0.0:0", "[::]:0").parse::<SocketAddr>()?;
        UdpSocket::bind((any.ip(), CONTROL_PORT)).context("cannot bind")
    })?;
    receiver.set_read_timeout(Some(patience()))?;
    lab.client.run(|| udp::send(port, 6, 20))?;
    ip(&lab.router, &format!("address add {late}/{} dev r1 {}", family.pick(24, 64), family.pick("", "nodad")))?;
    for number in 1..=6 {
        udp::receive(&receiver).with_context(|| format!("{number} of 6 did not arrive"))?;
    }
    Ok(())
}

#[test]
fn too_many_wait_for_an_answer() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        let settings = format!("net/{}/neigh/c0", family.name());
        let _short = sysctl::set(&lab.client, &format!("{settings}/unres_qlen_bytes"), "0")?;
        let silent = BESIDE_CLIENT.ip(family);
        let six = || udp::send(BESIDE_CLIENT.port(family, 53), 6, 20);
        let sent = neighbour::unanswered(&lab.client, "c0", silent, || lab.client.run(six))?;
        let setting = format!("net.{}.neigh.c0.unres_qlen_bytes", family.name());
        let wanted = Expect::drop("NEIGH_QUEUEFULL").cause("neighbour").sure("certain").netns(&lab.client)?;
        let wanted = wanted.with(key::SYSCTL_NAME, setting.as_str()).with(key::SYSCTL_VALUE, "0");
        let event = story.names(wanted.flow(&sent.flow), 5)?;
        let waits = format!("too many packets wait for {silent} on c0 to answer {}", questions(family));
        ensure!(event.text(key::SUMMARY).starts_with(&waits), "{event}");
        ensure!(event.text(key::SUMMARY).ends_with(&format!("{setting} is 0")), "{event}");
        // The sixth waits until nobody has answered.
        story.names(failed(&lab.client, family)?.flow(&sent.flow), 1)?;
        remedy::apply(&event, "unres_qlen_bytes=212992", &lab.client)?;
        let _slow = sysctl::set(&lab.client, &format!("{settings}/retrans_time_ms"), "1000")?;
        lab.client.exec("ip neigh flush dev c0 nud failed; ip -6 neigh flush dev c0 nud failed")?;
        six_arrive(&lab, family)?;
    }
    story.end().map(drop)
}

#[test]
fn a_gateway_of_the_other_family_has_no_entry() -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.router, &format!("route add 10.99.7.0/24 via inet6 {} dev r2\nlink set r2 mtu 1200", SERVER.v6))?;
    let mut story = Story::of(&lab.router)?;
    let sent = lab.client.run(|| udp::send(BEYOND.port(Family::V4, 53), 1, 20))?;
    let wanted = Expect::drop("NEIGH_CREATEFAIL").cause("neighbour").netns(&lab.router)?.flow(&sent.flow);
    let event = story.names(wanted, 1)?;
    ensure!(event.text(key::SUMMARY).ends_with("r2 has no IPv6 (its MTU 1200 is below 1280)"), "{event}");
    ensure!(event.text(key::ROUTE_TEXT).starts_with("10.99.7.0/24 via inet6 fd99:2::2 dev r2"), "{event}");
    remedy::apply(&event, "mtu 1500", &lab.router)?;
    // IPv6 comes back with a link-local address only.
    ip(&lab.router, "address add fd99:2::1/64 dev r2 nodad")?;
    ip(&lab.server, &format!("address add {}/32 dev s0", BEYOND.v4))?;
    story.control(udp::deliver(&lab.client, &lab.server, BEYOND.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}
