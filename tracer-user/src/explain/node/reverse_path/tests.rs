use std::net::Ipv4Addr;

use netlink_packet_route::route::RouteType;

use super::*;
use crate::event::Cause;
use crate::node::reverse_path::{Back, End, Route, Settings, SourceRoute};
use crate::node::sysctl::SetBy;

fn route(text: &str, device: &str, kind: RouteType) -> Back {
    let end = End::Route(Route {
        text: text.to_owned(),
        table: "main".to_owned(),
        kind,
        devices: vec![device.to_owned()],
        prefix_length: 24,
    });
    back(end)
}

const fn back(end: End) -> Back {
    Back { end, rule: None, looks_at_mark: false, is_rough: false }
}

/// A packet that came in by eth1, strict for all.
fn checked() -> Checked {
    let settings = Settings::from(|key, is_all| Some(u32::from(key == "rp_filter" && is_all)));
    Checked {
        interface: "eth1".to_owned(),
        source: Ipv4Addr::new(10, 9, 9, 9),
        destination: Ipv4Addr::new(10, 0, 0, 1),
        mark: 0,
        settings,
        back: Some(route("10.9.9.0/24 dev eth2", "eth2", RouteType::Unicast)),
        marked: None,
        has_address: Some(true),
        again: Again::Unasked,
        source_route: None,
        sender: Some([2, 0, 0, 0, 0, 1]),
        neighbour: None,
        own_sender: None,
        boot: Vec::new(),
        cilium: None,
    }
}

fn explained(reason: Option<&str>, checked: Checked) -> Explanation {
    let drop = Observation { reason, interface: Some("eth1"), ..Observation::default() };
    let mut explanation = Explanation::new(Cause::ReversePath, Confidence::Inferred, "as the event says");
    refine(&mut explanation, &ReversePath { checked: Some(Box::new(checked)) }, &drop);
    explanation
}

fn filtered(checked: Checked) -> Explanation {
    explained(Some("IP_RPFILTER"), checked)
}

#[test]
fn without_facts_the_event_stands_as_it_is() {
    let mut explanation = Explanation::new(Cause::ReversePath, Confidence::Derived, "as the event says");
    refine(&mut explanation, &ReversePath::default(), &Observation::default());
    assert_eq!(explanation, Explanation::new(Cause::ReversePath, Confidence::Derived, "as the event says"));
}

#[test]
fn the_filter_is_named_with_both_values_and_the_route_back() {
    let told = filtered(checked());
    assert_eq!(
        told.summary,
        "rp_filter=1 (strict) on eth1 refuses the source 10.9.9.9: the route back leaves by eth2 (10.9.9.0/24 dev eth2)"
    );
    assert_eq!(told.confidence, Confidence::Derived);
    let sysctl = told.sysctl.unwrap();
    assert_eq!((sysctl[0].name.as_str(), sysctl[0].value.as_str()), ("net.ipv4.conf.all.rp_filter", "1"));
    assert_eq!((sysctl[1].value.as_str(), sysctl[1].effective.as_str()), ("0", "1"));
    assert_eq!(told.route.unwrap().text, "10.9.9.0/24 dev eth2");
    assert_eq!(told.remedy, ["ip route get 10.9.9.9", "sysctl -w net.ipv4.conf.eth1.rp_filter=2"]);
    assert_eq!(told.unknown, None);
}

#[test]
fn a_remedy_is_one_that_the_check_lets_pass() {
    let nowhere = filtered(Checked { back: Some(back(End::Nowhere)), ..checked() });
    assert_eq!(nowhere.remedy.last().unwrap(), "sysctl -w net.ipv4.conf.all.rp_filter=0", "loose wants a route");
    assert!(nowhere.summary.ends_with("refuses the source 10.9.9.9: no route leads back to it"));
    let bare = filtered(Checked { has_address: Some(false), ..checked() });
    assert_eq!(bare.remedy.last().unwrap(), "sysctl -w net.ipv4.conf.all.rp_filter=0", "loose wants an address");

    let neighbour = Some(Ipv4Addr::new(10, 0, 0, 7));
    let routed = filtered(Checked { neighbour, ..checked() });
    assert_eq!(routed.remedy[1], "ip route add 10.9.9.9 via 10.0.0.7 dev eth1");
    let itself = filtered(Checked { neighbour: Some(Ipv4Addr::new(10, 9, 9, 9)), ..checked() });
    assert_eq!(itself.remedy[1], "ip route add 10.9.9.9 dev eth1");
}

#[test]
fn a_hostile_interface_name_is_quoted() {
    let settings = Settings::from(|_, is_all| Some(u32::from(!is_all)));
    let told = filtered(Checked { interface: "e$(x).1".to_owned(), settings, ..checked() });
    assert_eq!(told.remedy[1], "sysctl -w 'net.ipv4.conf.e$(x)/1.rp_filter'=2");
}

