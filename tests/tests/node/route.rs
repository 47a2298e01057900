//! Where a packet was to go: the route, the rule or the setting that ends its way is named, and what is told to do helps.

mod connection;
mod hops;
mod text;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, CLIENT, R1_MAC, Router, S0_MAC, SERVER};
use tracer_tests::traffic::{frame, raw, udp};
use tracer_tests::{Dual, Expect, Family, Story, eventually, remedy, sysctl};

/// Behind the router, but nowhere.
const NOWHERE: Dual = Dual { v4: Ipv4Addr::new(10, 99, 3, 5), v6: Ipv6Addr::new(0xfd99, 3, 0, 0, 0, 0, 0, 5) };

/// What keeps a datagram from the server, and what is said about it.
struct Obstacle {
    /// Done in the router first; `IP` is `ip` or `ip -6`, `SERVER` and `CLIENT` are addresses, `NET` is the server's.
    set: &'static str,
    cause: &'static str,
    /// The routes of both families and their table, or the rules.
    route: [&'static str; 2],
    table: Option<&'static str>,
    /// Part of the summary.
    says: &'static str,
    /// Part of the remedy that is run.
    remedy: [&'static str; 2],
}

impl Obstacle {
    /// In both families: it is dropped, named, and no more after the remedy.
    fn tell(&self) -> Result<()> {
        let lab = topology::router()?;
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            lab.router.exec(&filled(self.set, family))?;
            let event = self.named(&lab, &mut story, family)?;
            remedy::apply(&event, &filled(family.pick(self.remedy[0], self.remedy[1]), family), &lab.router)?;
            story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        }
        // Its own questions drop nothing.
        let report = story.end()?;
        report.ensure_silent(&Expect::any().freed_in(&["inet_rtm_getroute"]))
    }

    fn named(&self, lab: &Router, story: &mut Story, family: Family) -> Result<Event> {
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let route = filled(family.pick(self.route[0], self.route[1]), family);
        let wanted = Expect::any().with(key::KIND, "drop").cause(self.cause).sure("derived").problem();
        let wanted = wanted.interface("r1").netns(&lab.router)?.flow(&sent.flow);
        let wanted = if route.is_empty() { wanted } else { wanted.with(key::ROUTE_TEXT, route) };
        let wanted = match self.table {
            Some(table) => wanted.with(key::ROUTE_TABLE, table),
            None => wanted,
        };
        let event = story.names(wanted, 1)?;
        event.says(key::SUMMARY, &filled(self.says, family))?;
        ensure!(event.at(key::UNDECIDED).is_none(), "something is open: {event}");
        Ok(event)
    }
}

fn filled(text: &str, family: Family) -> String {
    text.replace("IP", family.pick("ip", "ip -6"))
        .replace("SERVER", &SERVER.ip(family).to_string())
        .replace("CLIENT", &CLIENT.ip(family).to_string())
        .replace("NET", family.pick("10.99.2.0/24", "fd99:2::/64"))
}

#[test]
fn a_blackhole_swallows() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add blackhole SERVER",
        cause: "route_reject",
        route: ["blackhole SERVER", "blackhole SERVER dev lo metric 1024 pref medium"],
        table: Some("main"),
        says: "(table main) swallows packets to SERVER",
        remedy: ["ip route del blackhole SERVER", "ip -6 route del blackhole SERVER"],
    };
    obstacle.tell()
}

#[test]
fn an_unreachable_route_refuses() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add unreachable SERVER metric 7",
        cause: "route_reject",
        route: ["unreachable SERVER metric 7", "unreachable SERVER dev lo metric 7 pref medium"],
        table: Some("main"),
        says: "answers packets to SERVER with \"unreachable\"",
        remedy: ["route del unreachable SERVER metric 7"; 2],
    };
    obstacle.tell()
}

#[test]
fn a_prohibiting_route_of_a_routing_program_has_an_owner() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add prohibit SERVER proto bird",
        cause: "route_reject",
        route: ["prohibit SERVER proto bird", "prohibit SERVER dev lo proto bird metric 1024 pref medium"],
        table: Some("main"),
        says: "(table main) prohibits packets to SERVER",
        remedy: ["route del prohibit SERVER"; 2],
    };
    let lab = topology::router()?;
    lab.router.exec("ip route add prohibit 10.99.2.2 proto bird")?;
    let mut story = Story::of(&lab.router)?;
    let event = obstacle.named(&lab, &mut story, Family::V4)?;
    ensure!(event.text(key::OWNER) == "bird", "no owner: {event}");
    event.says(
        key::EVIDENCE,
        "without it, `10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1` (table main) leads there",
    )?;
    story.end()?;
    obstacle.tell()
}

#[test]
fn a_throw_route_ends_the_search() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add throw SERVER",
        cause: "no_route",
        route: ["throw SERVER", "throw SERVER dev lo metric 1024 pref medium"],
        table: Some("main"),
        says: "no route leads to SERVER: the route `throw SERVER",
        remedy: ["route del throw SERVER"; 2],
    };
    obstacle.tell()
}

