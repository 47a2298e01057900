use super::*;
use crate::event::Cause;
use crate::host::{Netns, NetnsName};
use crate::node::mtu::{Below, Shape};
use crate::node::neighbour::hop::{Learned, NextHop, Route as Way};

const NS: &str = "nsenter --net=/run/netns/r";

fn interface(index: u32, name: &str, mtu: u32, kind: Option<&str>) -> Interface {
    let flags = libc::IFF_UP as u32;
    Interface { index, name: name.into(), mtu, flags, kind: kind.map(Into::into), ..Interface::default() }
}

fn hop(device: u32, mtu: Option<u32>, learned: Option<Learned>) -> NextHop {
    NextHop {
        address: "10.99.2.2".parse().unwrap(),
        is_gateway: false,
        device,
        device_name: "r2".into(),
        route: Some(Way { text: "10.99.2.0/24 dev r2".into(), table: Some("main".into()), mtu, mtu_locked: false }),
        learned,
    }
}

fn forwarded() -> Mtu {
    Mtu {
        shape: Shape { length: 1428, dont_fragment: true },
        device: Some(interface(21, "r2", 1280, Some("veth"))),
        came_in_by: Some(interface(11, "r1", 1500, Some("veth"))),
        hop: Some(hop(21, None, None)),
        ..Mtu::default()
    }
}

fn told(state: &Mtu, reason: &'static str, symbol: &'static str, to: &str) -> Explanation {
    let drop = Observation {
        reason: Some(reason),
        location: Some(symbol),
        destination: to.parse().ok(),
        source: if to.contains(':') { "fd99:1::2" } else { "10.99.1.2" }.parse().ok(),
        netns_entry: Some(NS),
        ..Observation::default()
    };
    let mut explanation = Explanation::new(Cause::Mtu, Confidence::Derived, "as it was");
    refine(&mut explanation, state, &drop);
    explanation
}

fn has(told: &Explanation, remedy: &str) {
    assert!(told.remedy.iter().any(|text| text == remedy), "no {remedy} in {:#?}", told.remedy);
}

#[test]
fn the_device_is_blamed_and_made_wider() {
    let told = told(&forwarded(), "PKT_TOO_BIG", "ip_forward", "10.99.2.2");
    assert_eq!(told.summary, "1428 bytes do not fit through r2 (MTU 1280) and DF is set");
    assert_eq!(told.confidence, Confidence::Certain);
    has(&told, &format!("{NS} ip link set dev r2 mtu 1500"));
    assert!(told.remedy.last().unwrap().contains("through to 10.99.1.2: it says 1280"), "{:?}", told.remedy);
}

#[test]
fn a_route_a_learned_path_and_a_setting_are_blamed_in_their_place() {
    let route = Mtu { hop: Some(hop(21, Some(1300), None)), ..forwarded() };
    let by_route = told(&route, "PKT_TOO_BIG", "ip_forward", "10.99.2.2");
    assert!(by_route.summary.contains("(its route has mtu 1300)"), "{}", by_route.summary);
    assert_eq!(by_route.route.as_ref().unwrap().text, "10.99.2.0/24 dev r2 mtu 1300");
    has(&by_route, &format!("{NS} ip route replace 10.99.2.0/24 dev r2"));

    let learned = Learned { mtu: 1400, expires: 500 };
    let wide = Some(interface(21, "r2", 1500, None));
    let path = Mtu { hop: Some(hop(21, None, Some(learned))), device: wide.clone(), ..forwarded() };
    assert!(told(&path, "PKT_TOO_BIG", "ip_forward", "10.99.2.2").unknown.is_some(), "forwarding does not obey it");
    let obeyed = Mtu { obeys_learned: true, ..path };
    let by_path = told(&obeyed, "PKT_TOO_BIG", "ip_forward", "10.99.2.2");
    assert!(by_path.summary.contains("learned path MTU 1400"), "{}", by_path.summary);

    let setting = Mtu { device: wide, ipv6_mtu: Some(1280), ..forwarded() };
    let by_setting = told(&setting, "PKT_TOO_BIG", "ip6_forward", "fd99:2::2");
    assert_eq!(by_setting.sysctl.as_ref().unwrap()[0].name, "net.ipv6.conf.r2.mtu");
    has(&by_setting, &format!("{NS} sysctl -w net.ipv6.conf.r2.mtu=1500"));
}

