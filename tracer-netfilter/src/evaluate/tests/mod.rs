//! Rulesets made by hand, and packets that meet them.

mod expressions;
mod flow;
mod hooks;
mod hostile;
mod loads;
mod marks;
mod nat;
mod random;

use random::Random;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::walk_with;
use crate::ipset::IpSet;
use crate::model::*;
use crate::packet::*;
use crate::walk::*;
use crate::world::{RouteAnswer, RouteQuestion, Unanswered, World};

/// A ruleset with its rules as they are meant, and what the node knows.
#[derive(Default)]
struct Firewall {
    ruleset: Ruleset,
    rules: HashMap<Place, Rule>,
    elements: HashMap<String, Arc<Elements>>,
    routes: HashMap<IpAddr, RouteAnswer>,
    kinds: HashMap<IpAddr, u8>,
}

impl World for Firewall {
    fn elements(&self, _table: &Table, set: &str) -> Result<Arc<Elements>, Unanswered> {
        self.elements.get(set).cloned().ok_or_else(|| format!("the elements of set {set}"))
    }

    fn ipset(&self, index: u16) -> Result<Arc<IpSet>, Unanswered> {
        Err(format!("the ipset {index}"))
    }

    fn address_kind(&self, address: IpAddr, _device: u32) -> Result<u8, Unanswered> {
        self.kinds.get(&address).copied().ok_or_else(|| format!("what {address} is"))
    }

    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        self.routes.get(&question.destination).copied().ok_or_else(|| format!("the route to {}", question.destination))
    }

    fn device(&self, index: u32) -> Result<Device, Unanswered> {
        Ok(device(index, &format!("eth{index}")))
    }
}

impl Firewall {
    fn table(mut self, backend: Backend, family: Family, name: &str) -> Self {
        self.ruleset.tables.push(Table::new(backend, family, name));
        self
    }

    fn nft() -> Self {
        Self::default().table(Backend::Nft, Family::Ip, "t")
    }

    fn base(self, name: &str, hook: Hook, priority: i32, policy: Policy) -> Self {
        self.typed(ChainKind::Filter, name, hook, priority, policy)
    }

    fn typed(mut self, kind: ChainKind, name: &str, hook: Hook, priority: i32, policy: Policy) -> Self {
        let base = Base { hook, priority, kind, policy, devices: vec!["eth1".into()], counter: None };
        self.push(name, Some(base));
        self
    }

    fn input(policy: Policy) -> Self {
        Self::nft().base("input", Hook::Input, 0, policy)
    }

    fn chain(mut self, name: &str) -> Self {
        self.push(name, None);
        self
    }

    fn push(&mut self, name: &str, base: Option<Base>) {
        let table = self.ruleset.tables.last_mut().unwrap();
        table.push(Chain { name: name.into(), handle: None, base, rules: Vec::new() });
    }

    /// A rule at the end of the last chain.
    fn rule(mut self, expressions: &[&[Expression]]) -> Self {
        let table = self.ruleset.tables.len() - 1;
        let chain = self.ruleset.tables[table].chains.len() - 1;
        let number = self.rules.keys().filter(|place| place.table == table && place.chain == chain).count() as u32 + 1;
        let rule = Rule { number, handle: None, comment: None, counter: None, expressions: expressions.concat() };
        self.rules.insert(Place { table, chain, number }, rule);
        self
    }

    fn set(mut self, name: &str, key_type: u32, key_length: u32, map: bool, elements: Vec<Element>) -> Self {
        let set = Set {
            name: name.into(),
            handle: None,
            flags: SetFlags(if map { 8 } else { 0 }),
            key_type,
            key_length,
            data_type: None,
            data_length: None,
            parts: vec![],
            comment: None,
        };
        self.ruleset.tables.last_mut().unwrap().sets.push(set);
        self.elements.insert(name.into(), Arc::new(Elements::new(elements, None, vec![])));
        self
    }

    fn ask(&self, packet: &Packet, hook: Hook) -> Walk {
        self.question(&Question { packet, hook, layer: Layer::Ip, backend: None, verbose: true })
    }

    fn question(&self, question: &Question<'_>) -> Walk {
        walk_with(&self.ruleset, question, self, &|place| self.rules.get(&place).cloned().map(Ok))
    }

    /// `chain number: end [what is unknown]` of each candidate, and the outcome.
    fn tell(&self, packet: &Packet, hook: Hook) -> String {
        self.words(&self.ask(packet, hook))
    }

    fn words(&self, walk: &Walk) -> String {
        let mut words: Vec<String> = walk.candidates.iter().map(|candidate| self.candidate(candidate)).collect();
        words.push(format!("{:?}", walk.outcome));
        words.join("; ")
    }

    fn name(&self, place: Place) -> String {
        format!("{} {}", self.ruleset.chain(place).unwrap().name, place.number)
    }

    fn candidate(&self, candidate: &Candidate) -> String {
        let unknown = candidate.unknown.join(", ");
        let end = format!("{:?}", candidate.end);
        let words = format!("{}: {end}", self.name(candidate.place));
        if unknown.is_empty() { words } else { format!("{words} if {unknown}") }
    }
}

