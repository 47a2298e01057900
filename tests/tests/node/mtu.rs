//! A packet is larger than what comes next: the limit is named with where it stands, and room is made.

use anyhow::{Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR, ROUTER_2, Router, SERVER, ip};
use tracer_tests::traffic::echo::{self, Options};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Story, kernel, patience, remedy, sysctl};

const LARGE: Options = Options { hops: 64, size: 1400, whole: true };

/// The IP packet around the 1400 bytes and their ICMP header.
fn length(family: Family) -> u32 {
    family.pick(1428, 1448)
}

fn fits(from: &NetNs, to: std::net::IpAddr) -> Result<()> {
    ensure!(from.run(|| echo::request(to, LARGE)?.answered(patience()))?, "a large packet still gets no answer");
    Ok(())
}

/// The kernel's own word, or what the sizes say where it gives none.
fn sure() -> &'static str {
    if kernel::tells_reasons() { "certain" } else { "derived" }
}

/// The client's large packet is too big for the router; the line that says so.
fn too_big(lab: &Router, story: &mut Story, family: Family, part: &str) -> Result<Event> {
    let request = lab.client.run(|| echo::request(SERVER.ip(family), LARGE))?;
    // A route's MTU stops IPv6 only where it would be cut.
    let reasons = ["PKT_TOO_BIG", "NOT_SPECIFIED"];
    let wanted = Expect::one_of(&reasons).cause("mtu").sure(sure());
    let wanted = wanted.netns(&lab.router)?.freed_in(&["ip_forward", "ip6_forward", "ip6_fragment"]);
    let event = story.names(wanted.flow(&request.flow), 1)?;
    let whole = family.pick(" and DF is set", ", and routers do not fragment IPv6");
    let summary = format!("{} bytes do not fit through r2 ({part}){whole}", length(family));
    ensure!(event.text(key::SUMMARY) == summary, "{event}");
    Ok(event)
}

#[test]
fn the_way_out_is_narrow() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        ip(&lab.router, "link set r2 mtu 1280")?;
        let event = too_big(&lab, &mut story, family, "MTU 1280")?;
        let client = topology::CLIENT.ip(family);
        let words = format!("through to {client}: it says 1280");
        ensure!(event.texts(key::REMEDY).iter().any(|remedy| remedy.contains(&words)), "{event}");
        remedy::apply(&event, "ip link set dev r2 mtu 1500", &lab.router)?;
        fits(&lab.client, SERVER.ip(family))?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn the_route_is_narrow() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let route = family.pick(
            "10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1",
            "fd99:2::/64 dev r2 proto kernel metric 256",
        );
        ip(&lab.router, &format!("route replace {route} mtu 1280"))?;
        let event = too_big(&lab, &mut story, family, "its route has mtu 1280")?;
        ensure!(event.text(key::ROUTE_TEXT) == format!("{route} mtu 1280"), "{event}");
        ensure!(event.text(key::ROUTE_TABLE) == "main", "{event}");
        remedy::apply(&event, "route replace", &lab.router)?;
        fits(&lab.client, SERVER.ip(family))?;
    }
    story.end().map(drop)
}

#[test]
fn ipv6_has_a_limit_of_its_own() -> Result<()> {
    let lab = topology::router()?;
    let _narrow = sysctl::set(&lab.router, "net/ipv6/conf/r2/mtu", "1280")?;
    let mut story = Story::of(&lab.router)?;
    let event = too_big(&lab, &mut story, Family::V6, "net.ipv6.conf.r2.mtu is 1280")?;
    ensure!(event.text(key::SYSCTL_NAME) == "net.ipv6.conf.r2.mtu", "{event}");
    ensure!(event.text(key::SYSCTL_VALUE) == "1280", "{event}");
    remedy::apply(&event, "net.ipv6.conf.r2.mtu=1500", &lab.router)?;
    fits(&lab.client, SERVER.v6.into())?;
    story.end().map(drop)
}

#[test]
fn the_other_end_takes_less() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        ip(&lab.server, "link set s0 mtu 1280")?;
        let request = lab.client.run(|| echo::request(NEIGHBOUR.ip(family), LARGE))?;
        let wanted = Expect::drop("NOT_SPECIFIED").cause("mtu").sure("certain").netns(&lab.client)?;
        let event = story.names(wanted.flow(&request.flow), 1)?;
        let summary = format!(
            "{} bytes do not fit through the other end of c0: s0 in {} has MTU 1280, c0 has 1500",
            length(family),
            lab.server.name()
        );
        ensure!(event.text(key::SUMMARY) == summary, "{event}");
        remedy::apply(&event, "ip link set dev s0 mtu 1500", &lab.server)?;
        fits(&lab.client, NEIGHBOUR.ip(family))?;
    }
    story.end().map(drop)
}

