//! What targets do to marks and to the packet's fate.

use std::sync::Arc;

use super::*;
use crate::evaluate::MarkState;
use crate::ipset::IpSet;
use crate::model::{Backend, Elements, Hook, Table};
use crate::packet::{self, Connection, ConnectionState, Device, Known, Packet};
use crate::world::{RouteAnswer, RouteQuestion, Unanswered, World};

struct Nowhere;

impl World for Nowhere {
    fn elements(&self, _table: &Table, _set: &str) -> Result<Arc<Elements>, Unanswered> {
        Err(String::new())
    }

    fn ipset(&self, _index: u16) -> Result<Arc<IpSet>, Unanswered> {
        Err(String::new())
    }

    fn address_kind(&self, _address: std::net::IpAddr, _device: u32) -> Result<u8, Unanswered> {
        Err(String::new())
    }

    fn route(&self, _question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        Err(String::new())
    }

    fn device(&self, _index: u32) -> Result<Device, Unanswered> {
        Err(String::new())
    }
}

/// A TCP segment with these flags, of a connection in this state.
fn packet(tcp_flags: u8, state: Option<ConnectionState>) -> Packet {
    let mut bytes = vec![0; 40];
    bytes[33] = tcp_flags;
    let connection =
        |state| Connection { state, is_reply: false, mark: None, status: None, original: None, reply: None };
    Packet {
        ethertype: packet::ETH_P_IP,
        bytes,
        link: None,
        network: Some(0),
        transport: Some(20),
        protocol: Some(6),
        fragment_offset: 0,
        length: Some(40),
        source: None,
        destination: None,
        source_port: None,
        destination_port: None,
        input: Known::Unknown,
        output: Known::Unknown,
        bridge_input: Known::Unknown,
        bridge_output: Known::Unknown,
        mark: packet::Mark::Before(0),
        connection: state.map_or(Known::Unknown, |state| Known::Is(connection(state))),
        socket: Known::Unknown,
        packet_type: None,
        vlan: None,
        cpu: None,
    }
}

/// Applies a target to a packet whose mark and connection mark are these, and gives what they are then, with the bits
/// that are known.
fn applied(target: &Target, packet: &Packet, marks: (u32, u32), sure: bool) -> (Effect, (u32, u32), (u32, u32), bool) {
    let table = Table::new(Backend::Legacy, Family::Ip, "mangle");
    let state = |mark| MarkState::new(packet::Mark::Before(mark), false);
    let mut view = View {
        packet,
        world: &Nowhere,
        hook: Hook::Prerouting,
        table: &table,
        mark: state(marks.0),
        connection_mark: state(marks.1),
        no_track: false,
    };
    let effect = target.apply(&mut view, sure);
    (effect, view.mark.bits(), view.connection_mark.bits(), view.no_track)
}

