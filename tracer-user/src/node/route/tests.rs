//! Rules and routes by hand, followed.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use super::entry::{BLACKHOLE, DEAD, Entry, Hop, Prefix, THROW, UNICAST};
use super::lookup::{End, Flow, Passed, Tables, Without};
use super::rule::{Action, Rule};

fn flow() -> Flow {
    Flow {
        source: "10.0.0.1".parse().ok(),
        destination: "10.9.0.5".parse().unwrap(),
        protocol: Some(17),
        source_port: Some(4000),
        destination_port: Some(81),
        mark: 0x15,
        tos: Some(0x10),
        input: Some("eth0".to_owned()),
        output: None,
        user: Some(0),
        in_vrf: false,
    }
}

fn route(to: &str, length: u8, table: u32, kind: u8) -> Entry {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = length;
    message.header.kind = kind.into();
    let to: std::net::Ipv4Addr = to.parse().unwrap();
    message.attributes = vec![RouteAttribute::Destination(to.into()), RouteAttribute::Table(table)];
    if kind == UNICAST {
        message.attributes.push(RouteAttribute::Oif(3));
    }
    Entry::new(&message).unwrap()
}

fn rule(priority: u32, action: Action) -> Rule {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Priority(priority), RuleAttribute::Protocol(2.into())];
    Rule { action, ..Rule::new(&message).unwrap() }
}

fn main_only(routes: Vec<Entry>) -> Tables {
    Tables::new(vec![rule(32766, Action::Table(254))], routes)
}

#[test]
fn the_longest_prefix_decides_then_the_metric() {
    let wide = route("10.9.0.0", 16, 254, UNICAST);
    let narrow = route("10.9.0.0", 24, 254, BLACKHOLE);
    let cheap = Entry { metric: Some(1), ..route("10.9.0.0", 24, 254, UNICAST) };
    let dear = Entry { metric: Some(2), ..narrow.clone() };
    let follow = |routes: &[&Entry], is_end: &Entry| {
        let tables = main_only(routes.iter().copied().cloned().collect());
        assert_eq!(tables.follow(&flow(), Without::default()).end, End::Route(is_end));
    };
    follow(&[&wide, &narrow], &narrow);
    follow(&[&dear, &cheap, &wide], &cheap);
    let served = Entry { tos: 0x10, metric: Some(9), ..dear.clone() };
    follow(&[&cheap, &served], &served);
    let other = Entry { tos: 0x20, ..served };
    follow(&[&other, &cheap], &cheap);
}

#[test]
fn what_would_be_without_it_is_told() {
    let (wide, narrow) = (route("0.0.0.0", 0, 254, UNICAST), route("10.9.0.5", 32, 254, BLACKHOLE));
    let tables = main_only(vec![wide.clone(), narrow.clone()]);
    let without = Without { route: Some(&narrow), rule: None };
    assert_eq!(tables.follow(&flow(), without).end, End::Route(&wide));
}

#[test]
fn a_throw_ends_its_table_only() {
    let throw = route("10.9.0.0", 24, 100, THROW);
    let tables = Tables::new(
        vec![rule(5, Action::Table(100)), rule(9, Action::Table(254))],
        vec![route("0.0.0.0", 0, 254, UNICAST), throw.clone(), route("0.0.0.0", 0, 100, UNICAST)],
    );
    let way = tables.follow(&flow(), Without::default());
    assert!(matches!(way.end, End::Route(route) if route.table == 254));
    assert_eq!(way.passed, [(&tables.rules[0], 100, Passed::Throw(&throw))]);
}

#[test]
fn dead_routes_and_suppressed_ones_are_passed_over() {
    let dead =
        Entry { hops: vec![Hop { flags: DEAD, device: 3, ..Hop::default() }], ..route("10.9.0.0", 24, 254, UNICAST) };
    let tables = main_only(vec![dead.clone()]);
    let way = tables.follow(&flow(), Without::default());
    assert_eq!((way.end, &way.passed[0].2), (End::Nothing, &Passed::Dead(&dead)));

    let wide = route("0.0.0.0", 0, 254, UNICAST);
    let narrowing = Rule { suppressed_length: Some(0), ..rule(7, Action::Table(254)) };
    let tables = Tables::new(vec![narrowing], vec![wide.clone()]);
    let way = tables.follow(&flow(), Without::default());
    assert_eq!((way.end, &way.passed[0].2), (End::Nothing, &Passed::Suppressed(&wide)));
    assert_eq!(tables.elsewhere(&flow(), &tables.follow(&flow(), Without::default())), Vec::<&Entry>::new());
}

