//! Attempts that arrived in a namespace here and were not answered.

use super::super::{explain, wanted};
use super::*;
use crate::event::{Cause, Confidence};
use crate::node::Topic;
use crate::node::route::{End, Forwarding, Routing, Setting, Told, Way as Route};
use crate::node::socket::diag::{self, TCP, UDP};
use crate::node::socket::expected::HalfOpen;
use crate::node::socket::{Absent, Expected, Held, Owner, Socket};

fn arrived(protocol: u8) -> Story {
    let at = pod();
    let asked = tuple(protocol, "10.0.0.9:40000", "10.244.1.7:8080");
    story(asked, Some(Lost::InPod { at: Arc::clone(&at) }), vec![(Arc::clone(&at), sighting(&at, asked, OUT))])
}

fn nginx(is_stopped: bool) -> Owner {
    Owner { pid: 12, comm: "nginx".to_owned(), is_stopped, ..Owner::default() }
}

fn held(socket: Socket, is_stopped: bool) -> Held {
    Held { socket, owner: Some(nginx(is_stopped)), interface: None }
}

fn listener(waiting: u32) -> Socket {
    Socket { receive_queue: waiting, ..Socket::listening(TCP, address("0.0.0.0:8080")) }
}

fn reader(unread: u32, received: u32) -> Socket {
    let memory = Some(diag::Memory { received, limit: 1000, ..diag::Memory::default() });
    Socket { receive_queue: unread, memory, ..Socket::listening(UDP, address("0.0.0.0:8080")) }
}

fn with(expected: Expected) -> State {
    state(Silence { is_local: Some(true), expected: Some(Box::new(expected)), ..Silence::default() })
}

#[test]
fn the_question_is_asked_where_the_answer_should_come_from() {
    let question = wanted(&arrived(TCP)).unwrap();
    assert_eq!((question.topic, question.netns.inode, question.time), (Topic::Silence, 2, 32 * SECOND));
    assert_eq!(question.packet.destination_port, Some(8080));
    let mut again = arrived(TCP);
    again.tuple.client.set_port(50_000);
    assert_eq!(question.case, wanted(&again).unwrap().case, "a flood of one client is one question");
    let at = Arc::new(Point { leads_to: None, ..Point::clone(&pod()) });
    assert!(wanted(&story(again.tuple, Some(Lost::InPod { at }), Vec::new())).is_none(), "nobody knows where to ask");
}

#[test]
fn without_an_answer_only_what_was_seen_is_said() {
    let told = explain(&arrived(TCP), None);
    is_well_formed(&told);
    assert_eq!(
        told.summary,
        "6 SYNs to tcp 10.244.1.7:8080 were handed to veth7 of the host, which leads to namespace web, and nothing came back"
    );
    assert_eq!((told.cause, told.confidence), (Cause::NoAnswer, Confidence::Inferred));
    let failed = State::unreadable("the namespace can't be entered".to_owned());
    let told = explain(&arrived(TCP), Some(&failed));
    assert!(told.unknown.unwrap().contains("the namespace can't be entered"));
}

#[test]
fn a_full_accept_queue_is_named_with_its_program() {
    let full = Expected { taker: Some(held(listener(129), true)), ..Expected::default() };
    let told = explain(&arrived(TCP), Some(&with(full)));
    is_well_formed(&told);
    assert!(
        told.summary.ends_with(
            "and had no answer: the accept queue of tcp 0.0.0.0:8080 (nginx[12]) is full: 129 connections wait, its \
             backlog is 128, because nginx[12] is stopped"
        ),
        "{}",
        told.summary
    );
    assert_eq!((told.cause, told.confidence), (Cause::NoAnswer, Confidence::Derived));
    assert_eq!(told.remedy[0], "kill -CONT 12");
    assert!(has(&told.remedy, "nsenter --net=/run/netns/web ss -tlnmp '( sport = :8080 )'"), "{:?}", told.remedy);
}

#[test]
fn a_stopped_tcp_program_with_room_in_its_queue_explains_nothing() {
    let told =
        explain(&arrived(TCP), Some(&with(Expected { taker: Some(held(listener(3), true)), ..Expected::default() })));
    assert_eq!(told.confidence, Confidence::Inferred, "the kernel answers SYNs for it: {told:#?}");
    assert!(told.summary.contains("has room for more (3 of 128 wait)"), "{}", told.summary);
    assert!(told.unknown.is_some());
}

#[test]
fn a_half_open_handshake_shows_that_the_answer_was_sent() {
    let half_open = Some(HalfOpen { all: 5, of_client: 2 });
    let told = explain(
        &arrived(TCP),
        Some(&with(Expected { taker: Some(held(listener(0), false)), half_open, ..Expected::default() })),
    );
    is_well_formed(&told);
    assert!(
        told.summary.contains("holds 2 half-open handshakes of 10.0.0.9, so a SYN-ACK was sent"),
        "{}",
        told.summary
    );
    assert_eq!(told.confidence, Confidence::Derived);
    assert_eq!(told.remedy[0], "nsenter --net=/run/netns/web ip route get 10.0.0.9");
    let others = Some(HalfOpen { all: 5, of_client: 0 });
    let of_others = Expected { taker: Some(held(listener(0), false)), half_open: others, ..Expected::default() };
    assert_eq!(explain(&arrived(TCP), Some(&with(of_others))).confidence, Confidence::Inferred);
}

