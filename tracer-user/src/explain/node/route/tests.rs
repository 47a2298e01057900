//! What is said of what was read.

use crate::event::{Cause, Confidence, Explanation};
use crate::explain::{Observation, judge};
use crate::node::route::{
    BLACKHOLE, End, Forwarding, Next, PROHIBIT, Passed, Routing, Setting, Told, ToldRule, UNREACHABLE, Way, Why,
};
use crate::node::{Facts, State};

fn drop(symbol: &'static str, reason: Option<&'static str>) -> Observation<'static> {
    Observation {
        reason,
        location: Some(symbol),
        ethertype: 0x0800,
        protocol: Some(17),
        source: "10.99.1.2".parse().ok(),
        destination: "10.99.3.5".parse().ok(),
        destination_port: Some(81),
        ttl: Some(1),
        interface: Some("r1"),
        netns_entry: Some("nsenter --net=/run/netns/r"),
        ..Observation::default()
    }
}

fn ipv6(drop: Observation<'static>) -> Observation<'static> {
    Observation { ethertype: 0x86dd, source: "fd99:1::2".parse().ok(), destination: "fd99:3::5".parse().ok(), ..drop }
}

fn explained(drop: &Observation<'_>, routing: Routing) -> Explanation {
    let read = std::time::SystemTime::UNIX_EPOCH;
    let state = State { read, facts: Facts::Route(Box::new(routing)), unknown: Vec::new() };
    judge(&Observation { state: Some(&state), ..*drop }).explanation
}

fn told(text: &str, kind: u8) -> Told {
    Told { text: text.to_owned(), table: "main".to_owned(), key: text.to_owned(), kind, ..Told::default() }
}

fn way(end: End) -> Way {
    let main = Passed { priority: 32766, table: "main".to_owned(), why: Why::Empty };
    let local = Passed { priority: 0, table: "local".to_owned(), why: Why::Empty };
    let passed = if end == End::Nothing { vec![local, main] } else { vec![local] };
    Way { end, rule: Some("32766: from all lookup main".to_owned()), passed }
}

fn leading(end: End) -> Routing {
    Routing { way: Some(way(end)), input: Some("r1".to_owned()), ..Routing::default() }
}

#[test]
fn a_route_that_refuses_is_named_with_its_table() {
    let mut routing = leading(End::Route(told("blackhole 10.99.3.0/24 proto bird", BLACKHOLE)));
    routing.otherwise = Some(End::Nothing);
    let explained = explained(&drop("ip_error", Some("NOT_SPECIFIED")), routing);
    assert_eq!(
        explained.summary,
        "the route `blackhole 10.99.3.0/24 proto bird` (table main) swallows packets to 10.99.3.5"
    );
    assert_eq!((explained.cause, explained.confidence), (Cause::RouteReject, Confidence::Derived));
    assert_eq!(explained.route.unwrap().table.as_deref(), Some("main"));
    assert_eq!(explained.owner.as_deref(), Some("bird"));
    assert!(explained.evidence.contains(&"without it, no route leads there".to_owned()));
    let command = "nsenter --net=/run/netns/r ip route del blackhole 10.99.3.0/24 proto bird";
    assert_eq!(explained.remedy[1], command);
    assert!(explained.remedy[2].starts_with("add a route to 10.99.3.5"), "{:?}", explained.remedy);
}

#[test]
fn a_rule_that_refuses_is_named() {
    let rule = |kind| {
        let text = "100: from 10.99.1.2 prohibit".to_owned();
        leading(End::Rule(ToldRule { text, key: "pref 100 from 10.99.1.2 prohibit".to_owned(), kind }))
    };
    let refused = explained(&drop("ip_error", Some("NOT_SPECIFIED")), rule(PROHIBIT));
    let summary = "the ip rule `100: from 10.99.1.2 prohibit` prohibits packets from 10.99.1.2 to 10.99.3.5";
    assert_eq!(refused.summary, summary);
    assert_eq!(refused.remedy, ["nsenter --net=/run/netns/r ip rule del pref 100 from 10.99.1.2 prohibit"]);
    // A rule of type unreachable is told as no route by the kernel.
    let unreachable = explained(&drop("ip_error", Some("IP_INNOROUTES")), rule(UNREACHABLE));
    assert_eq!(unreachable.cause, Cause::RouteReject);
}

#[test]
fn a_route_of_ipv6_corrects_the_cause() {
    let drop = ipv6(drop("ip6_pkt_discard", Some("IP_INNOROUTES")));
    let routing = leading(End::Route(told("unreachable fd99:3::/64 dev lo metric 1024 pref medium", UNREACHABLE)));
    let explained = explained(&drop, routing);
    assert_eq!(explained.cause, Cause::RouteReject);
    assert!(explained.remedy[0].contains("ip -6 route del unreachable fd99:3::/64"), "{:?}", explained.remedy);
}

#[test]
fn no_route_tells_the_tables_that_were_asked() {
    let explained = explained(&drop("ip_error", Some("IP_INNOROUTES")), leading(End::Nothing));
    assert_eq!(explained.summary, "no route leads to 10.99.3.5: table main (ip rule 32766) has none");
    assert_eq!(explained.cause, Cause::NoRoute);
}

#[test]
fn what_does_not_fit_is_not_blamed() {
    let unicast = || leading(End::Route(told("default via 10.99.2.2 dev r2", 1)));
    for (symbol, reason) in [
        ("ip_error", "NOT_SPECIFIED"),
        ("ip_error", "IP_INNOROUTES"),
        ("ip6_pkt_discard", "IP_INNOROUTES"),
        ("ip6_pkt_prohibit", "IP_INNOROUTES"),
        ("dst_discard_out", "NOT_SPECIFIED"),
        ("__ip_queue_xmit", "IP_OUTNOROUTES"),
    ] {
        let drop = drop(symbol, Some(reason));
        let plain = judge(&drop).explanation;
        let explained = explained(&drop, unicast());
        assert_eq!((&explained.summary, explained.cause), (&plain.summary, plain.cause), "{symbol}");
        assert!(explained.unknown.is_some_and(|unknown| unknown.contains("it has changed since")), "{symbol}");
        assert_eq!(explained.route, None, "{symbol}");
    }
    // A refusal of another kind than the place is for.
    let blackhole = leading(End::Route(told("blackhole default", BLACKHOLE)));
    assert_eq!(explained(&drop("ip6_pkt_prohibit", Some("IP_INNOROUTES")), blackhole).route, None);
}

#[test]
fn nothing_read_changes_nothing() {
    for symbol in ["ip_error", "ip6_forward", "ip_forward", "dst_discard", "__ip_queue_xmit", "tcp_v4_rcv"] {
        for reason in [None, Some("IP_INADDRERRORS"), Some("IP_INHDR"), Some("NOT_SPECIFIED")] {
            let drop = drop(symbol, reason);
            let plain = judge(&drop).explanation;
            assert_eq!(explained(&drop, Routing::default()).summary, plain.summary, "{symbol} {reason:?}");
        }
    }
}

fn forwarding(all: &str, own: &str) -> Routing {
    let setting = |name: &str, value: &str| Setting { name: name.to_owned(), value: value.to_owned() };
    Routing {
        input: Some("r1".to_owned()),
        is_local: Some(false),
        forwarding: Some(Forwarding {
            all: setting("net/ipv4/ip_forward", all),
            own: Some(setting("net/ipv4/conf/r1/forwarding", own)),
            set_by: Vec::new(),
        }),
        ..Routing::default()
    }
}

#[test]
fn the_switch_that_is_off_is_named() {
    let drop = drop("ip_error", Some("IP_INADDRERRORS"));
    let all = explained(&drop, forwarding("0", "0"));
    assert!(all.summary.starts_with("net.ipv4.ip_forward=0: this namespace does not forward"), "{}", all.summary);
    let names: Vec<_> = all.sysctl.unwrap().into_iter().map(|sysctl| sysctl.name).collect();
    assert_eq!(names, ["net.ipv4.ip_forward", "net.ipv4.conf.r1.forwarding"]);
    assert_eq!(all.remedy[0], "nsenter --net=/run/netns/r sysctl -w net.ipv4.conf.r1.forwarding=1");
    let own = explained(&drop, forwarding("1", "0"));
    assert!(own.summary.starts_with("net.ipv4.conf.r1.forwarding=0: r1 does not forward"), "{}", own.summary);
    let on = explained(&drop, forwarding("1", "1"));
    assert!(on.sysctl.is_none() && on.unknown.is_some_and(|unknown| unknown.contains("now r1 forwards")));
}

#[test]
fn an_address_of_the_interfaces_own_network_is_missing() {
    let missing = Routing { subnet: Some(24), ..forwarding("0", "0") };
    let explained = explained(&drop("ip_error", Some("IP_INADDRERRORS")), missing);
    assert!(explained.summary.starts_with("10.99.3.5 is not an address of this namespace (any more)"));
    assert_eq!(explained.remedy[1], "nsenter --net=/run/netns/r ip addr add 10.99.3.5/24 dev r1");
}

#[test]
fn a_kernel_without_reasons_is_told_by_the_live_state() {
    let off = explained(&drop("ip_error", None), forwarding("0", "0"));
    assert_eq!((off.cause, off.confidence), (Cause::NoRoute, Confidence::Derived));
    let blackhole = leading(End::Route(told("blackhole default", BLACKHOLE)));
    assert_eq!(explained(&drop("ip_error", None), blackhole).cause, Cause::RouteReject);
}

fn going_on(link: [u8; 6], is_back: bool) -> Routing {
    let next = Next {
        address: "10.99.2.2".parse().unwrap(),
        is_router: true,
        device: "r2".to_owned(),
        is_back,
        link: Some(link.to_vec()),
    };
    Routing { next: Some(next), from: Some([2; 6]), ..leading(End::Route(told("10.99.3.5 via 10.99.2.2 dev r2", 1))) }
}

#[test]
fn a_loop_needs_its_evidence() {
    let drop = drop("ip_forward", Some("IP_INHDR"));
    let circle = explained(&drop, going_on([2; 6], true));
    assert!(
        circle.summary.starts_with("routing loop: the route `10.99.3.5 via 10.99.2.2 dev r2`"),
        "{}",
        circle.summary
    );
    assert_eq!((circle.cause, circle.confidence), (Cause::Ttl, Confidence::Derived));
    for other in [going_on([3; 6], true), going_on([2; 6], false)] {
        let plain = explained(&drop, other);
        assert!(!plain.summary.contains("loop"), "{}", plain.summary);
        assert!(plain.unknown.is_some(), "whether it is one is open");
    }
}

#[test]
fn a_block_of_calico_is_not_to_be_deleted() {
    let mut routing = leading(End::Route(told("blackhole 10.99.3.0/26 proto 80", BLACKHOLE)));
    routing.otherwise = Some(End::Nothing);
    let said = explained(&drop("ip_error", None), routing);
    assert_eq!(said.owner.as_deref(), Some("calico"));
    assert_eq!(said.remedy, ["find out what still sends there: no pod of this node has that address (any more)"]);
    assert!(said.evidence.iter().any(|fact| fact.starts_with("proto 80")), "{:?}", said.evidence);
    let other = leading(End::Route(told("blackhole 10.99.3.0/26 proto static", BLACKHOLE)));
    let said = explained(&drop("ip_error", None), other);
    assert!(said.owner.is_none() && said.remedy.iter().any(|step| step.contains("route del")), "{:?}", said.remedy);
}