#[test]
fn jumps_lead_forward() {
    let tables = Tables::new(
        vec![
            rule(1, Action::Goto(9, false)),
            rule(5, Action::Refuse(8)),
            rule(9, Action::Nothing),
            rule(10, Action::Goto(1, false)),
            rule(11, Action::Refuse(6)),
        ],
        Vec::new(),
    );
    assert!(matches!(tables.follow(&flow(), Without::default()).end, End::Refused(rule) if rule.priority == 11));
}

#[test]
fn rules_ask_all_that_they_say() {
    let any = rule(1, Action::Refuse(8));
    let net = |address: &str, length| Some(Prefix { address: address.parse().unwrap(), length });
    let cases: [(Rule, Option<bool>); 14] = [
        (any.clone(), Some(true)),
        (Rule { is_inverted: true, ..any.clone() }, Some(false)),
        (Rule { from: net("10.0.0.0", 8), ..any.clone() }, Some(true)),
        (Rule { from: net("11.0.0.0", 8), is_inverted: true, ..any.clone() }, Some(true)),
        (Rule { to: net("10.9.0.5", 32), ..any.clone() }, Some(true)),
        (Rule { mark: Some((0x5, Some(0xf))), ..any.clone() }, Some(true)),
        (Rule { mark: Some((0x5, None)), ..any.clone() }, Some(false)),
        (Rule { input: Some("eth0".to_owned()), ..any.clone() }, Some(true)),
        (Rule { output: Some("eth0".to_owned()), ..any.clone() }, Some(false)),
        (Rule { ip_protocol: Some(17), destination_ports: Some((80, 90)), ..any.clone() }, Some(true)),
        (Rule { source_ports: Some((1, 9)), ..any.clone() }, Some(false)),
        (Rule { tunnel: Some(7), ..any.clone() }, None),
        (Rule { is_strange: true, ..any.clone() }, None),
        (Rule { is_strange: true, from: net("11.0.0.0", 8), ..any }, Some(false)),
    ];
    for (rule, expected) in cases {
        assert_eq!(rule.holds(&flow()), expected, "{}", rule.line());
    }
    let users = Rule { users: Some((5, 9)), ..rule(1, Action::Nothing) };
    assert_eq!(users.holds(&Flow { user: None, ..flow() }), None, "a socket whose owner is not known");
}

#[test]
fn an_undecided_rule_ends_what_can_be_said() {
    let tables = Tables::new(vec![Rule { is_strange: true, ..rule(1, Action::Nothing) }], Vec::new());
    assert_eq!(tables.follow(&flow(), Without::default()).end, End::Undecided(&tables.rules[0]));
}

#[test]
fn prefixes_hold_addresses_of_their_family() {
    let holds = |net: &str, length, address: &str| {
        Prefix { address: net.parse().unwrap(), length }.contains(address.parse().unwrap())
    };
    assert!(holds("0.0.0.0", 0, "255.1.2.3") && holds("::", 0, "fd00::1"));
    assert!(holds("10.9.0.0", 31, "10.9.0.1") && !holds("10.9.0.0", 31, "10.9.0.2"));
    assert!(holds("fd00::", 127, "fd00::1") && !holds("fd00::", 128, "fd00::1"));
    assert!(!holds("0.0.0.0", 0, "::"));
    assert!(holds("10.0.0.1", 200, "10.0.0.1"), "a length that is none");
}

#[test]
fn names_are_quoted_where_a_shell_reads_them() {
    let route = route("10.9.0.0", 24, 77, UNICAST);
    let names = |_| Some("a;b".to_owned());
    assert_eq!(route.key(&names, |name| format!("'{name}'")), "10.9.0.0/24 dev 'a;b' table 77");
    let rule = Rule { input: Some("a;b".to_owned()), detached: (true, false), ..rule(4, Action::Refuse(8)) };
    assert_eq!(rule.key(|name| format!("'{name}'")), "pref 4 from all iif 'a;b' prohibit");
    assert_eq!(rule.line(), "4: from all iif a;b [detached] prohibit");
}

#[test]
fn a_route_that_makes_no_sense_is_none() {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 33;
    assert_eq!(Entry::new(&message), None);
    message.header.address_family = AddressFamily::Mpls;
    assert_eq!(Entry::new(&message), None);
}
