//! Attempts and answers that were lost on this node.

use super::super::{explain, wanted};
use super::*;
use crate::event::{Cause, Confidence, Netns as Where};
use crate::flow::DropSeen;
use crate::node::program::Program;
use crate::node::reverse_path::{Combined, Setting as ReversePath};
use crate::node::route::{End, Forwarding, LOCAL, Routing, Setting, Told, UNICAST, Way as Route};
use crate::node::silence::Standing;
use crate::node::socket::diag::TCP;
use crate::node::socket::{Expected, Held, Socket};

fn between() -> Story {
    let from = uplink();
    let asked = tuple(TCP, "198.51.100.7:40000", "10.244.1.7:8080");
    story(asked, Some(Lost::Between { from: Arc::clone(&from) }), vec![(Arc::clone(&from), sighting(&from, asked, IN))])
}

fn forwarding(value: &str) -> Forwarding {
    let setting = |name: &str| Setting { name: name.to_owned(), value: value.to_owned() };
    let own = Some(setting("net/ipv4/conf/eth0/forwarding"));
    Forwarding { all: setting("net/ipv4/ip_forward"), own, set_by: Vec::new() }
}

fn by(route: Option<Told>) -> Route {
    let end = route.map_or(End::Nothing, End::Route);
    Route { end, rule: None, passed: Vec::new() }
}

fn foreign(value: &str, way: Route, programs: Vec<Standing>) -> State {
    let input = Some("eth0".to_owned());
    let (forwarding, way) = (Some(forwarding(value)), Some(way));
    let routing = Routing { input, forwarding, way, is_local: Some(false), ..Routing::default() };
    state(Silence { is_local: Some(false), routing: Some(Box::new(routing)), programs, ..Silence::default() })
}

fn route(kind: u8, device: &str) -> Told {
    let text = format!("10.244.1.0/24 dev {device}");
    Told { text, table: "main".to_owned(), kind, device: Some(device.to_owned()), ..Told::default() }
}

#[test]
fn a_node_that_does_not_forward_is_named_with_the_setting() {
    let question = wanted(&between()).unwrap();
    assert_eq!((question.netns.inode, question.packet.came_in_by), (1, 2));
    let told = explain(&between(), Some(&foreign("0", by(None), Vec::new())));
    is_well_formed(&told);
    assert!(
        told.summary
            .starts_with("6 SYNs to tcp 10.244.1.7:8080 came in by eth0 of the host and went no further: net.ipv4."),
        "{}",
        told.summary
    );
    assert_eq!((told.cause, told.confidence), (Cause::NoRoute, Confidence::Derived));
    assert!(told.sysctl.is_some() && has(&told.remedy, "sysctl -w net.ipv4."), "{told:#?}");
}

#[test]
fn no_route_and_a_local_route_are_told_apart() {
    let nothing = explain(&between(), Some(&foreign("1", by(None), Vec::new())));
    assert!(nothing.summary.contains("no route leads to 10.244.1.7"), "{}", nothing.summary);
    assert_eq!(nothing.cause, Cause::NoRoute);
    let proxy = explain(&between(), Some(&foreign("1", by(Some(route(LOCAL, "lo"))), Vec::new())));
    is_well_formed(&proxy);
    assert!(proxy.summary.contains("hands them to a program there"), "{}", proxy.summary);
    assert_eq!((proxy.cause, proxy.confidence), (Cause::NoAnswer, Confidence::Inferred));
}

#[test]
fn a_program_that_may_redirect_is_named_and_not_blamed() {
    let program =
        Program { id: 41, name: "cil_from_netdev".to_owned(), kind: "sched_cls".to_owned(), ..Program::default() };
    let standing = vec![Standing { at: "tcx ingress".to_owned(), program }];
    let told = explain(&between(), Some(&foreign("1", by(Some(route(UNICAST, "veth7"))), standing)));
    is_well_formed(&told);
    assert!(told.summary.contains("were to leave by veth7, and were not seen there"), "{}", told.summary);
    assert!(told.summary.contains("cil_from_netdev at tcx ingress may have redirected them"), "{}", told.summary);
    assert_eq!((told.cause, told.confidence), (Cause::Unknown, Confidence::Inferred));
    assert_eq!(told.program.unwrap().attach, "eth0 tcx ingress");
    let without = explain(&between(), Some(&foreign("1", by(Some(route(UNICAST, "veth7"))), Vec::new())));
    assert!(without.program.is_none() && !without.summary.contains("redirected"));
}

#[test]
fn a_drop_is_the_explanation() {
    let drop = |confidence, summary: &str, count| DropSeen {
        netns: Where { inode: 1, name: Some("host".to_owned()), pod: None },
        time: 3 * SECOND,
        count,
        is_answer: false,
        tuple: between().tuple,
        explanation: Explanation::new(Cause::NetfilterRule, confidence, summary),
    };
    let mut story = between();
    story.drops = vec![
        drop(Confidence::Derived, "some rule", 9),
        drop(Confidence::Certain, "rule 1 of chain FORWARD dropped it", 5),
        // Its RST is what the rule dropped.
        DropSeen {
            explanation: Explanation::new(Cause::NoSocket, Confidence::Certain, "nobody has tcp port 8080"),
            ..drop(Confidence::Certain, "", 20)
        },
    ];
    assert!(wanted(&story).is_none());
    let told = explain(&story, None);
    is_well_formed(&told);
    assert_eq!(told.summary, "rule 1 of chain FORWARD dropped it");
    assert_eq!((told.cause, told.confidence), (Cause::NetfilterRule, Confidence::Certain));
    assert!(
        has(&told.evidence, "5 of the packets of 198.51.100.7:40000 to tcp 10.244.1.7:8080 were dropped in the host"),
        "{told:#?}"
    );
    assert!(has(&told.evidence, "another of its packets was dropped: some rule"));
}