fn decode(name: &str, revision: u8, data: &[u8]) -> Target {
    Target::decode(name, revision, Family::Ip, data).unwrap()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn connection_mark(words_: [u32; 3], shift: [u8; 2], mode: u8) -> Target {
    decode("CONNMARK", 2, &[words(&words_), vec![shift[0], shift[1], mode, 0]].concat())
}

const KNOWN_WHOLLY: u32 = u32::MAX;

#[test]
fn marks_are_set_as_the_kernel_does() {
    let packet = packet(0, Some(ConnectionState::New));
    let set = decode("MARK", 2, &words(&[0x10, 0xf0]));
    assert_eq!(applied(&set, &packet, (0xab, 0), true).1, (0x1b, KNOWN_WHOLLY));
    assert_eq!(applied(&set, &packet, (0xab, 0), false).1, (0x0b, !0xb0), "perhaps: bit 4, 5 and 7 may have changed");
    let toggle = decode("MARK", 2, &words(&[0x400, 0]));
    assert_eq!(applied(&toggle, &packet, (0x401, 0), true).1, (1, KNOWN_WHOLLY));
    for (revision, data, wanted) in [
        (0, [0x5, 0, 0, 0].to_vec(), 0x5),
        (1, [0x5, 0, 0, 0].to_vec(), 0x5),
        (1, [0xf, 0, 1, 0].to_vec(), 0xb),
        (1, [0x100, 0, 2, 0].to_vec(), 0x1ab),
    ] {
        let old = decode("MARK", revision, &words(&data));
        assert_eq!(applied(&old, &packet, (0xab, 0), true).1.0, wanted, "{old:?}");
    }
}

#[test]
fn connection_marks_are_saved_and_restored() {
    let packet = packet(0, Some(ConnectionState::Established));
    let marks = |target: &Target, marks| {
        let (_, mark, connection, _) = applied(target, &packet, marks, true);
        ((mark.0, connection.0), mark.1 & connection.1)
    };
    let save = connection_mark([0, 0xff00, 0xff], [0, 8], 1);
    assert_eq!(marks(&save, (0x12ab, 0x5678)), ((0x12ab, 0xab78), KNOWN_WHOLLY));
    let restore = connection_mark([0, 0xff00, 0xff], [1, 8], 2);
    assert_eq!(marks(&restore, (0x12ab, 0x5678)), ((0x1256, 0x5678), KNOWN_WHOLLY));
    let set = connection_mark([0x10, 0xf0, 0], [0, 0], 0);
    assert_eq!(marks(&set, (0, 0xab)), ((0, 0x1b), KNOWN_WHOLLY));
}

#[test]
fn without_a_connection_there_is_no_connection_mark() {
    let restore = connection_mark([0, u32::MAX, u32::MAX], [0, 0], 2);
    for state in [ConnectionState::Invalid, ConnectionState::Untracked] {
        assert_eq!(applied(&restore, &packet(0, Some(state)), (7, 9), true).1, (7, KNOWN_WHOLLY));
    }
    let (_, (value, known), ..) = applied(&restore, &packet(0, None), (7, 9), true);
    assert_eq!((value, known), (1, !0b1110), "restored or not, only the bits that are the same are known");
}

#[test]
fn fates() {
    let some = packet(0, Some(ConnectionState::New));
    let fate = |target: &Target| applied(target, &some, (0, 0), true).0;
    assert_eq!(fate(&decode("REJECT", 0, &words(&[3]))), Effect::Ends(End::Reject("icmp-port-unreachable".to_owned())));
    assert_eq!(fate(&decode("REJECT", 0, &words(&[7]))), Effect::Ends(End::Reject("tcp-reset".to_owned())));
    let queue = decode("NFQUEUE", 3, &[5, 0, 1, 0, 1, 0]);
    assert_eq!(fate(&queue), Effect::Ends(End::Queue { number: 5, bypass: true }));
    assert_eq!(fate(&decode("SNAT", 0, &[0; 20])), Effect::Accept);
    assert_eq!(fate(&decode("LOG", 0, &[0; 32])), Effect::Continue);
    assert_eq!(fate(&decode("NOSUCH", 0, &[])), Effect::Unknown("the target NOSUCH".to_owned()));
}

#[test]
fn the_transparent_proxy_perhaps_sets_the_mark() {
    let target = decode("TPROXY", 0, &words(&[1, 1, 0, 0]));
    let (effect, (value, known), ..) = applied(&target, &packet(0, None), (0, 0), true);
    assert_eq!((effect, value, known), (Effect::Ends(End::TransparentProxy), 0, !1));
}

#[test]
fn synproxy_takes_only_what_opens_a_connection() {
    let target = decode("SYNPROXY", 0, &[0; 4]);
    let fate = |flags| applied(&target, &packet(flags, None), (0, 0), true).0;
    assert_eq!(fate(0x02), Effect::Ends(End::SynProxy), "SYN");
    assert_eq!(fate(0x10), Effect::Ends(End::SynProxy), "ACK");
    assert_eq!(fate(0x18), Effect::Ends(End::SynProxy), "ACK, PSH");
    assert_eq!(fate(0x12), Effect::Continue, "SYN, ACK");
    assert_eq!(fate(0x11), Effect::Continue, "FIN, ACK");
}

#[test]
fn only_a_new_packet_is_left_untracked() {
    let target = decode("CT", 2, &[&[1, 0][..], &[0; 62]].concat());
    let untracked = |state, sure| applied(&target, &packet(0, state), (0, 0), sure).3;
    assert!(untracked(None, true) && untracked(Some(ConnectionState::Untracked), true));
    assert!(!untracked(None, false), "perhaps is not surely");
    assert!(!untracked(Some(ConnectionState::Established), true));
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..50_000_usize {
        let name = KNOWN[round % KNOWN.len()];
        let length = (random() % 300) as usize;
        // Small numbers are often valid ones.
        let wide = random() % 2 == 0;
        let data: Vec<u8> = (0..length).map(|_| if wide { random() as u8 } else { random() as u8 % 4 }).collect();
        let family = if random() % 2 == 0 { Family::Ip } else { Family::Ip6 };
        if let Ok(target) = Target::decode(name, (random() % 4) as u8, family, &data) {
            assert!(target.text(family).starts_with("-j "));
        }
    }
}

#[test]
fn a_newer_revision_leaves_the_rest_of_the_rule_readable() {
    let target = Target::decode("MARK", 9, Family::Ip, &[0; 8]).unwrap();
    assert_eq!(target, Target::Unknown { name: "MARK".to_owned(), revision: 9, data: vec![0; 8] });
    assert!(Target::decode("MARK", 2, Family::Ip, &[0; 7]).is_err(), "cut short");
}
