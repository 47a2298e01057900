//! Rules made by hand: what a kernel without some modules can't be given, and what no tool makes.

use super::*;
use crate::model::{
    Backend, BitwiseOperation, CtKey, Direction, Element, Expression, HashKind, MapTarget, MetaKey, NatKind, Operator,
    Register, RejectKind, RouteKey, Set, SetFlags, Verdict,
};

fn text(table: &Table, expressions: Vec<Expression>) -> String {
    let chain = Chain { name: "c".into(), handle: None, base: None, rules: vec![] };
    let rule_ = Rule { number: 1, handle: Some(1), comment: None, counter: None, expressions };
    rule(table, &chain, &rule_, &|_| None)
}

const R: Register = Register(0);

#[test]
fn what_the_kernel_at_hand_may_not_have() {
    let inet = Table::new(Backend::Nft, Family::Inet, "t");
    let queue = Expression::Queue { number: 1, total: 4, bypass: true, fanout: true, register: None };
    assert_eq!(text(&inet, vec![queue]), "queue flags bypass,fanout to 1-4");
    let mtu = vec![
        Expression::Route { key: RouteKey::TcpMss, register: R },
        Expression::ExtensionHeaderSet {
            header: crate::model::ExtensionHeader::TcpOption,
            kind: 2,
            offset: 2,
            length: 2,
            register: R,
        },
    ];
    assert_eq!(text(&inet, mtu), "tcp option maxseg size set rt mtu");
}

#[test]
fn bytes_without_a_name_are_shown_as_they_are() {
    let inet = Table::new(Backend::Nft, Family::Inet, "t");
    let load = Expression::Payload { base: PayloadBase::Network, offset: 12, length: 4, register: R };
    let compare = Expression::Compare { register: R, operator: Operator::Equal, data: vec![1, 2, 3, 4] };
    assert_eq!(text(&inet, vec![load.clone(), compare.clone()]), "@nh,96,32 0x1020304", "of which protocol?");
    let ip = Table::new(Backend::Nft, Family::Ip, "t");
    assert_eq!(text(&ip, vec![load, compare]), "ip saddr 1.2.3.4");
}

