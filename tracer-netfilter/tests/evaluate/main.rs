//! Random rulesets of nf_tables and a packet, run by the kernel and by ourselves.
//!
//! Needs root. The oracle is the kernel: the counter in front of the drop that it made. `WHYDROP_ROUNDS` and
//! `WHYDROP_SEED` ask for more than the usual.

#![expect(clippy::expect_used, reason = "a test that can't be set up fails")]

mod generate;
#[path = "../namespace/mod.rs"]
mod namespace;

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use namespace::Namespace;
use tracer_netfilter::evaluate::walk;
use tracer_netfilter::ipset::IpSet;
use tracer_netfilter::model::{Elements, Expression, Hook, Place, Ruleset, Table, Verdict};
use tracer_netfilter::nft;
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Mark, Packet, Tuple};
use tracer_netfilter::walk::{Layer, Outcome, Question, Walk};
use tracer_netfilter::world::{RouteAnswer, RouteQuestion, Unanswered, World};

const SENDER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const DEVICE: &str = "wdin";
/// Rulesets that are tried, and where their randomness starts.
const ROUNDS: u64 = 200;
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// Only sets are asked for.
struct Sets;

impl World for Sets {
    fn elements(&self, table: &Table, set: &str) -> Result<Arc<Elements>, Unanswered> {
        nft::elements(table, set).map(Arc::new).map_err(|error| error.to_string())
    }

    fn ipset(&self, _index: u16) -> Result<Arc<IpSet>, Unanswered> {
        Err("ipsets".into())
    }

    fn address_kind(&self, address: IpAddr, _device: u32) -> Result<u8, Unanswered> {
        if address == RECEIVER { Ok(2) } else { Err("what it is".into()) }
    }

    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        let is_neighbour = question.destination == IpAddr::from(SENDER);
        Ok(RouteAnswer { output: if is_neighbour { 2 } else { 0 }, kind: 1 })
    }

    fn device(&self, _index: u32) -> Result<Device, Unanswered> {
        Ok(device())
    }
}

fn device() -> Device {
    Device {
        index: 2,
        name: DEVICE.into(),
        hardware: Some(1),
        group: Some(0),
        kind: Some("veth".into()),
        master: Some(0),
    }
}

/// UDP with four bytes, as the receiver's device sees it.
fn packet(sport: u16, dport: u16) -> Packet {
    let mut bytes = vec![0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0];
    bytes.extend(SENDER.octets());
    bytes.extend(RECEIVER.octets());
    bytes.extend(sport.to_be_bytes());
    bytes.extend(dport.to_be_bytes());
    bytes.extend([0, 12, 0, 0]);
    bytes.extend(b"drop");
    let tuple = |source: Ipv4Addr, destination: Ipv4Addr, source_port, destination_port| {
        Some(Tuple {
            source: source.into(),
            destination: destination.into(),
            source_port,
            destination_port,
            protocol: 17,
        })
    };
    let connection = Connection {
        state: ConnectionState::New,
        is_reply: false,
        mark: Some(0),
        status: Some(0),
        original: tuple(SENDER, RECEIVER, sport, dport),
        reply: tuple(RECEIVER, SENDER, dport, sport),
    };
    Packet {
        ethertype: 0x0800,
        bytes,
        link: None,
        network: Some(0),
        transport: Some(20),
        protocol: Some(17),
        fragment_offset: 0,
        length: Some(32),
        source: Some(SENDER.into()),
        destination: Some(RECEIVER.into()),
        source_port: Some(sport),
        destination_port: Some(dport),
        input: Known::Is(device()),
        output: Known::Absent,
        bridge_input: Known::Absent,
        bridge_output: Known::Absent,
        mark: Mark::Before(0),
        connection: Known::Is(connection),
        socket: Known::Absent,
        packet_type: Some(0),
        vlan: None,
        cpu: None,
    }
}

fn read() -> Ruleset {
    let nft::Reading { generation, tables, gaps } = nft::read().expect("the rules can be read");
    assert_eq!(gaps, Vec::<String>::new());
    Ruleset { generation, tables, gaps }
}