#[test]
fn a_tunnel_can_be_as_wide_as_its_way_allows() -> Result<()> {
    let lab = topology::router()?;
    let tunnel = |dev: &str, own: &str, other: std::net::Ipv4Addr, address: &str| {
        format!(
            "link add vx0 type vxlan id 7 local {own} remote {other} dev {dev} dstport 4789\nlink set vx0 mtu 1400 up\n\
             address add {address}/24 dev vx0"
        )
    };
    ip(&lab.router, &tunnel("r2", &ROUTER_2.v4.to_string(), SERVER.v4, "10.99.6.1"))?;
    ip(&lab.server, &tunnel("s0", &SERVER.v4.to_string(), ROUTER_2.v4, "10.99.6.2"))?;
    ip(&lab.server, "link set vx0 mtu 1450")?;
    let far: std::net::IpAddr = [10, 99, 6, 2].into();
    let mut story = Story::of(&lab.router)?;
    let request = lab.client.run(|| echo::request(far, LARGE))?;
    let wanted = Expect::drop("PKT_TOO_BIG").cause("mtu").netns(&lab.router)?.flow(&request.flow);
    let event = story.names(wanted, 1)?;
    ensure!(event.text(key::SUMMARY) == "1428 bytes do not fit through vx0 (MTU 1400) and DF is set", "{event}");
    remedy::apply(&event, "ip link set dev vx0 mtu 1450", &lab.router)?;
    fits(&lab.client, far)?;
    story.end().map(drop)
}

/// Of two ends with one index the kernel notices a lost carrier up to a second late (`linkwatch_urgent_event`, 6.18). Until
/// then a virtual link takes packets for an end that is down, and drops them itself.
#[test]
fn the_other_end_is_down() -> Result<()> {
    let lab = topology::pair()?;
    let there = lab.server.name();
    let peer = format!("peer name s9 index 77 address 02:77:00:00:09:09 netns {there}");
    ip(
        &lab.client,
        &format!("link add c9 index 77 type veth {peer}\nlink set c9 up\naddress add 10.99.9.1/24 dev c9"),
    )?;
    ip(&lab.client, "address add fd99:9::1/64 dev c9 nodad")?;
    let mut story = Story::of(&lab.client)?;
    for (family, address) in [(Family::V4, "10.99.9.2"), (Family::V6, "fd99:9::2")] {
        let to: std::net::IpAddr = address.parse()?;
        let length = family.pick("24", "64 nodad");
        let length = length.split_once(' ').unwrap_or((length, ""));
        ip(&lab.client, &format!("neigh replace {to} lladdr 02:77:00:00:09:09 dev c9 nud permanent"))?;
        ip(&lab.server, &format!("link set s9 up\naddress replace {to}/{} dev s9 {}", length.0, length.1))?;
        let mut port = 100;
        loop {
            port += 1;
            ensure!(port < 150, "each time the carrier was gone before the packet came");
            // The first one is noticed at once, the next one not.
            ip(&lab.server, "link set s9 down\nlink set s9 up\nlink set s9 down")?;
            let sent = lab.client.run(|| udp::send((to, port).into(), 1, 20))?;
            let wanted = Expect::any().with(key::KIND, "drop").with_any(key::REASON, ["NOT_SPECIFIED", "QDISC_DROP"]);
            let event = story.names(wanted.cause("device").netns(&lab.client)?.flow(&sent.flow), 1)?;
            ensure!(event.text(key::SUMMARY).contains(&format!("s9 in {there}")), "{event}");
            ensure!(event.text(key::SUMMARY).ends_with(" is down"), "{event}");
            remedy::apply(&event, "ip link set dev s9 up", &lab.server)?;
            if event.text(key::SYMBOL).contains("dev_forward") {
                ensure!(event.text(key::SUMMARY).starts_with("the other end of c9"), "{event}");
                break;
            }
        }
        ip(&lab.server, &format!("address replace {to}/{} dev s9 {}", length.0, length.1))?;
        // That the carrier is back is noticed late as well.
        crate::qdisc::runs(&lab.client, "c9")?;
        story.control(udp::deliver(&lab.client, &lab.server, (to, CONTROL_PORT).into())?);
    }
    story.end().map(drop)
}
