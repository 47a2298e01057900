//! What events say of stories, and which attempts a drop is of.

use std::sync::Arc;

use super::*;
use crate::event::{Cause, Confidence, ConntrackState, ConntrackTuple, Outcome};
use crate::flow::{Icmp, Point, Role, Sighting, Tunnel, Way};
use crate::host::{self, NetnsName};

fn endpoint(text: &str) -> Endpoint {
    let (address, port) = text.rsplit_once(':').unwrap();
    let port = Some(port.parse().unwrap()).filter(|port| *port != 0);
    Endpoint::at(address.parse().unwrap(), port)
}

fn tuple(client: &str, server: &str) -> Tuple {
    Tuple { protocol: protocol::TCP, client: client.parse().unwrap(), server: server.parse().unwrap() }
}

fn dropped(source: &str, destination: &str) -> Drop {
    Drop::between(source, destination, Explanation::new(Cause::NetfilterRule, Confidence::Certain, "a rule"))
}

fn conntrack(protocol: &str, original: [&str; 2], reply: [&str; 2]) -> Conntrack {
    let end = |text: &str| {
        let end = endpoint(text);
        ConntrackEnd { address: end.address.unwrap(), port: end.port }
    };
    let tuple = |[source, destination]: [&str; 2]| ConntrackTuple {
        protocol: protocol.into(),
        source: end(source),
        destination: end(destination),
    };
    let (original, reply) = (Some(tuple(original)), Some(tuple(reply)));
    Conntrack { state: ConntrackState::New, mark: None, status: None, original, reply }
}

/// Tuples of a drop, and whether each is one of the server's packets.
fn tuples(drop: &Drop, time: Option<u64>) -> Vec<(Tuple, bool)> {
    drops_of_attempts(drop, time).into_iter().map(|(tuple, seen)| (tuple, seen.is_answer)).collect()
}

const CLIENT: &str = "10.0.0.7:40000";
const SERVICE: &str = "10.96.0.1:80";
const POD: &str = "10.0.1.9:8080";
const NODE: &str = "192.0.2.1:50000";

#[test]
fn a_packet_may_be_of_either_side() {
    let both = [(tuple(CLIENT, POD), false), (tuple(POD, CLIENT), true)];
    assert_eq!(tuples(&dropped(CLIENT, POD), Some(7)), both);
    assert_eq!(drops_of_attempts(&dropped(CLIENT, POD), Some(7))[0].1.time, 7);
}

#[test]
fn a_translated_packet_is_of_the_connection_before_translation() {
    let connection = || Some(conntrack("tcp", [CLIENT, SERVICE], [POD, NODE]));
    for (source, destination, is_answer) in [
        (CLIENT, SERVICE, false),
        (CLIENT, POD, false),
        (NODE, POD, false),
        (POD, NODE, true),
        (POD, CLIENT, true),
        (SERVICE, CLIENT, true),
    ] {
        let drop = Drop { conntrack: connection(), ..dropped(source, destination) };
        let found = tuples(&drop, Some(7));
        assert!(found.contains(&(tuple(CLIENT, SERVICE), is_answer)), "{source} to {destination}: {found:?}");
        assert!(!found.contains(&(tuple(CLIENT, SERVICE), !is_answer)), "{source} to {destination}: {found:?}");
    }
}

#[test]
fn an_error_message_is_no_packet_of_the_attempt() {
    let mut drop = dropped("192.0.2.254:0", CLIENT);
    drop.packet.protocol = "icmp".into();
    drop.conntrack = Some(conntrack("tcp", [CLIENT, SERVICE], [POD, NODE]));
    assert_eq!(tuples(&drop, Some(7)), []);
}