#[test]
fn what_fits_by_now_is_not_blamed() {
    let wide = Mtu { device: Some(interface(21, "r2", 1500, None)), ..forwarded() };
    let told = told(&wide, "PKT_TOO_BIG", "ip_forward", "10.99.2.2");
    assert_eq!((told.summary.as_str(), told.confidence), ("as it was", Confidence::Derived));
    assert!(told.unknown.unwrap().starts_with("1428 bytes fit through r2 (MTU 1500) now"));
}

#[test]
fn a_tunnel_is_not_made_wider_than_what_carries_it() {
    let tunnel = Mtu {
        device: Some(interface(21, "vx0", 1400, Some("vxlan"))),
        below: Some(Below { interface: interface(2, "eth0", 1450, None), is_ipv6: false }),
        ..forwarded()
    };
    let narrow = told(&tunnel, "PKT_TOO_BIG", "ip_forward", "10.99.2.2");
    assert!(narrow.remedy.iter().any(|text| text.contains("can be 1400 at most")), "{:#?}", narrow.remedy);
    let room = Mtu { below: Some(Below { interface: interface(2, "eth0", 1500, None), is_ipv6: false }), ..tunnel };
    has(&told(&room, "PKT_TOO_BIG", "ip_forward", "10.99.2.2"), &format!("{NS} ip link set dev vx0 mtu 1450"));
}

#[test]
fn both_ends_of_a_virtual_link_are_named() {
    let netns = Netns { inode: 9, name: NetnsName::Named("pod".into()), doors: vec!["/run/netns/pod".into()] };
    let peer = Peer { netns, interface: interface(2, "eth0", 1280, Some("veth")), is_here: false };
    let state = Mtu { device: Some(interface(21, "r2", 1500, Some("veth"))), peer: Some(peer), ..forwarded() };
    let differ = told(&state, "NOT_SPECIFIED", "__dev_forward_skb2", "10.99.2.2");
    assert_eq!(
        differ.summary,
        "1428 bytes do not fit through the other end of r2: eth0 in pod has MTU 1280, r2 has 1500"
    );
    has(&differ, "nsenter --net=/run/netns/pod ip link set dev eth0 mtu 1500");
    has(&differ, &format!("{NS} ip link set dev r2 mtu 1280"));
    let unseen = Mtu { peer: None, ..state };
    assert_eq!(told(&unseen, "NOT_SPECIFIED", "__dev_forward_skb2", "10.99.2.2").summary, "as it was");
}

#[test]
fn the_other_end_of_a_virtual_link_is_down() {
    let netns = Netns { inode: 9, name: NetnsName::Named("pod".into()), doors: vec!["/run/netns/pod".into()] };
    let veth = |flags, mtu| Peer {
        netns: netns.clone(),
        is_here: false,
        interface: Interface { flags, mtu, ..interface(2, "eth0", 0, Some("veth")) },
    };
    let at = |length, peer| Mtu {
        shape: Shape { length, dont_fragment: false },
        device: Some(interface(21, "r2", 1500, Some("veth"))),
        peer: Some(peer),
        ..forwarded()
    };
    for (length, mtu) in [(28, 1500), (1428, 1280), (0, 1500)] {
        let said = told(&at(length, veth(0, mtu)), "NOT_SPECIFIED", "__dev_forward_skb2", "10.99.2.2");
        assert_eq!(said.summary, "the other end of r2, eth0 in pod, is down");
        assert_eq!((said.cause, said.confidence), (Cause::Device, Confidence::Derived));
        has(&said, "nsenter --net=/run/netns/pod ip link set dev eth0 up");
    }
    let up = libc::IFF_UP as u32;
    let was = told(&at(28, veth(up, 1500)), "NOT_SPECIFIED", "__dev_forward_skb2", "10.99.2.2");
    assert_eq!(was.summary, "the other end of r2, eth0 in pod, was down");
    assert_eq!((was.cause, was.confidence), (Cause::Device, Confidence::Inferred));
    assert!(was.unknown.unwrap().contains("eth0 in pod is up by now"));
}