#[test]
fn a_route_in_a_table_of_its_own_is_followed_by_its_rule() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add blackhole default table 100 && IP rule add pref 100 from CLIENT ipproto udp dport 81-9000 \
              lookup 100",
        cause: "route_reject",
        route: ["blackhole default", "blackhole default dev lo metric 1024 pref medium"],
        table: Some("100"),
        says: "(table 100) swallows packets to SERVER",
        remedy: ["route del blackhole default table 100"; 2],
    };
    obstacle.tell()
}

#[test]
fn rules_refuse_by_themselves() -> Result<()> {
    for (action, how) in [("prohibit", "prohibits"), ("blackhole", "swallows"), ("unreachable", "answers")] {
        let set: &'static str = format!("IP rule add pref 77 from CLIENT iif r1 ipproto udp dport 81 {action}").leak();
        let line: &'static str = format!("77: from CLIENT iif r1 ipproto udp dport 81 {action}").leak();
        let obstacle = Obstacle {
            set,
            cause: "route_reject",
            route: [line; 2],
            table: None,
            says: format!("the ip rule `{line}` {how}").leak(),
            remedy: ["rule del pref 77"; 2],
        };
        obstacle.tell()?;
    }
    Ok(())
}

#[test]
fn a_table_that_no_rule_leads_to_has_the_route() -> Result<()> {
    let obstacle = Obstacle {
        set: "IP route add NET dev r2 table 100 && IP rule add fwmark 0x1/0xff lookup 100 && IP route del NET dev r2",
        cause: "no_route",
        route: [""; 2],
        table: None,
        says: "no route leads to SERVER: ",
        remedy: ["rule add to SERVER lookup 100"; 2],
    };
    obstacle.tell()
}

#[test]
fn a_rule_that_does_not_hold_is_told_with_the_mark() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        lab.router.exec(&filled(
            "IP route add NET dev r2 table 100 && IP rule add pref 9 fwmark 0x1/0xff lookup 100",
            family,
        ))?;
        lab.router.exec(&filled("IP route del NET dev r2", family))?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let event = story.names(Expect::drop("IP_INNOROUTES").cause("no_route").flow(&sent.flow), 1)?;
        let rule =
            "leads there, but the ip rule `9: from all fwmark 0x1/0xff lookup 100` does not hold for this packet";
        event.says(key::EVIDENCE, &format!("{rule} (mark 0x0)"))?;
    }
    story.end().map(drop)
}

#[test]
fn no_route_at_all() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        lab.router.exec(&filled("IP route del NET dev r2", family))?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("IP_INNOROUTES").cause("no_route").sure("derived").flow(&sent.flow);
        let event = story.names(wanted, 1)?;
        let tables = family
            .pick("the tables main, default (ip rules 32766, 32767) have none", "table main (ip rule 32766) has none");
        event.says(key::SUMMARY, &format!("no route leads to {}: {tables}", SERVER.ip(family)))?;
        let told = event.texts(key::REMEDY).concat();
        ensure!(told.contains(&filled("add a route to SERVER", family)), "what to add is not told: {event}");
        lab.router.exec(&filled("IP route add NET dev r2", family))?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn class_e_is_reserved() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    let to = SocketAddr::from(([240, 0, 0, 1], 81));
    let sent = lab.client.run(|| udp::send(to, 1, 20))?;
    let event = story.names(Expect::drop("IP_INNOROUTES").cause("no_route").flow(&sent.flow), 1)?;
    event.says(key::SUMMARY, "no route leads to 240.0.0.1")?;
    event.says(key::EVIDENCE, "240.0.0.0/4 is reserved")?;
    story.end().map(drop)
}

#[test]
fn nothing_is_forwarded() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let name = family.pick("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding");
        let shown = name.replace('/', ".");
        let _off = sysctl::set(&lab.router, name, "0")?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("IP_INADDRERRORS").cause("no_route").sure("derived").problem().interface("r1");
        let wanted = wanted.with(key::SYSCTL_NAME, shown.as_str()).with(key::SYSCTL_VALUE, "0");
        let event = story.names(wanted.netns(&lab.router)?.flow(&sent.flow), 1)?;
        event.says(key::SUMMARY, &format!("{shown}=0"))?;
        remedy::apply(&event, &format!("sysctl -w {shown}=1"), &lab.router)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn one_interface_forwards_nothing() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    let _off = sysctl::set(&lab.router, "net/ipv4/conf/r1/forwarding", "0")?;
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, 81), 1, 20))?;
    let wanted = Expect::drop("IP_INADDRERRORS").cause("no_route").sure("derived").flow(&sent.flow);
    let wanted = wanted.with(key::SYSCTL_NAME, "net.ipv4.conf.r1.forwarding").with(key::SYSCTL_EFFECTIVE, "0");
    let event = story.names(wanted, 1)?;
    event.says(key::SUMMARY, "net.ipv4.conf.r1.forwarding=0: r1 does not forward packets")?;
    remedy::apply(&event, "sysctl -w net.ipv4.conf.r1.forwarding=1", &lab.router)?;
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

