//! Who opened the connection that a packet is of.

#![allow(clippy::unnecessary_wraps, reason = "made as the event has it, where each of them may be absent")]

use super::super::ends::{Opener, of_drop};
use super::*;
use crate::event::{Conntrack, ConntrackEnd, ConntrackState, ConntrackTuple};

fn plain(source: &str, destination: &str) -> Drop {
    Drop::between(source, destination, Explanation::new(Cause::NetfilterRule, Confidence::Certain, ""))
}

fn opener(client: &str, server: &str, protocol: Protocol, port: u16) -> Option<Opener> {
    Some(Opener { client: client.parse().unwrap(), server: server.parse().unwrap(), protocol, port })
}

fn tuple(protocol: &str, source: &str, destination: &str) -> Option<ConntrackTuple> {
    let end = |text: &str| {
        let end: std::net::SocketAddr = text.parse().unwrap();
        ConntrackEnd { address: end.ip(), port: Some(end.port()) }
    };
    Some(ConntrackTuple { protocol: protocol.into(), source: end(source), destination: end(destination) })
}

fn tracked(protocol: &str, original: (&str, &str), reply: (&str, &str)) -> Option<Conntrack> {
    Some(Conntrack {
        state: ConntrackState::Established,
        mark: None,
        status: None,
        original: tuple(protocol, original.0, original.1),
        reply: tuple(protocol, reply.0, reply.1),
    })
}

#[test]
fn a_syn_is_of_the_client_and_its_answer_of_the_server() {
    let open = opener(CLIENT, WEB, Protocol::Tcp, 8080);
    assert_eq!(of_drop(&plain("10.1.0.5:40000", "10.2.0.9:8080")), open);
    let mut answer = plain("10.2.0.9:8080", "10.1.0.5:40000");
    answer.packet.tcp_flags = Some("SA".into());
    assert_eq!(of_drop(&answer), open);
}

#[test]
fn other_packets_are_told_by_the_ports_of_clients_or_not_at_all() {
    let udp = |source: &str, destination: &str| {
        let mut drop = plain(source, destination);
        (drop.packet.protocol, drop.packet.tcp_flags) = ("udp".into(), None);
        of_drop(&drop)
    };
    let dns = opener(CLIENT, WEB, Protocol::Udp, 53);
    assert_eq!((udp("10.1.0.5:40000", "10.2.0.9:53"), udp("10.2.0.9:53", "10.1.0.5:40000")), (dns, dns));
    assert_eq!(udp("10.1.0.5:500", "10.2.0.9:500"), None);
    assert_eq!(udp("10.1.0.5:40000", "10.2.0.9:40001"), None);
    let mut unknown = plain("10.1.0.5:40000", "10.2.0.9:8080");
    unknown.packet.protocol = "gre".into();
    assert_eq!(of_drop(&unknown), None);
}

#[test]
fn connection_tracking_knows_the_server_behind_a_service() {
    let mut drop = plain("10.1.0.5:40000", "10.96.0.10:80");
    drop.packet.tcp_flags = Some("A".into());
    drop.conntrack = tracked("tcp", ("10.1.0.5:40000", "10.96.0.10:80"), ("10.2.0.9:8080", "10.1.0.5:40000"));
    assert_eq!(of_drop(&drop), opener(CLIENT, WEB, Protocol::Tcp, 8080));
    // An ICMP error about the connection is none of its packets.
    drop.packet.protocol = "icmp".into();
    assert_eq!(of_drop(&drop), None);
}

#[test]
fn policies_are_about_who_opened_it_also_for_its_answers() {
    let mut answer = by_engine("calico", &["web"]);
    std::mem::swap(&mut answer.packet.source, &mut answer.packet.destination);
    answer.packet.tcp_flags = Some("SA".into());
    let said = refined(answer, &shop(&[]));
    assert!(said.summary.contains("shop/client → shop/web tcp 8080 (ingress)"), "{}", said.summary);
}

#[test]
fn a_dropped_answer_does_not_contradict_policies_that_allow_the_connection() {
    let mut answer = by_engine("calico", &["out"]);
    std::mem::swap(&mut answer.packet.source, &mut answer.packet.destination);
    answer.packet.tcp_flags = Some("SA".into());
    let said = refined(answer, &shop(&[("app", "client")]));
    assert_eq!((said.cause, said.policy.unwrap().contradiction), (Cause::NetfilterRule, None));
    assert_eq!(said.evidence, ["the network policies allow it: rule 1 of NetworkPolicy shop/web allows it"]);
}

#[test]
fn a_services_address_and_an_unknown_pod_are_not_evaluated() {
    let mut cluster = shop(&[]);
    let ranges = ["10.1.0.0/16".parse().unwrap()].into();
    let node = tracer_policy::model::Node {
        name: "n1".into(),
        labels: Labels::default(),
        addresses: ["192.0.2.1".parse().unwrap()].into(),
        pod_ranges: ranges,
    };
    cluster.apply(Change::Object(Object::Node(node)));
    let from = |address: &str| {
        let mut drop = by_engine("calico", &[]);
        drop.packet.source.address = Some(address.parse().unwrap());
        refined(drop, &cluster).cause
    };
    assert_eq!(from("10.1.0.77"), Cause::NetfilterRule, "a pod that is not known may have the label");
    assert_eq!(from("203.0.113.7"), Cause::NetworkPolicy);
    assert_eq!(from("192.0.2.1"), Cause::NetworkPolicy, "a node is known");
}
