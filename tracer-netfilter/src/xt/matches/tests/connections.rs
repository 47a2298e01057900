//! Matches on what connection tracking knows.

use super::*;
use crate::packet::Tuple;
use Truth::{No, Yes};

const INVALID: u16 = 1;
const ESTABLISHED: u16 = 2;
const NEW: u16 = 8;
const DNAT: u16 = 1 << 7;
const UNTRACKED: u16 = 1 << 8;
const STATE: u16 = 1;

fn conntrack(asked: u16, inverted: u16, states: u16, statuses: u16) -> Match {
    let mut data = vec![0; 146];
    for number in [asked, inverted, states, statuses] {
        data.extend_from_slice(&number.to_ne_bytes());
    }
    decode4("conntrack", 3, &data)
}

fn state(states: u16, known: Known<Connection>) -> Truth {
    let mut packet = syn();
    packet.connection = known;
    ask(&conntrack(STATE, 0, states, 0), &packet)
}

#[test]
fn states() {
    assert_eq!(state(NEW, connection(ConnectionState::New)), Yes);
    assert_eq!(state(ESTABLISHED | INVALID, connection(ConnectionState::New)), No);
    assert_eq!(state(INVALID, Known::Absent), Yes, "where it is not at work, every packet is invalid");
    assert_eq!(state(UNTRACKED, connection(ConnectionState::Untracked)), Yes);
    assert_eq!(state(UNTRACKED, connection(ConnectionState::Invalid)), No);
    assert_eq!(state(NEW, Known::Unknown), Truth::unknown("the state of its connection"));
}

#[test]
fn translation_is_told_by_the_status_or_by_both_ends() {
    let unknown = Truth::unknown("whether its connection is translated");
    assert_eq!(state(DNAT, connection(ConnectionState::New)), unknown);
    assert_eq!(state(DNAT | NEW, connection(ConnectionState::New)), Yes, "another state decides");
    let mut known = connection(ConnectionState::New).is().unwrap();
    known.status = Some(0x20);
    assert_eq!(state(DNAT, Known::Is(known.clone())), Yes);
    let tuple = |source: &str, destination: &str| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        source_port: 1,
        destination_port: 1,
        protocol: 6,
    };
    known.status = None;
    known.original = Some(tuple("10.0.0.1", "10.96.0.1"));
    known.reply = Some(tuple("10.0.0.2", "10.0.0.1"));
    assert_eq!(state(DNAT, Known::Is(known.clone())), Yes, "the answers come from elsewhere");
    assert_eq!(state(1 << 6, Known::Is(known)), No, "they go to where it came from");
}

#[test]
fn in_the_table_raw_nothing_is_tracked_yet() {
    let mut packet = syn();
    packet.connection = connection(ConnectionState::Established);
    let invalid = conntrack(STATE, 0, INVALID, 0);
    assert_eq!(ask_at(Hook::Prerouting, "raw", &invalid, &packet, |_| {}), Yes);
    assert_eq!(ask_at(Hook::Prerouting, "mangle", &invalid, &packet, |_| {}), No);
    let untracked = conntrack(STATE, 0, UNTRACKED, 0);
    assert_eq!(ask_at(Hook::Prerouting, "mangle", &untracked, &packet, |view| view.no_track = true), Yes);
    packet.input = device(1, "lo");
    assert_eq!(ask_at(Hook::Prerouting, "raw", &invalid, &packet, |_| {}), No, "loopback keeps the connection");
}

#[test]
fn without_a_connection_only_the_state_is_looked_at() {
    let packet = syn();
    assert_eq!(ask(&conntrack(1 << 12, 0, 0, 0), &packet), No, "the direction of no connection");
    assert_eq!(ask(&conntrack(STATE | 1 << 12, 1 << 12, INVALID, 0), &packet), Yes);
    assert_eq!(ask(&decode4("connmark", 1, &[0x10, 0, 0, 0, 0xf0]), &packet), No);
    assert_eq!(ask(&decode4("connmark", 1, &[0x11, 0, 0, 0, 0xff, 0, 0, 0, 1]), &packet), No, "inverted or not");
    assert_eq!(ask(&decode4("helper", 0, &[1]), &packet), Yes, "it has no helper");
    assert_eq!(ask(&decode4("connlabel", 0, &[1, 0, 1, 0]), &packet), Yes, "it has no label");
    let mut tracked = packet;
    tracked.connection = connection(ConnectionState::New);
    assert_eq!(ask(&decode4("connmark", 1, &[0x10, 0, 0, 0, 0xf0]), &tracked), Yes);
}

#[test]
fn direction_protocol_and_status() {
    let mut packet = syn();
    packet.connection = connection(ConnectionState::New);
    assert_eq!(ask(&conntrack(1 << 12, 0, 0, 0), &packet), Yes, "original");
    assert_eq!(ask(&conntrack(1 << 12, 1 << 12, 0, 0), &packet), No, "reply");
    assert_eq!(ask(&conntrack(1 << 6, 0, 0, 8), &packet), Truth::unknown("the status of its connection"));
    assert_eq!(ask(&conntrack(1 << 6, 0, 0, 0), &packet), No, "NONE is never so");
    let mut tcp = vec![0; 136];
    tcp.extend_from_slice(&[6_u16.to_ne_bytes(), [0; 2], [0; 2], [0; 2], [0; 2], 2_u16.to_ne_bytes()].concat());
    assert_eq!(ask(&decode4("conntrack", 3, &tcp), &packet), Yes);
}