#[test]
fn a_full_syn_queue_counts_only_without_cookies() {
    let of = |syncookies| {
        let mut expected = Expected { taker: Some(held(listener(0), false)), ..Expected::default() };
        expected.half_open = Some(HalfOpen { all: 128, of_client: 0 });
        expected.settings.syncookies = Some(syncookies);
        explain(&arrived(TCP), Some(&with(expected)))
    };
    assert!(of(0).summary.contains("the SYN queue of tcp 0.0.0.0:8080 (nginx[12]) is full"), "{}", of(0).summary);
    assert_eq!((of(0).confidence, of(1).confidence), (Confidence::Derived, Confidence::Inferred));
}

#[test]
fn udp_is_told_by_stop_by_buffer_by_unread_bytes_or_not_at_all() {
    let of = |socket, is_stopped, is_frozen| {
        let expected = Expected { taker: Some(held(socket, is_stopped)), is_frozen, ..Expected::default() };
        let told = explain(&arrived(UDP), Some(&with(expected)));
        is_well_formed(&told);
        told
    };
    for (told, part) in [
        (of(reader(0, 0), true, false), "nginx[12] is stopped, and does not read udp 0.0.0.0:8080"),
        (of(reader(0, 0), false, true), "nginx[12] is frozen with its cgroup, and does not read"),
        (
            of(reader(900, 1000), false, false),
            "the receive buffer of udp 0.0.0.0:8080 (nginx[12]) is full: 1000 of 1000 bytes",
        ),
        (of(reader(40, 768), false, false), "nginx[12] has not read the 40 bytes that wait at udp 0.0.0.0:8080"),
    ] {
        assert!(told.summary.contains(part), "{}", told.summary);
        assert!(told.summary.starts_with("6 requests to udp "), "{}", told.summary);
        assert_eq!(told.confidence, Confidence::Derived);
    }
    let idle = of(reader(0, 0), false, false);
    assert_eq!(idle.confidence, Confidence::Inferred);
    assert!(idle.summary.contains("may have read them and sent nothing"), "{}", idle.summary);
}

#[test]
fn of_sockets_that_share_a_port_one_is_not_blamed() {
    let expected = Expected { taker: Some(held(reader(40, 768), false)), alternatives: 3, ..Expected::default() };
    let told = explain(&arrived(UDP), Some(&with(expected)));
    assert_eq!(told.confidence, Confidence::Inferred);
    assert!(told.unknown.unwrap().contains("share the port"));
}

#[test]
fn nobody_listening_does_not_explain_silence_over_tcp() {
    let absent = || Some(Box::new(Absent { is_listed: true, ..Absent::default() }));
    let tcp = explain(&arrived(TCP), Some(&with(Expected { absent: absent(), ..Expected::default() })));
    is_well_formed(&tcp);
    assert!(
        tcp.summary.ends_with("nobody in namespace web listens on tcp port 8080, and not even a RST came back"),
        "{}",
        tcp.summary
    );
    assert_eq!(tcp.confidence, Confidence::Inferred);
    let udp = explain(&arrived(UDP), Some(&with(Expected { absent: absent(), ..Expected::default() })));
    assert!(udp.summary.ends_with("nobody in namespace web has udp port 8080 open"), "{}", udp.summary);
    assert_eq!(udp.confidence, Confidence::Derived, "errors are limited");
    let unlisted = Expected { absent: Some(Box::default()), ..Expected::default() };
    let told = explain(&arrived(TCP), Some(&with(unlisted)));
    assert!(told.summary.ends_with("and nothing came back"), "a list that failed: {}", told.summary);
}

#[test]
fn an_address_that_the_namespace_does_not_have_is_named() {
    let setting = |value: &str| Setting { name: "net/ipv4/ip_forward".to_owned(), value: value.to_owned() };
    let forwarding = |value| Some(Forwarding { all: setting(value), own: Some(setting(value)), set_by: Vec::new() });
    let of = |routing: Routing| {
        let addresses = vec!["10.244.1.9".parse().unwrap()];
        let routing = Some(Box::new(routing));
        let told = explain(
            &arrived(TCP),
            Some(&state(Silence { is_local: Some(false), addresses, routing, ..Silence::default() })),
        );
        is_well_formed(&told);
        told
    };
    let stays = of(Routing { forwarding: forwarding("0"), ..Routing::default() });
    let expected = "namespace web does not have the address 10.244.1.7, and does not forward";
    assert!(stays.summary.ends_with(expected), "{}", stays.summary);
    assert_eq!((stays.cause, stays.confidence), (Cause::NoAnswer, Confidence::Derived));
    assert!(has(&stays.evidence, "namespace web has the IPv4 addresses 10.244.1.9"), "{stays:#?}");
    let route =
        Told { text: "default via 10.1.1.1 dev tun0".to_owned(), device: Some("tun0".to_owned()), ..Told::default() };
    let way = Some(Route { end: End::Route(route), rule: None, passed: Vec::new() });
    let goes = of(Routing { forwarding: forwarding("1"), way, ..Routing::default() });
    assert!(goes.summary.ends_with("and is to forward them by tun0"), "{}", goes.summary);
    assert_eq!(goes.confidence, Confidence::Inferred);
}