fn elsewhere() -> Story {
    let (asked, answered) = (uplink(), device(3, "eth1", Role::Uplink));
    let ends = tuple(TCP, "10.0.0.4:1025", "203.0.113.9:443");
    let mut back = sighting(&answered, ends, Pair::default());
    back.answers = Pair { ingress: 2, egress: 0 };
    let seen = vec![(Arc::clone(&asked), sighting(&asked, ends, OUT)), (Arc::clone(&answered), back)];
    story(ends, Some(Lost::AnswerElsewhere { asked, answered }), seen)
}

#[test]
fn an_answer_by_another_device_names_both() {
    let question = wanted(&elsewhere()).unwrap();
    assert_eq!((question.packet.came_in_by, question.packet.destination_port), (3, None));
    assert_eq!(question.packet.source, Some("203.0.113.9".parse().unwrap()), "the answer is asked about");
    let of = |rp_filter| {
        let reverse_path = Some(ReversePath::new("rp_filter", Combined::Higher, Some(rp_filter), Some(0)));
        let told =
            explain(&elsewhere(), Some(&state(Silence { is_local: Some(true), reverse_path, ..Silence::default() })));
        is_well_formed(&told);
        told
    };
    let strict = of(1);
    assert!(
        strict.summary.starts_with(
            "6 SYNs to tcp 203.0.113.9:443 left by eth0 of the host, and the SYN-ACK came in by eth1 of the host"
        ),
        "{}",
        strict.summary
    );
    assert_eq!((strict.cause, strict.confidence), (Cause::ReversePath, Confidence::Inferred));
    assert!(has(&strict.remedy, "sysctl -w net.ipv4.conf.eth1.rp_filter=2"), "{strict:#?}");
    assert_eq!(strict.sysctl.as_ref().unwrap()[0].name, "net.ipv4.conf.all.rp_filter");
    let loose = of(2);
    assert_eq!(loose.cause, Cause::Unknown);
    assert!(loose.sysctl.is_none() && loose.unknown.unwrap().contains("INVALID"));
}

#[test]
fn a_lost_answer_is_told_where_it_was_last_seen() {
    let from = uplink();
    let ends = tuple(TCP, "10.244.1.5:40000", "203.0.113.9:443");
    let mut seen = sighting(&from, ends, OUT);
    seen.answers = Pair { ingress: 4, egress: 0 };
    let story = story(ends, Some(Lost::Answer { from: Arc::clone(&from) }), vec![(from, seen)]);
    let told = explain(&story, None);
    is_well_formed(&told);
    assert_eq!(
        told.summary,
        "4 SYN-ACKs of tcp 203.0.113.9:443 came in by eth0 of the host and did not get to 10.244.1.5:40000"
    );
    assert_eq!((told.cause, told.confidence), (Cause::Unknown, Confidence::Inferred));
    let stays = explain(&story, Some(&foreign("0", by(None), Vec::new())));
    assert!(stays.summary.contains("did not get to 10.244.1.5:40000: net.ipv4."), "{}", stays.summary);
    assert_eq!((stays.cause, stays.confidence), (Cause::NoRoute, Confidence::Derived));
}

#[test]
fn answers_that_nobody_confirms_are_told_with_the_servers_queue() {
    let (out, behind) = (uplink(), pod());
    let ends = tuple(TCP, "198.51.100.7:40000", "10.244.1.7:8080");
    let one = Pair { ingress: 1, egress: 0 };
    let mut first = sighting(&out, ends, one);
    first.answers = Pair { ingress: 0, egress: 5 };
    let mut second = sighting(&behind, ends, Pair { ingress: 0, egress: 1 });
    second.answers = Pair { ingress: 5, egress: 0 };
    let lost = Some(Lost::Unconfirmed { at: Arc::clone(&out) });
    let mut story = story(ends, lost, vec![(out, first), (behind, second)]);
    story.attempts = 1;
    assert_eq!(wanted(&story).unwrap().netns.inode, 2, "who answered is asked");
    let told = explain(&story, None);
    is_well_formed(&told);
    assert!(
        told.summary.starts_with(
            "5 SYN-ACKs of tcp 10.244.1.7:8080 left by eth0 of the host for 198.51.100.7, again and again"
        ),
        "{}",
        told.summary
    );
    assert_eq!((told.cause, told.confidence), (Cause::Upstream, Confidence::Inferred));
    let of = |waiting| {
        let socket = Socket { receive_queue: waiting, ..Socket::listening(TCP, address("0.0.0.0:8080")) };
        let taker = Some(Held { socket, owner: None, interface: None });
        let expected = Some(Box::new(Expected { taker, ..Expected::default() }));
        explain(&story, Some(&state(Silence { is_local: Some(true), expected, ..Silence::default() })))
    };
    assert!(
        of(129).summary.contains("the accept queue of tcp 0.0.0.0:8080 is full (129 connections wait"),
        "{:?}",
        of(129)
    );
    assert_eq!((of(129).cause, of(129).confidence), (Cause::NoAnswer, Confidence::Derived));
    assert_eq!((of(3).cause, of(3).confidence), (Cause::Upstream, Confidence::Inferred));
}