#[test]
fn a_match_before_a_counter_stays() {
    let ip = Table::new(Backend::Nft, Family::Ip, "t");
    let protocol = [
        Expression::Meta { key: MetaKey::TransportProtocol, register: R },
        Expression::Compare { register: R, operator: Operator::Equal, data: vec![6] },
    ];
    let counter = Expression::Counter(Counter { packets: 3, bytes: 180 });
    let port = [
        Expression::Payload { base: PayloadBase::Transport, offset: 2, length: 2, register: R },
        Expression::Compare { register: R, operator: Operator::Equal, data: vec![0, 22] },
        Expression::Verdict(Verdict::Drop),
    ];
    let without = protocol.iter().chain(&port).cloned().collect();
    assert_eq!(text(&ip, without), "tcp dport 22 drop");
    let with = protocol.iter().chain(&[counter]).chain(&port).cloned().collect();
    assert_eq!(text(&ip, with), "meta l4proto tcp counter packets 3 bytes 180 tcp dport 22 drop");
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn small(&mut self) -> u32 {
        match self.next(12) {
            0 => u32::MAX,
            1 => u32::try_from(self.next(1 << 32)).unwrap(),
            _ => u32::try_from(self.next(24)).unwrap(),
        }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next(256)).unwrap()
    }

    fn register(&mut self) -> Register {
        Register(u8::try_from(self.next(18)).unwrap())
    }

    fn data(&mut self) -> Vec<u8> {
        (0..self.next(24)).map(|_| if self.next(2) == 0 { 0 } else { self.byte() }).collect()
    }

    fn base(&mut self) -> PayloadBase {
        [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport, PayloadBase::Inner]
            [usize::try_from(self.next(4)).unwrap()]
    }

    fn operator(&mut self) -> Operator {
        [Operator::Equal, Operator::NotEqual, Operator::GreaterOrEqual, Operator::LessOrEqual, Operator::Less]
            [usize::try_from(self.next(5)).unwrap()]
    }

    fn header(&mut self) -> crate::model::ExtensionHeader {
        use crate::model::ExtensionHeader as Header;
        [Header::Ipv6, Header::TcpOption, Header::Ipv4Option, Header::SctpChunk, Header::DccpOption]
            [usize::try_from(self.next(5)).unwrap()]
    }

    fn load(&mut self) -> Expression {
        let register = self.register();
        match self.next(7) {
            0 | 1 => Expression::Payload { base: self.base(), offset: self.small(), length: self.small(), register },
            2 => Expression::Meta {
                key: [
                    MetaKey::Mark,
                    MetaKey::NfProtocol,
                    MetaKey::TransportProtocol,
                    MetaKey::InputName,
                    MetaKey::HourOfDay,
                ][usize::try_from(self.next(5)).unwrap()],
                register,
            },
            3 => Expression::Conntrack {
                key: [CtKey::State, CtKey::Labels, CtKey::Source, CtKey::Protocol]
                    [usize::try_from(self.next(4)).unwrap()],
                direction: Some(Direction::Reply),
                register,
            },
            4 => Expression::ExtensionHeader {
                header: self.header(),
                kind: self.byte(),
                offset: self.small(),
                length: self.small(),
                present: self.next(2) == 0,
                register,
            },
            5 => Expression::Immediate { data: self.data(), register },
            _ => Expression::Hash {
                kind: HashKind::Jenkins,
                source: Some(self.register()),
                length: self.small(),
                modulus: 2,
                seed: None,
                offset: 0,
                register,
            },
        }
    }

    fn change(&mut self) -> Expression {
        let (source, destination) = (self.register(), self.register());
        let operation = match self.next(4) {
            0 => BitwiseOperation::Boolean { mask: self.data(), xor: self.data() },
            1 => BitwiseOperation::ShiftLeft(self.small()),
            2 => BitwiseOperation::ShiftRight(self.small()),
            _ => return Expression::ByteOrder { source, destination, length: 4, size: 4, to_host: true },
        };
        Expression::Bitwise { source, destination, length: self.small(), operation }
    }

    fn use_it(&mut self) -> Expression {
        let register = self.register();
        match self.next(7) {
            0 | 1 => Expression::Compare { register, operator: self.operator(), data: self.data() },
            2 => Expression::Range { register, negated: false, from: self.data(), to: self.data() },
            3 => {
                let map = [None, Some(MapTarget::Verdict), Some(MapTarget::Register(register))]
                    [usize::try_from(self.next(3)).unwrap()];
                Expression::Lookup { set: "__set0".into(), register: self.register(), map, negated: false }
            }
            4 => Expression::PayloadSet { base: self.base(), offset: self.small(), length: self.small(), register },
            5 => Expression::Nat {
                kind: NatKind::Source,
                family: self.byte(),
                address: Some((register, self.register())),
                port: Some((self.register(), register)),
                flags: self.small(),
            },
            _ => Expression::Reject { kind: RejectKind::TcpReset, code: self.byte() },
        }
    }

    fn set(&mut self) -> (Set, Elements) {
        let parts = if self.next(2) == 0 { vec![] } else { vec![self.small(), self.small()] };
        let set = Set {
            name: "__set0".into(),
            handle: None,
            flags: SetFlags(self.small() | 1),
            key_type: self.small(),
            key_length: self.small(),
            data_type: Some(self.small()),
            data_length: Some(self.small()),
            parts: parts.clone(),
            comment: None,
        };
        let elements = (0..self.next(4)).map(|_| Element {
            key: self.data(),
            key_end: if self.next(2) == 0 { None } else { Some(self.data()) },
            data: Some(crate::model::ElementData::Value(self.data())),
            comment: None,
            counter: None,
            conditional: false,
        });
        let elements = elements.collect();
        (set, Elements::new(elements, None, vec![]))
    }
}

#[test]
fn no_rule_however_senseless_panics() {
    let families = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let chain = Chain { name: "c".into(), handle: None, base: None, rules: vec![] };
    let mut longest = 0;
    for _ in 0..50_000 {
        let mut table = Table::new(Backend::Nft, families[usize::try_from(random.next(6)).unwrap()], "t");
        let (set, elements) = random.set();
        table.sets.push(set);
        let elements = Arc::new(elements);
        let count = random.next(12);
        let expressions = (0..count).map(|_| match random.next(5) {
            0 | 1 => random.load(),
            2 => random.change(),
            _ => random.use_it(),
        });
        let expressions = expressions.collect();
        let rule_ = Rule { number: 1, handle: None, comment: None, counter: None, expressions };
        longest = longest.max(rule(&table, &chain, &rule_, &|_| Some(elements.clone())).len());
    }
    assert!(longest > 100, "the rules were not all empty");
}

/// Registers that are put into each other over and over must not make a text that grows without end.
#[test]
fn a_rule_of_doublings_stays_small() {
    let ip = Table::new(Backend::Nft, Family::Ip, "t");
    let mut expressions = vec![Expression::Meta { key: MetaKey::Mark, register: R }];
    expressions.extend((0..128).map(|_| Expression::Bitwise {
        source: R,
        destination: R,
        length: 4,
        operation: BitwiseOperation::Or(R),
    }));
    expressions.push(Expression::Compare { register: R, operator: Operator::Equal, data: vec![0; 4] });
    assert!(text(&ip, expressions).len() < 1_000_000);
}