#[test]
fn what_has_changed_since_is_said_and_nothing_else() {
    let off = Settings::from(|_, _| Some(0));
    let changed = [
        Checked { settings: off, ..checked() },
        Checked { back: Some(route("10.9.9.0/24 dev eth1", "eth1", RouteType::Unicast)), ..checked() },
        Checked { again: Again::Takes, ..checked() },
        Checked { back: Some(route("local 10.9.9.9 dev lo", "lo", RouteType::Local)), ..checked() },
    ];
    for checked in changed {
        let told = filtered(checked);
        assert_eq!(told.summary, "as the event says");
        assert!(told.unknown.unwrap().starts_with("what has changed since: "));
        assert_eq!((told.sysctl, told.route, told.remedy), (None, None, vec![]));
    }
}

#[test]
fn what_could_not_be_read_is_not_claimed() {
    let unread = Settings::from(|_, _| None);
    let told = filtered(Checked { settings: unread, back: None, has_address: None, ..checked() });
    assert_eq!(told.summary, "rp_filter on eth1 refuses the source 10.9.9.9");
    assert_eq!((told.sysctl, told.route), (None, None));
    let unknown = back(End::Unknown("the route back: no memory".to_owned()));
    let told = filtered(Checked { back: Some(unknown), ..checked() });
    assert_eq!(told.summary, "rp_filter=1 (strict) on eth1 refuses the source 10.9.9.9");
    assert_eq!(told.unknown.as_deref(), Some("the route back: no memory"));
}

#[test]
fn without_a_reason_the_state_decides() {
    let of = |checked| explained(None, checked).summary;
    assert!(of(checked()).starts_with("rp_filter=1 (strict) on eth1 refuses"));
    let loopback = of(Checked { destination: Ipv4Addr::LOCALHOST, back: None, ..checked() });
    assert_eq!(loopback, "its destination 127.0.0.1 is a loopback address, and route_localnet is 0 on eth1");
    let local = of(Checked { back: Some(route("local 10.9.9.9 dev eth0", "eth0", RouteType::Local)), ..checked() });
    assert_eq!(local, "its source 10.9.9.9 is an address of this machine (on eth0), and accept_local is 0 on eth1");
    let multicast = of(Checked { source: Ipv4Addr::new(224, 0, 0, 1), back: None, ..checked() });
    assert_eq!(multicast, "its source 224.0.0.1 is a multicast address: nobody can be answered there");
    let taken = Checked { again: Again::Takes, source_route: Some(SourceRoute::Strict), ..checked() };
    assert!(of(taken).starts_with("its IP option strict source route (SSRR) is refused: accept_source_route is 0"));
    let open = explained(Some("NOT_SPECIFIED"), Checked { again: Again::Takes, ..checked() });
    assert_eq!((open.summary.as_str(), open.confidence), ("as the event says", Confidence::Inferred));
    assert_eq!(open.unknown.as_deref(), Some("what it was: the kernel would take such a packet now"));
}

#[test]
fn a_file_is_named_and_what_has_changed_it_is_not() {
    let line = |key: &str, value: &str| SetBy {
        path: "/etc/sysctl.d/99-x.conf".into(),
        line: 3,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let boot = vec![line("net.ipv4.conf.all.rp_filter", "1"), line("net.ipv4.conf.*.rp_filter", "2")];
    let told = filtered(Checked { boot, ..checked() });
    assert!(told.evidence.contains(&"/etc/sysctl.d/99-x.conf line 3 sets net.ipv4.conf.all.rp_filter = 1".to_owned()));
    let kept = "to keep it after the next boot, change /etc/sysctl.d/99-x.conf line 3";
    assert_eq!(told.remedy.iter().filter(|remedy| *remedy == kept).count(), 1);
    assert!(told.evidence.iter().any(|fact| fact.ends_with("= 2 at boot, and something has changed it since")));
}

#[test]
fn cilium_wants_it_off() {
    let told = filtered(Checked { cilium: Some("cilium_host".to_owned()), ..checked() });
    assert_eq!(told.remedy[1], "sysctl -w net.ipv4.conf.all.rp_filter=0");
    let keep = |told: &Explanation, second: &str| {
        let command = format!(
            "keep it so on the node: printf '%s = 0\\n' net.ipv4.conf.all.rp_filter {second} >> \
             /etc/sysctl.d/99-zzz-override_cilium.conf"
        );
        assert!(told.remedy.contains(&command), "{:?}", told.remedy);
    };
    let of_pod = Checked { interface: "lxc1a2b".to_owned(), cilium: Some("cilium_host".to_owned()), ..checked() };
    keep(&told, &format!("net.ipv4.conf.{}.rp_filter", checked().interface));
    keep(&filtered(of_pod), "'net.ipv4.conf.lxc*.rp_filter'");
    assert_eq!(told.owner, None, "it did not do it");
}
