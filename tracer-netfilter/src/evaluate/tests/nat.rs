//! Address translation, and what chains before and behind it see.

use super::Policy::{Accept, Drop};
use super::*;

fn tuple(source: &str, destination: &str, (sport, dport): (u16, u16)) -> Tuple {
    let (source, destination) = (ip(source), ip(destination));
    Tuple { source, destination, source_port: sport, destination_port: dport, protocol: 6 }
}

/// 10.0.0.1:4000 > 10.96.0.1:80, sent on to 10.0.0.2:22.
fn service(state: ConnectionState, status: Option<u32>) -> Packet {
    let connection = Connection {
        state,
        is_reply: false,
        mark: None,
        status,
        original: Some(tuple("10.0.0.1", "10.96.0.1", (4000, 80))),
        reply: Some(tuple("10.0.0.2", "10.0.0.1", (22, 4000))),
    };
    Packet { connection: Known::Is(connection), ..tcp() }
}

fn filter(priority: i32, expressions: &[Expression]) -> Firewall {
    Firewall::nft().base("c", Hook::Prerouting, priority, Accept).rule(&[expressions, &drop()])
}

#[test]
fn chains_before_nat_saw_the_service() {
    let packet = service(ConnectionState::New, Some(0x20));
    let tell = |firewall: &Firewall| firewall.tell(&packet, Hook::Prerouting);
    assert_eq!(tell(&filter(-50, &daddr("10.0.0.2"))), "c 1: Drop; Dropped");
    assert_eq!(tell(&filter(-50, &daddr("10.96.0.1"))), "Accepted");
    assert_eq!(tell(&filter(-150, &daddr("10.0.0.2"))), "Accepted");
    // It would have been dropped before, but was seen behind: the rules must have been others.
    let early = filter(-150, &[daddr("10.96.0.1"), dport(80)].concat());
    let walk = early.ask(&packet, Hook::Prerouting);
    assert_eq!(early.words(&walk), "Open");
    assert_eq!(walk.unknown, ["rule 1 of chain c in table ip t would drop it, but with other addresses"]);
    // Marks by the service's address are set before, and met behind.
    let marked = Firewall::nft()
        .base("mangle", Hook::Prerouting, -150, Accept)
        .rule(&[&daddr("10.96.0.1"), &dport(80), &set_mark(1, 1)])
        .base("late", Hook::Prerouting, 0, Accept)
        .rule(&[&daddr("10.0.0.2"), &dport(22), &mark(1, 1), &drop()]);
    let packet = Packet { mark: Mark::After(1), ..service(ConnectionState::Established, Some(0x2a)) };
    let walk = marked.ask(&packet, Hook::Prerouting);
    assert_eq!(marked.words(&walk), "late 1: Drop; Dropped");
    assert_eq!(marked.name(walk.candidates[0].marks[0]), "mangle 1");
}

#[test]
fn a_packet_seen_with_the_services_address_was_dropped_before_nat() {
    let mut packet = ipv4("10.0.0.1", "10.96.0.1", 6, (4000, 80));
    packet.connection = service(ConnectionState::Established, Some(0x2a)).connection;
    assert_eq!(filter(-150, &daddr("10.96.0.1")).tell(&packet, Hook::Prerouting), "c 1: Drop; Dropped");
    assert_eq!(filter(-50, &daddr("10.96.0.1")).tell(&packet, Hook::Prerouting), "Open");
}

#[test]
fn answers_are_translated_back() {
    // 10.0.0.2:22 > 10.0.0.1:4000, which leaves as from the service.
    let mut packet = ipv4("10.96.0.1", "10.0.0.1", 6, (80, 4000));
    packet.connection = service(ConnectionState::Established, Some(0x2a)).connection;
    if let Known::Is(connection) = &mut packet.connection {
        connection.is_reply = true;
    }
    let at = |priority: i32, address: &str| {
        Firewall::nft().base("c", Hook::Postrouting, priority, Accept).rule(&[&saddr(address), &drop()])
    };
    assert_eq!(at(150, "10.96.0.1").tell(&packet, Hook::Postrouting), "c 1: Drop; Dropped");
    assert_eq!(at(0, "10.96.0.1").tell(&packet, Hook::Postrouting), "Accepted");
    assert_eq!(at(0, "10.0.0.2").tell(&packet, Hook::Postrouting), "Open", "seen behind, so not dropped before");
}

