//! A source that may not come in: the setting with its value and the route back are named, and what is to be tried lets
//! the same packet in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, R1_MAC, Router, S0_MAC, SERVER};
use tracer_tests::traffic::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ipv4, Ipv6, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, Mac, udp};
use tracer_tests::{Expect, Family, NetNs, Story, patience, remedy, sysctl};

/// A neighbour of the server, and not on the client's side.
const SPOOFED: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 77);
/// Of a network that no table of the topologies has.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
const SPOOFED6: Ipv6Addr = Ipv6Addr::new(0xfd99, 2, 0, 0, 0, 0, 0, 0x77);
const R2_V6: &str = "fd99:2::/64 dev r2 proto kernel metric 256 pref medium";
const PORTS: (u16, u16) = (5000, 5001);

/// A datagram that the client puts on its link as a whole frame.
struct Datagram<'a> {
    client: &'a NetNs,
    to: Mac,
    source: IpAddr,
    destination: IpAddr,
    options: Vec<u8>,
}

impl<'a> Datagram<'a> {
    fn through(lab: &'a Router, source: Ipv4Addr) -> Self {
        Self::spoofed(lab, source.into(), SERVER.v4.into())
    }

    fn spoofed(lab: &'a Router, source: IpAddr, destination: IpAddr) -> Self {
        Self { client: &lab.client, to: R1_MAC, source, destination, options: Vec::new() }
    }

    fn to(lab: &'a Pair, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        let (source, destination) = (source.into(), destination.into());
        Self { client: &lab.client, to: S0_MAC, source, destination, options: Vec::new() }
    }

    fn send(&self) -> Result<Flow> {
        let datagram = frame::udp(self.source, self.destination, PORTS, b"spoofed");
        let (ethertype, packet) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = Ipv4 { options: self.options.clone(), ..Ipv4::new(source, destination, UDP) };
                (ETHERTYPE_IPV4, header.build(&datagram))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                (ETHERTYPE_IPV6, Ipv6::new(source, destination, UDP).build(&datagram))
            }
            _ => bail!("addresses of two families"),
        };
        let frame = frame::ethernet(self.to, C0_MAC, ethertype, &packet);
        self.client.run(|| Interface::sender("c0")?.send(&frame))?;
        let ends = (SocketAddr::from((self.source, PORTS.0)), SocketAddr::from((self.destination, PORTS.1)));
        Ok(Flow { protocol: "udp", source: ends.0, destination: ends.1 })
    }

    /// Sends it once more, and returns when it was received.
    fn arrives(&self, at: &NetNs) -> Result<()> {
        let to = SocketAddr::from((self.destination, PORTS.1));
        let receiver = at.run(|| UdpSocket::bind(to).with_context(|| format!("cannot bind {to}")))?;
        receiver.set_read_timeout(Some(patience()))?;
        let flow = self.send()?;
        let (_, source) = receiver.recv_from(&mut [0; 64]).with_context(|| format!("{flow:?} did not arrive"))?;
        ensure!(source == flow.source, "from {source} instead of {flow:?}");
        Ok(())
    }
}

/// How the story of one refused source goes.
struct Case<'a> {
    datagram: Datagram<'a>,
    /// Where the check is, and the interface.
    at: (&'a NetNs, &'a str),
    server: &'a NetNs,
    reasons: &'a [&'a str],
    summary: &'a str,
    /// The setting that decides, its value and what it comes to.
    setting: Option<(&'a str, &'a str, &'a str)>,
    /// The route back and its table.
    route: Option<(&'a str, &'a str)>,
    /// A part of the remedy that is done.
    remedy: Option<&'a str>,
}

