//! TTL and hop limit: the way that they are used up on, and whether it is a circle.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::netns::NetNs;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::echo::{self, Options};
use tracer_tests::traffic::udp;
use tracer_tests::{Dual, Expect, Family, Story, patience, remedy, sysctl};

use super::NOWHERE;

#[test]
fn a_hop_limit_is_used_up_on_the_way() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let options = Options { hops: 1, ..Options::default() };
        let request = lab.client.run(|| echo::request(SERVER.ip(family), options))?;
        let route = family.pick(
            "10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1",
            "fd99:2::/64 dev r2 proto kernel metric 256 pref medium",
        );
        let wanted = Expect::drop("IP_INHDR").cause("ttl").problem().flow(&request.flow);
        let event = story.names(wanted.with(key::ROUTE_TEXT, route).with(key::ROUTE_TABLE, "main"), 1)?;
        ensure!(!event.text(key::SUMMARY).contains("loop"), "a loop without evidence: {event}");
        event.says(key::EVIDENCE, &format!("its destination {} (02:77:00:00:02:02) by r2", SERVER.ip(family)))?;
        ensure!(event.texts(key::REMEDY).concat().contains("=64"), "no larger limit is told: {event}");
        let again = lab.client.run(|| echo::request(SERVER.ip(family), Options::default())?.answered(patience()))?;
        ensure!(again, "no answer with the limit that was told");
    }
    story.end().map(drop)
}

#[test]
fn two_routers_send_it_to_each_other() -> Result<()> {
    let lab = topology::router()?;
    let host = NetNs::new("h")?;
    lab.router.exec(&format!("ip link add r3 index 99 type veth peer name h0 index 98 netns {}", host.name()))?;
    let (r3, h0) = (Dual { v4: Ipv4Addr::new(10, 99, 3, 1), v6: "fd99:3::1".parse()? }, NOWHERE);
    for (namespace, device, own) in [(&lab.router, "r3", r3), (&host, "h0", h0)] {
        let (v4, v6) = (own.v4, own.v6);
        topology::ip(
            namespace,
            &format!("addr add {v4}/24 dev {device}\naddr add {v6}/64 dev {device} nodad\nlink set {device} up"),
        )?;
    }
    let _v4 = sysctl::set(&lab.server, "net/ipv4/ip_forward", "1")?;
    let _v6 = sysctl::set(&lab.server, "net/ipv6/conf/all/forwarding", "1")?;
    lab.router.exec("ip route add 10.99.3.5 via 10.99.2.2 && ip -6 route add fd99:3::5 via fd99:2::2")?;
    lab.server.exec("ip -6 route replace default via fd99:2::1 dev s0")?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        // Here with 3, there with 2, here with 1.
        let options = Options { hops: 3, ..Options::default() };
        let request = lab.client.run(|| echo::request(NOWHERE.ip(family), options))?;
        let wanted = Expect::drop("IP_INHDR").cause("ttl").sure("derived").interface("r2").flow(&request.flow);
        let route =
            family.pick("10.99.3.5 via 10.99.2.2 dev r2", "fd99:3::5 via fd99:2::2 dev r2 metric 1024 pref medium");
        let event = story.names(wanted.with(key::ROUTE_TEXT, route).with(key::ROUTE_TABLE, "main"), 1)?;
        event.says(key::SUMMARY, &format!("routing loop: the route `{route}`"))?;
        event.says(key::EVIDENCE, "it came from 02:77:00:00:02:02")?;
        remedy::apply(&event, family.pick("ip route del 10.99.3.5 via", "ip -6 route del fd99:3::5 via"), &lab.router)?;
        story.control(udp::deliver(&lab.client, &host, NOWHERE.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn a_route_of_several_ways_is_told_with_all() -> Result<()> {
    let lab = topology::router()?;
    let hops = |family: Family| {
        let (first, second) = family.pick(("10.99.2.2", "10.99.2.3"), ("fd99:2::2", "fd99:2::3"));
        format!("nexthop via {first} dev r2 weight 1 nexthop via {second} dev r2 weight 3")
    };
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let net = family.pick("10.99.3.0/24", "fd99:3::/64");
        lab.router.exec(&format!("{} route add {net} {}", family.pick("ip", "ip -6"), hops(family)))?;
        let options = Options { hops: 1, ..Options::default() };
        let request = lab.client.run(|| echo::request(NOWHERE.ip(family), options))?;
        let text = format!("{net} {}{}", family.pick("", "metric 1024 pref medium "), hops(family));
        story.names(Expect::drop("IP_INHDR").flow(&request.flow).with(key::ROUTE_TEXT, text), 1)?;
    }
    story.end().map(drop)
}