fn device(index: u32, name: &str) -> Device {
    Device { index, name: name.into(), hardware: Some(1), group: Some(0), kind: Some("veth".into()), master: Some(0) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// TCP 10.0.0.1:4000 > 10.0.0.2:22, in by eth1.
fn tcp() -> Packet {
    ipv4("10.0.0.1", "10.0.0.2", 6, (4000, 22))
}

fn ipv4(source: &str, destination: &str, protocol: u8, (sport, dport): (u16, u16)) -> Packet {
    let (source, destination): (Ipv4Addr, Ipv4Addr) = (source.parse().unwrap(), destination.parse().unwrap());
    let mut bytes = vec![0; 14];
    bytes[12] = 8;
    bytes.extend([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend(sport.to_be_bytes());
    bytes.extend(dport.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    Packet {
        ethertype: ETH_P_IP,
        bytes,
        link: Some(0),
        network: Some(14),
        transport: Some(34),
        protocol: Some(protocol),
        fragment_offset: 0,
        length: Some(40),
        source: Some(source.into()),
        destination: Some(destination.into()),
        source_port: Some(sport),
        destination_port: Some(dport),
        input: Known::Is(device(1, "eth1")),
        output: Known::Absent,
        bridge_input: Known::Absent,
        bridge_output: Known::Absent,
        mark: Mark::After(0),
        connection: Known::Is(Connection {
            state: ConnectionState::New,
            is_reply: false,
            mark: Some(0),
            status: Some(0),
            original: None,
            reply: None,
        }),
        socket: Known::Absent,
        packet_type: Some(0),
        vlan: None,
        cpu: Some(0),
    }
}

fn with_mark(mark: Mark) -> Packet {
    Packet { mark, ..tcp() }
}

const R: Register = Register(4);

fn payload(base: PayloadBase, offset: u32, length: u32) -> Expression {
    Expression::Payload { base, offset, length, register: R }
}

fn meta(key: MetaKey) -> Expression {
    Expression::Meta { key, register: R }
}

fn is(data: &[u8]) -> Expression {
    cmp(Operator::Equal, data)
}

fn cmp(operator: Operator, data: &[u8]) -> Expression {
    Expression::Compare { register: R, operator, data: data.to_vec() }
}

fn and(mask: u32, xor: u32) -> Expression {
    let (mask, xor) = (mask.to_ne_bytes().to_vec(), xor.to_ne_bytes().to_vec());
    Expression::Bitwise { source: R, destination: R, length: 4, operation: BitwiseOperation::Boolean { mask, xor } }
}

fn dport(port: u16) -> Vec<Expression> {
    vec![payload(PayloadBase::Transport, 2, 2), is(&port.to_be_bytes())]
}

fn saddr(address: &str) -> Vec<Expression> {
    vec![payload(PayloadBase::Network, 12, 4), is(&address.parse::<Ipv4Addr>().unwrap().octets())]
}

fn daddr(address: &str) -> Vec<Expression> {
    vec![payload(PayloadBase::Network, 16, 4), is(&address.parse::<Ipv4Addr>().unwrap().octets())]
}

/// `meta mark & mask == value`
fn mark(value: u32, mask: u32) -> Vec<Expression> {
    vec![meta(MetaKey::Mark), and(mask, 0), is(&value.to_ne_bytes())]
}

/// `meta mark set meta mark & !mask | value`
fn set_mark(value: u32, mask: u32) -> Vec<Expression> {
    vec![meta(MetaKey::Mark), and(!mask, value), Expression::MetaSet { key: MetaKey::Mark, register: R }]
}

/// `ct state & states != 0`
fn ct_state(states: u32) -> Vec<Expression> {
    let load = Expression::Conntrack { key: CtKey::State, direction: None, register: R };
    vec![load, and(states, 0), cmp(Operator::NotEqual, &[0; 4])]
}

fn limit() -> Vec<Expression> {
    vec![Expression::Limit { rate: 1, seconds: 1, burst: 5, unit: LimitUnit::Packets, over: false }]
}

fn quota() -> Vec<Expression> {
    vec![Expression::Quota { bytes: 1, consumed: 0, over: true }]
}

fn does(verdict: Verdict) -> Vec<Expression> {
    vec![Expression::Verdict(verdict)]
}

fn drop() -> Vec<Expression> {
    does(Verdict::Drop)
}

fn accept() -> Vec<Expression> {
    does(Verdict::Accept)
}

fn back() -> Vec<Expression> {
    does(Verdict::Return)
}

fn jump(chain: &str) -> Vec<Expression> {
    does(Verdict::Jump(chain.into()))
}

fn goto(chain: &str) -> Vec<Expression> {
    does(Verdict::Goto(chain.into()))
}

fn element(key: &[u8], end: Option<&[u8]>, data: Option<ElementData>) -> Element {
    let key_end = end.map(<[u8]>::to_vec);
    Element { key: key.to_vec(), key_end, data, comment: None, counter: None, conditional: false }
}

fn lookup(set: &str, map: Option<MapTarget>, negated: bool) -> Vec<Expression> {
    vec![Expression::Lookup { set: set.into(), register: R, map, negated }]
}