impl Case<'_> {
    fn tell(self) -> Result<Event> {
        let (namespace, interface) = self.at;
        let mut story = Story::of(namespace)?;
        let flow = self.datagram.send()?;
        let mut wanted = Expect::finest(self.reasons)?
            .cause("reverse_path")
            .sure("derived")
            .problem()
            .interface(interface)
            .netns(namespace)?
            .flow(&flow)
            .with(key::SUMMARY, self.summary);
        if let Some((name, value, effective)) = self.setting {
            wanted = wanted.with(key::SYSCTL_NAME, name);
            wanted = wanted.with(key::SYSCTL_VALUE, value).with(key::SYSCTL_EFFECTIVE, effective);
        }
        if let Some((text, table)) = self.route {
            wanted = wanted.with(key::ROUTE_TEXT, text).with(key::ROUTE_TABLE, table);
        }
        let event = story.names(wanted, 1)?;
        ensure!(event.at(key::UNDECIDED).is_none(), "something is left open: {event}");
        if let Some(part) = self.remedy {
            remedy::apply(&event, part, namespace)?;
            self.datagram.arrives(self.server)?;
        }
        story.end()?;
        Ok(event)
    }
}

const RPFILTER: &[&str] = &["IP_RPFILTER"];
const R2: &str = "10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1";
const STRICT_R1: &str = "rp_filter=1 (strict) on r1 refuses the source 10.99.2.77: the route back leaves by r2 \
                         (10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1)";

fn has(event: &Event, key: &str, part: &str) -> Result<()> {
    ensure!(event.texts(key).iter().any(|text| text.contains(part)), "no {part} in {:?} of {event}", event.texts(key));
    Ok(())
}

#[test]
fn strict_for_all_interfaces() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    let _own = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "0")?;
    let case = |remedy| Case {
        datagram: Datagram::through(&lab, SPOOFED),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: STRICT_R1,
        setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
        route: Some((R2, "main")),
        remedy: Some(remedy),
    };
    // The device's own value alone: 2 beats the 1 of all.
    let event = case("net.ipv4.conf.r1.rp_filter=2").tell()?;
    has(&event, key::EVIDENCE, "net.ipv4.conf.all.rp_filter is 1 and net.ipv4.conf.r1.rp_filter is 0")?;
    has(&event, key::EVIDENCE, "its frame was sent by 02:77:00:00:01:02 (10.99.1.2)")?;

    let _strict_again = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "0")?;
    case("ip route add 10.99.2.77 via 10.99.1.2 dev r1").tell().map(drop)
}

#[test]
fn a_node_of_cilium_wants_no_filter() -> Result<()> {
    let lab = topology::router()?;
    lab.router.exec("ip link add cilium_host type veth peer name cilium_net")?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    let case = Case {
        datagram: Datagram::through(&lab, SPOOFED),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: STRICT_R1,
        setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
        route: Some((R2, "main")),
        remedy: Some("sysctl -w net.ipv4.conf.all.rp_filter=0"),
    };
    let event = case.tell()?;
    has(&event, key::EVIDENCE, "Cilium runs here (cilium_host)")?;
    has(&event, key::REMEDY, "/etc/sysctl.d/99-zzz-override_cilium.conf")?;
    ensure!(event.at(key::OWNER).is_none(), "nobody is known to have done it: {event}");
    Ok(())
}

#[test]
fn strict_for_the_interface_of_an_asymmetric_route() -> Result<()> {
    let lab = topology::pair()?;
    lab.server.exec("ip link add d0 type veth peer name d1")?;
    lab.server.exec("ip addr add 10.77.0.1/24 dev d0 && ip link set d1 up && ip link set d0 up")?;
    let _all = sysctl::set(&lab.server, "net/ipv4/conf/all/rp_filter", "0")?;
    let _strict = sysctl::set(&lab.server, "net/ipv4/conf/s0/rp_filter", "1")?;
    let route = "10.77.0.0/24 dev d0 proto kernel scope link src 10.77.0.1";
    let case = Case {
        datagram: Datagram::to(&lab, ELSEWHERE, NEIGHBOUR.v4),
        at: (&lab.server, "s0"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: "rp_filter=1 (strict) on s0 refuses the source 10.77.0.9: the route back leaves by d0 (10.77.0.0/24 \
                  dev d0 proto kernel scope link src 10.77.0.1)",
        setting: Some(("net.ipv4.conf.s0.rp_filter", "1", "1")),
        route: Some((route, "main")),
        remedy: Some("net.ipv4.conf.s0.rp_filter=2"),
    };
    case.tell().map(drop)
}

#[test]
fn loose_without_any_route() -> Result<()> {
    let lab = topology::router()?;
    let _loose = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "2")?;
    let case = Case {
        datagram: Datagram::through(&lab, ELSEWHERE),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: "rp_filter=2 (loose) on r1 refuses the source 10.77.0.9: no route leads back to it",
        setting: Some(("net.ipv4.conf.all.rp_filter", "2", "2")),
        route: None,
        remedy: Some("net.ipv4.conf.all.rp_filter=0"),
    };
    let event = case.tell()?;
    ensure!(event.texts(key::REMEDY).iter().all(|remedy| !remedy.contains("rp_filter=2")), "{event}");
    Ok(())
}