#[test]
fn what_was_counted_may_be_of_any_port() {
    // Only the service's port is known.
    let counted = dropped("10.0.0.7:0", POD);
    assert_eq!(tuples(&counted, None), [(tuple("10.0.0.7:0", POD), false)]);
    let counted = dropped(POD, "10.0.0.7:0");
    assert_eq!(tuples(&counted, None), [(tuple("10.0.0.7:0", POD), true)]);
    // The last packet is known, and there were others.
    let several = Drop { count: 3, ..dropped(CLIENT, POD) };
    let found = tuples(&several, Some(7));
    assert!(found.contains(&(tuple(CLIENT, POD), false)) && found.contains(&(tuple("10.0.0.7:0", POD), false)));
}

#[test]
fn noise_and_other_protocols_are_of_no_attempt() {
    assert_eq!(tuples(&Drop { severity: Severity::Noise, ..dropped(CLIENT, POD) }, Some(7)), []);
    assert_eq!(tuples(&Drop { severity: Severity::Expected, ..dropped(CLIENT, POD) }, Some(7)).len(), 2);
    let mut drop = dropped(CLIENT, POD);
    drop.packet.protocol = "sctp".into();
    assert_eq!(tuples(&drop, Some(7)), []);
    drop.packet.protocol = "tcp".into();
    drop.packet.source.address = None;
    assert_eq!(tuples(&drop, Some(7)), []);
}

fn sighting(first: u64) -> Sighting {
    Sighting::bare(1, 2, tuple(CLIENT, SERVICE), first)
}

fn point(index: u32, name: &str) -> Arc<Point> {
    let netns = Arc::new(host::Netns { inode: 1, name: NetnsName::Host, doors: Vec::new() });
    Arc::new(Point { netns, index, name: name.into(), role: Role::Uplink, leads_to: None, kind: None })
}

#[test]
fn an_event_tells_what_each_device_saw_in_the_order_of_time() {
    let from = "192.0.2.254".parse().unwrap();
    let icmp = Icmp { from, count: 2, kind: 3, code: 4, mtu: 1400, is_ingress: true, quotes_server: false, ttl: 60 };
    let (came, left) = (|ingress| Pair { ingress, egress: 0 }, |egress| Pair { ingress: 0, egress });
    let pod = Sighting { opened: came(2), answers: left(1), answered: Some(5_000), last: 5_000, ..sighting(1_000) };
    let uplink = Sighting {
        opened: left(2),
        answers: came(1),
        answered: Some(4_000),
        icmp: Some(icmp),
        last: 9_000,
        tunnel: Some(Tunnel::Vxlan),
        ..sighting(2_000)
    };
    let story = Story {
        tuple: tuple(CLIENT, SERVICE),
        translated: Some(tuple(NODE, POD)),
        way: Way::Out,
        outcome: Outcome::NoAnswer,
        rejection: None,
        lost: None,
        sightings: vec![(point(11, "veth1"), pod), (point(2, "eth0"), uplink)],
        drops: Vec::new(),
        resent: None,
        attempts: 2,
        first: 1_000,
        last: 9_000,
        rtt: Some(4_000),
    };
    let event = flow(&story, &Clock::measure(), Explanation::new(Cause::Upstream, Confidence::Inferred, "lost"));
    let seen: Vec<String> = event
        .seen
        .iter()
        .map(|seen| {
            let name = seen.interface.name.as_deref().unwrap_or("?");
            format!("{name} {} {} {}", seen.direction, seen.packet, seen.count)
        })
        .collect();
    let expected = [
        "veth1 ingress open 2",
        "eth0 egress open 2",
        "eth0 ingress answer 1",
        "veth1 egress answer 1",
        "eth0 ingress icmp 2",
    ];
    assert_eq!(seen, expected);
    assert_eq!(event.seen[1].tunnel.as_deref(), Some("vxlan"));
    assert_eq!(event.seen[0].netns, Netns { inode: 1, name: Some("host".into()), pod: None });
    let translated = event.translated.unwrap();
    assert_eq!((translated.source, translated.destination), (endpoint(NODE), endpoint(POD)));
    assert_eq!((event.rtt_us, event.attempts, event.protocol.as_str()), (Some(4), 2, "tcp"));
}