#[test]
fn a_source_that_stays_on_its_link() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    let source: Ipv6Addr = "fe80::c".parse()?;
    let datagram = frame::udp(source.into(), SERVER.v6.into(), (4000, 81), b"local");
    let packet = frame::Ipv6::new(source, SERVER.v6, 17).build(&datagram);
    let bytes = frame::ethernet(R1_MAC, C0_MAC, 0x86dd, &packet);
    lab.client.run(|| raw::Interface::sender("c0")?.send(&bytes))?;
    let wanted = Expect::drop("IP_INADDRERRORS").cause("no_route").sure("derived").with(key::SOURCE, "fe80::c");
    let event = story.names(wanted, 1)?;
    event.says(key::SUMMARY, "its source fe80::c is only good on its own link")?;
    story.end().map(drop)
}

#[test]
fn an_address_was_removed_while_packets_still_come() -> Result<()> {
    let lab = topology::pair()?;
    let extra = Dual { v4: Ipv4Addr::new(10, 99, 1, 4), v6: Ipv6Addr::new(0xfd99, 1, 0, 0, 0, 0, 0, 4) };
    let mac = S0_MAC.map(|byte| format!("{byte:02x}")).join(":");
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let address = extra.ip(family);
        lab.client.exec(&format!("ip neigh replace {address} lladdr {mac} dev c0 nud permanent"))?;
        let sent = lab.client.run(|| udp::send(extra.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("IP_INADDRERRORS").cause("no_route").sure("derived").problem().flow(&sent.flow);
        let event = story.names(wanted, 1)?;
        event.says(key::SUMMARY, &format!("{address} is not an address of this namespace (any more)"))?;
        let add = family.pick("ip addr add 10.99.1.4/24 dev s0", "ip -6 addr add fd99:1::4/64 dev s0");
        remedy::apply(&event, add, &lab.server)?;
        // An address of IPv6 can be bound a moment after it is there.
        let tentative = || lab.server.exec("ip -6 addr show dev s0 tentative");
        eventually("the address can be bound", || Ok(tentative()?.trim().is_empty()))?;
        story.control(udp::deliver(&lab.client, &lab.server, extra.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn routes_that_have_changed_since_are_not_blamed() -> Result<()> {
    // What is there now lets it through: it must not be called the cause.
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    lab.router.exec("ip route add blackhole 10.99.2.2")?;
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, 81), 1, 20))?;
    lab.router.exec("ip route del blackhole 10.99.2.2")?;
    let event = story.names(Expect::any().with(key::KIND, "drop").cause("route_reject").flow(&sent.flow), 1)?;
    // Who is faster is not decided: either it was seen in time, or it is told that it has changed.
    let was_seen = event.text(key::ROUTE_TEXT) == "blackhole 10.99.2.2";
    ensure!(was_seen || event.text(key::UNDECIDED).contains("it has changed since"), "{event}");
    story.end().map(drop)
}

#[test]
fn a_route_whose_link_has_no_carrier_is_not_used() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    let names = Family::BOTH.map(|family| format!("net/{}/conf/r2/ignore_routes_with_linkdown", family.name()));
    let _ignored = [sysctl::set(&lab.router, &names[0], "1")?, sysctl::set(&lab.router, &names[1], "1")?];
    lab.server.exec("ip link set s0 down")?;
    for family in Family::BOTH {
        let shown = || lab.router.exec(&filled("IP route show NET", family));
        eventually("the carrier is gone", || Ok(shown()?.contains("dead linkdown")))?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let shown = family.pick(&names[0], &names[1]).replace('/', ".");
        let wanted = Expect::drop("IP_INNOROUTES").cause("no_route").sure("derived").flow(&sent.flow);
        let event = story.names(wanted.with(key::SYSCTL_NAME, shown).with(key::SYSCTL_VALUE, "1"), 1)?;
        event.says(key::SUMMARY, "is not used while r2 has no carrier")?;
    }
    story.end().map(drop)
}

#[test]
fn more_routes_than_are_read_leave_the_kernels_own_answer() -> Result<()> {
    let lab = topology::router()?;
    let many = (0..70_000u32).map(|number| format!("fd20::{:x}:{:x}", number >> 16, number & 0xffff));
    let all = std::iter::once("fd99:2::2".to_owned()).chain(many);
    let lines: Vec<_> = all.map(|address| format!("route add blackhole {address}")).collect();
    topology::ip(&lab.router, &lines.join("\n"))?;
    let mut story = Story::of(&lab.router)?;
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V6, 81), 1, 20))?;
    let event = story.names(Expect::any().with(key::KIND, "drop").cause("route_reject").flow(&sent.flow), 1)?;
    event.says(key::EVIDENCE, "asked for its route now, the kernel answers: a blackhole (EINVAL)")?;
    ensure!(event.text(key::UNDECIDED).contains("has more than 65536 entries"), "it is not told: {event}");
    story.end().map(drop)
}