#[test]
fn loose_on_an_interface_without_address() -> Result<()> {
    let lab = topology::router()?;
    let _loose = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "2")?;
    lab.router.exec("ip addr flush dev r1")?;
    let case = Case {
        datagram: Datagram::through(&lab, SPOOFED),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: "rp_filter=2 (loose) on r1 refuses the source 10.99.2.77: r1 has no address, so that only a route back \
                  by r1 counts (10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "2", "2")),
        route: Some((R2, "main")),
        remedy: Some("net.ipv4.conf.r1.rp_filter=0"),
    };
    case.tell().map(drop)
}

#[test]
fn the_route_back_stands_in_another_table() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1")?;
    // One rule that looks at where the answer goes, one at where it comes from.
    for (rule, text) in [
        ("to 10.77.0.0/16", "77: from all to 10.77.0.0/16 lookup 100"),
        ("from 10.99.2.2", "77: from 10.99.2.2 lookup 100"),
    ] {
        lab.router.exec(&format!("ip rule add priority 77 {rule} lookup 100"))?;
        let case = Case {
            datagram: Datagram::through(&lab, ELSEWHERE),
            at: (&lab.router, "r1"),
            server: &lab.server,
            reasons: RPFILTER,
            summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 \
                      (10.77.0.0/16 via 10.99.2.2 dev r2)",
            setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
            route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "100")),
            remedy: Some("ip route add 10.77.0.9 via 10.99.1.2 dev r1 table 100"),
        };
        let event = case.tell()?;
        has(&event, key::EVIDENCE, &format!("the rule of the routing policy that led there is {text}"))?;
        lab.router.exec("ip rule del priority 77 && ip route del 10.77.0.9 table 100")?;
    }
    Ok(())
}

#[test]
fn a_rule_for_marks_that_the_check_does_not_see() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2")?;
    lab.router.exec("ip rule add priority 77 fwmark 0x5 lookup 100")?;
    nft(
        &lab.router,
        "table ip m { chain p { type filter hook prerouting priority -150; udp dport 5001 mark set 5; }; }",
    )?;
    let case = Case {
        datagram: Datagram::through(&lab, ELSEWHERE),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 (10.77.0.0/16 via \
                  10.99.2.2 dev r2)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "1", "1")),
        route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "main")),
        remedy: Some("net.ipv4.conf.r1.src_valid_mark=1"),
    };
    let event = case.tell()?;
    has(&event, key::EVIDENCE, "the way back was looked up without the packet's mark 0x5")?;
    has(&event, key::EVIDENCE, "with the mark the route back is 10.77.0.0/16 via 10.99.1.2 dev r1 (table 100)")
}