/// The rule that dropped a packet, by its counter.
fn dropped_by(ruleset: &Ruleset) -> Option<Place> {
    let mut found = Vec::new();
    for (table, rules) in ruleset.tables.iter().enumerate() {
        for (chain, rules) in rules.chains.iter().enumerate() {
            let numbers = 1..=u32::try_from(rules.rules.len()).expect("few rules");
            for place in numbers.map(|number| Place { table, chain, number }) {
                let rule = ruleset.rule(place).expect("it is there").expect("it can be read");
                let is_drop = rule.expressions.contains(&Expression::Verdict(Verdict::Drop));
                if is_drop && rule.counter.is_some_and(|counter| counter.packets > 0) {
                    found.push(place);
                }
            }
        }
    }
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

/// Whether what we say fits what the kernel did: `Some(true)` if we were sure of it.
fn fits(walk: &Walk, kernel: Option<Place>) -> Option<bool> {
    let sure = walk.candidates.iter().position(|candidate| candidate.unknown.is_empty());
    match kernel {
        None => (walk.outcome != Outcome::Dropped).then_some(walk.outcome == Outcome::Accepted),
        Some(place) => {
            let index = walk.candidates.iter().position(|candidate| candidate.place == place)?;
            sure.is_none_or(|sure| index <= sure).then_some(walk.candidates.len() == 1 && sure.is_some())
        }
    }
}

/// Two namespaces with a cable between them; the second has the rules.
fn cable() -> (Namespace, Namespace) {
    let (sender, receiver) = (Namespace::new(), Namespace::new());
    let other = receiver.name();
    sender.run(&format!(
        "ip link add wdout type veth peer name {DEVICE} index 2 netns {other}; ip addr add {SENDER}/24 dev wdout; \
         ip link set wdout up"
    ));
    receiver.run(&format!("ip addr add {RECEIVER}/24 dev {DEVICE}; ip link set {DEVICE} up"));
    sender.run(&format!("ping -c1 -W2 {RECEIVER}"));
    (sender, receiver)
}

fn asked(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(usual).max(1)
}

/// Loads rules that nft takes: two conditions may not fit each other.
fn load(receiver: &Namespace, random: &mut generate::Random) -> String {
    for _ in 0..50 {
        let rules = generate::ruleset(random);
        let input = format!("flush ruleset\n{rules}");
        if receiver.run_with("nft -f - 2>/dev/null || echo refused", &input).is_empty() {
            return rules;
        }
    }
    panic!("nft takes none of these rules")
}

#[test]
fn the_kernel_drops_where_we_say() {
    let (sender, receiver) = cable();
    let (rounds, seed) = (asked("WHYDROP_ROUNDS", ROUNDS), asked("WHYDROP_SEED", SEED));
    let mut random = generate::Random::new(seed);
    let (mut dropped, mut sure) = (0, 0);
    for round in 0..rounds {
        let (sport, dport) = (20_000 + (round % 20_000) as u16, 5_001);
        let rules = load(&receiver, &mut random);
        sender.inside(|| {
            let socket = UdpSocket::bind((SENDER, sport)).expect("a free port");
            socket.send_to(b"drop", (RECEIVER, dport)).expect("it can be sent");
        });
        std::thread::sleep(Duration::from_millis(3));
        let packet = packet(sport, dport);
        let (kernel, walk) = receiver.inside(|| {
            let ruleset = read();
            let question =
                Question { packet: &packet, hook: Hook::Input, layer: Layer::Ip, backend: None, verbose: true };
            (dropped_by(&ruleset), walk(&ruleset, &question, &Sets))
        });
        dropped += u64::from(kernel.is_some());
        match fits(&walk, kernel) {
            Some(is_sure) => sure += u64::from(is_sure),
            None => panic!("round {round}: the kernel dropped by {kernel:?}, we say {walk:#?} of\n{rules}"),
        }
    }
    println!("{dropped} of {rounds} dropped, {sure} told for sure");
    assert!(dropped > rounds / 5, "only {dropped} packets were dropped at all");
    assert!(sure > rounds * 3 / 4, "only {sure} of {rounds} were told for sure");
}
