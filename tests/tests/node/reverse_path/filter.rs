//! `rp_filter`, strict and loose, for all interfaces and for one.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, kernel, sysctl};

use super::{Case, Datagram, ELSEWHERE, RPFILTER, SPOOFED, STRICT_R1};

#[test]
fn strict_for_all_interfaces() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    let _own = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "0")?;
    let case = |remedy| Case {
        setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
        remedy: Some(remedy),
        ..Case::at_router(&lab, SPOOFED)
    };
    // The device's own value alone: 2 beats the 1 of all.
    let event = case("net.ipv4.conf.r1.rp_filter=2").tell()?;
    event.says(key::EVIDENCE, "net.ipv4.conf.all.rp_filter is 1 and net.ipv4.conf.r1.rp_filter is 0")?;
    event.says(key::EVIDENCE, "its frame was sent by 02:77:00:00:01:02 (10.99.1.2)")?;

    let _strict_again = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "0")?;
    case("ip route add 10.99.2.77 via 10.99.1.2 dev r1").tell().map(drop)
}

#[test]
fn a_node_of_cilium_wants_no_filter() -> Result<()> {
    let lab = topology::router()?;
    lab.router.exec("ip link add cilium_host type veth peer name cilium_net")?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    let case = Case {
        setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
        remedy: Some("sysctl -w net.ipv4.conf.all.rp_filter=0"),
        ..Case::at_router(&lab, SPOOFED)
    };
    let event = case.tell()?;
    event.says(key::EVIDENCE, "Cilium runs here (cilium_host)")?;
    event.says(key::REMEDY, "/etc/sysctl.d/99-zzz-override_cilium.conf")?;
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
        summary: "rp_filter=2 (loose) on r1 refuses the source 10.77.0.9: no route leads back to it",
        setting: Some(("net.ipv4.conf.all.rp_filter", "2", "2")),
        route: None,
        remedy: Some("net.ipv4.conf.all.rp_filter=0"),
        ..Case::at_router(&lab, ELSEWHERE)
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
        summary: "rp_filter=2 (loose) on r1 refuses the source 10.99.2.77: r1 has no address, so that only a route back \
                  by r1 counts (10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "2", "2")),
        remedy: Some("net.ipv4.conf.r1.rp_filter=0"),
        ..Case::at_router(&lab, SPOOFED)
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
    // Without a reason it may have been another check that is passed now.
    let open =
        if kernel::tells_reasons() { "what has changed since" } else { "the kernel would take such a packet now" };
    let is_old = event.text(key::UNDECIDED).contains(open) && event.at(key::SYSCTL).is_none();
    ensure!(is_old || event.text(key::SUMMARY) == STRICT_R1, "{event}");
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}