#[test]
fn a_mark_that_leads_the_way_back_elsewhere() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "1")?;
    let _seen = sysctl::set(&lab.router, "net/ipv4/conf/r1/src_valid_mark", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1")?;
    lab.router.exec("ip rule add priority 77 fwmark 0x5/0xff lookup 100")?;
    nft(
        &lab.router,
        "table ip m { chain p { type filter hook prerouting priority -150; udp dport 5001 mark set 5; }; }",
    )?;
    let case = Case {
        datagram: Datagram::through(&lab, ELSEWHERE),
        at: (&lab.router, "r1"),
        server: &lab.server,
        reasons: RPFILTER,
        summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 (10.77.0.0/16 via \
                  10.99.2.2 dev r2)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "1", "1")),
        route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "100")),
        remedy: Some("ip route add 10.77.0.9 via 10.99.1.2 dev r1 table 100"),
    };
    let event = case.tell()?;
    has(&event, key::EVIDENCE, "that led there is 77: from all fwmark 0x5/0xff lookup 100")
}

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
        has(&event, key::REMEDY, &format!("tcpdump -nevi s0 host {source}"))?;
        has(&event, key::REMEDY, "02:77:00:00:01:02 (10.99.1.2)")?;
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
        reasons: &["NOT_SPECIFIED"],
        summary: "its IP option loose source route (LSRR) is refused: accept_source_route is 0 on s0",
        setting: Some(("net.ipv4.conf.all.accept_source_route", "0", "0")),
        route: None,
        remedy: Some("sysctl -w net.ipv4.conf.all.accept_source_route=1"),
    };
    case.tell().map(drop)
}

#[test]
fn what_has_changed_since_is_not_claimed() -> Result<()> {
    let lab = topology::router()?;
    let strict = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "1")?;
    let mut story = Story::of(&lab.router)?;
    let flow = Datagram::through(&lab, SPOOFED).send()?;
    // Both may come first: the reading, or this.
    drop(strict);
    let event = story.names(Expect::finest(RPFILTER)?.cause("reverse_path").flow(&flow), 1)?;
    let is_old = event.text(key::UNDECIDED).contains("what has changed since") && event.at(key::SYSCTL).is_none();
    ensure!(is_old || event.text(key::SUMMARY) == STRICT_R1, "{event}");
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

/// A rule of netfilter refuses the spoofed source; `removal` is the part of a remedy that takes it away.
fn refused_by_rule(lab: &Router, family: Family, removal: &str) -> Result<()> {
    let source = family.pick(SPOOFED.into(), SPOOFED6.into());
    let datagram = Datagram::spoofed(lab, source, SERVER.ip(family));
    let mut story = Story::of(&lab.router)?;
    let flow = datagram.send()?;
    let wanted = Expect::drop("NETFILTER_DROP").cause("netfilter_rule").hook("prerouting").interface("r1").flow(&flow);
    let (text, ip) = (family.pick(R2, R2_V6), family.pick("ip", "ip -6"));
    let event = story.names(wanted.with(key::ROUTE_TEXT, text).with(key::ROUTE_TABLE, "main"), 1)?;
    has(&event, key::EVIDENCE, &format!("the route back to {source} is {text} (table main)"))?;
    has(&event, key::EVIDENCE, "the rule wants the way back to leave by r1, where the packet came in")?;
    has(&event, key::REMEDY, &format!("{ip} route get {source}"))?;
    remedy::apply(&event, removal, &lab.router)?;
    datagram.arrives(&lab.server)?;
    story.end().map(drop)
}

#[test]
fn rules_of_iptables_that_look_for_a_way_back() -> Result<()> {
    let lab = topology::router()?;
    for backend in Backend::BOTH {
        for family in Family::BOTH {
            let chain = Chain { namespace: &lab.router, backend, family, table: "raw", chain: "PREROUTING" };
            // The remedy takes it away, so no guard may.
            std::mem::forget(chain.append("-p udp --dport 5001 -m rpfilter --invert -j DROP")?);
            refused_by_rule(&lab, family, "-D PREROUTING")?;
        }
    }
    Ok(())
}

#[test]
fn rules_of_nftables_that_look_for_a_way_back() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.router, "table inet t { chain c { type filter hook prerouting priority -300; }; }")?;
    for family in Family::BOTH {
        nft(&lab.router, "add rule inet t c udp dport 5001 fib saddr . iif oif missing drop")?;
        refused_by_rule(&lab, family, "nft delete rule")?;
    }
    Ok(())
}