#[test]
fn only_the_first_packet_of_a_connection_passes_nat_chains() {
    let nat = Firewall::nft().typed(ChainKind::Nat, "nat", Hook::Prerouting, -100, Accept).rule(&[&drop()]);
    let tell = |state, status| {
        let connection = Connection { state, is_reply: false, mark: None, status, original: None, reply: None };
        nat.tell(&Packet { connection: Known::Is(connection), ..tcp() }, Hook::Prerouting)
    };
    assert_eq!(tell(ConnectionState::New, Some(0)), "nat 1: Drop; Dropped");
    assert_eq!(tell(ConnectionState::New, None), "nat 1: Drop; Dropped");
    assert_eq!(tell(ConnectionState::New, Some(8)), "Accepted", "confirmed: not the first");
    for state in [ConnectionState::Established, ConnectionState::Invalid, ConnectionState::Untracked] {
        assert_eq!(tell(state, Some(0)), "Accepted");
    }
    let unknown = Packet { connection: Known::Unknown, ..tcp() };
    let hangs = "nat 1: Drop if whether it is the first packet of its connection; Open";
    assert_eq!(nat.tell(&unknown, Hook::Prerouting), hangs);
    assert_eq!(nat.tell(&Packet { connection: Known::Absent, ..tcp() }, Hook::Prerouting), "Accepted");
}

#[test]
fn nat_chains_stand_where_translation_stands_and_stop_at_the_first() {
    let load = |address: [u8; 4]| Expression::Immediate { data: address.to_vec(), register: R };
    let dnat = Expression::Nat { kind: NatKind::Destination, family: 2, address: Some((R, R)), port: None, flags: 1 };
    let firewall = Firewall::nft()
        .typed(ChainKind::Nat, "second", Hook::Output, -50, Accept)
        .rule(&[&drop()])
        .typed(ChainKind::Nat, "first", Hook::Output, -150, Accept)
        .rule(&[&daddr("10.0.0.2"), &[load([10, 0, 0, 9]), dnat]])
        .base("early", Hook::Output, -120, Accept)
        .rule(&[&daddr("10.0.0.9"), &drop()])
        .base("late", Hook::Output, 0, Accept)
        .rule(&[&daddr("10.0.0.9"), &dport(22), &drop()]);
    let packet = with_mark(Mark::Before(0));
    assert_eq!(firewall.tell(&packet, Hook::Output), "late 1: Drop; Dropped");
}

#[test]
fn an_address_that_is_not_known_decides_nothing() {
    let masquerade = [Expression::Masquerade { port: None, flags: 0 }];
    let redirect = [Expression::Redirect { port: None, flags: 0 }];
    let with = |expressions: &[Expression], rule: Vec<Expression>| {
        Firewall::nft()
            .typed(ChainKind::Nat, "nat", Hook::Prerouting, -100, Drop)
            .rule(&[expressions])
            .base("late", Hook::Prerouting, 0, Accept)
            .rule(&[&rule, &drop()])
    };
    let packet = with_mark(Mark::Before(0));
    let hangs = "late 1: Drop if bytes of the packet that were not kept; Open";
    let walk = with(&redirect, daddr("10.0.0.7")).ask(&packet, Hook::Prerouting);
    assert_eq!(walk.unknown, ["the address after NAT"]);
    assert_eq!(with(&redirect, daddr("10.0.0.7")).words(&walk), hangs);
    assert_eq!(with(&redirect, saddr("10.0.0.1")).tell(&packet, Hook::Prerouting), "late 1: Drop; Dropped");
    assert_eq!(with(&masquerade, saddr("10.0.0.1")).tell(&packet, Hook::Prerouting), hangs);
    // A rule that may translate.
    let maybe = with(&[&limit()[..], &redirect[..]].concat(), daddr("10.0.0.7"));
    assert!(maybe.tell(&packet, Hook::Prerouting).ends_with(hangs));
}
