//! Expressions that other versions of iptables-nft write than the one that is installed, and such as none writes.

use super::super::{exact, rule};
use crate::model::{
    Backend, BitwiseOperation, Chain, Counter, Expression, Family, MetaKey, Operator, PayloadBase, Register, Rule,
    Table, Verdict,
};

const R: Register = Register(0);

fn payload(base: PayloadBase, offset: u32, length: u32) -> Expression {
    Expression::Payload { base, offset, length, register: R }
}

fn meta(key: MetaKey) -> Expression {
    Expression::Meta { key, register: R }
}

fn compare(operator: Operator, data: &[u8]) -> Expression {
    Expression::Compare { register: R, operator, data: data.to_vec() }
}

fn equal(data: &[u8]) -> Expression {
    compare(Operator::Equal, data)
}

fn masked(mask: &[u8], xor: &[u8]) -> Expression {
    let operation = BitwiseOperation::Boolean { mask: mask.to_vec(), xor: xor.to_vec() };
    Expression::Bitwise { source: R, destination: R, length: mask.len() as u32, operation }
}

fn log(group: Option<u16>, level: Option<u32>) -> Expression {
    let prefix = Some("a b".to_owned());
    Expression::Log { prefix, group, level, flags: 0, snaplen: None, queue_threshold: None }
}

const ACCEPT: Expression = Expression::Verdict(Verdict::Accept);

fn text(family: Family, expressions: &[Expression]) -> (Option<String>, String) {
    let table = Table::new(Backend::Nft, family, "filter");
    let chain = Chain { name: "X".to_owned(), handle: None, base: None, rules: Vec::new() };
    let counter = Expression::Counter(Counter::default());
    let expressions = expressions.iter().cloned().chain([counter]).collect();
    let found = Rule { number: 1, handle: Some(1), comment: None, counter: None, expressions };
    (exact(&table, &chain, &found, &|_| None), rule(&table, &chain, &found, &|_| None))
}

fn is(expressions: &[Expression], wanted: &str) {
    assert_eq!(text(Family::Ip, expressions).0.as_deref(), Some(wanted));
}

fn is_none(expressions: &[Expression]) {
    let (exact, text) = text(Family::Ip, expressions);
    assert_eq!(exact, None, "{expressions:?}");
    assert!(text.contains("iptables can't show"), "{text}");
}

#[test]
fn protocols_as_older_versions_ask_for_them() {
    let network = |offset| payload(PayloadBase::Network, offset, 1);
    is(&[network(9), equal(&[6]), ACCEPT], "-A X -p tcp -j ACCEPT");
    let (ipv6, _) = text(Family::Ip6, &[network(6), compare(Operator::NotEqual, &[17]), ACCEPT]);
    assert_eq!(ipv6.as_deref(), Some("-A X ! -p udp -j ACCEPT"));
}

#[test]
fn types_of_icmp() {
    let protocol = [meta(MetaKey::TransportProtocol), equal(&[1])];
    let kind = |length, data: &[u8]| {
        [protocol.as_slice(), &[payload(PayloadBase::Transport, 0, length), equal(data), ACCEPT]].concat()
    };
    is(&kind(1, &[8]), "-A X -p icmp -m icmp --icmp-type 8 -j ACCEPT");
    is(&kind(2, &[3, 1]), "-A X -p icmp -m icmp --icmp-type 3/1 -j ACCEPT");
    is_none(&kind(4, &[3, 1, 0, 0]));
}

#[test]
fn names_of_devices_with_and_without_their_end() {
    let device = |data: &[u8]| [meta(MetaKey::OutputName), equal(data), ACCEPT];
    is(&device(b"eth0\0"), "-A X -o eth0 -j ACCEPT");
    is(&device(b"eth0\0\0\0\0\0\0\0\0\0\0\0\0"), "-A X -o eth0 -j ACCEPT");
    is(&device(b"eth"), "-A X -o eth+ -j ACCEPT");
}

#[test]
fn marks_and_logs() {
    let value = Expression::Immediate { data: 7_u32.to_ne_bytes().to_vec(), register: R };
    let set = Expression::MetaSet { key: MetaKey::Mark, register: R };
    is(&[value, set.clone()], "-A X -j MARK --set-xmark 0x7/0xffffffff");
    let kept = masked(&0xffff_ff0f_u32.to_ne_bytes(), &0x10_u32.to_ne_bytes());
    is(&[meta(MetaKey::Mark), kept, set], "-A X -j MARK --set-xmark 0x10/0xf0");
    is(&[log(Some(3), None)], "-A X -j NFLOG --nflog-prefix \"a b\" --nflog-group 3");
    is(&[log(None, Some(7))], "-A X -j LOG --log-prefix \"a b\" --log-level 7");
    is(&[Expression::NoTrack], "-A X -j CT --notrack");
}

#[test]
fn two_of_a_kind_are_nothing_of_iptables() {
    let source = |last| [payload(PayloadBase::Network, 12, 4), compare(Operator::NotEqual, &[10, 0, 0, last])];
    is_none(&[source(1), source(2)].concat());
    let tcp = [meta(MetaKey::TransportProtocol), equal(&[6])];
    let port = [payload(PayloadBase::Transport, 2, 2), compare(Operator::NotEqual, &[0, 80])];
    is(&[tcp.as_slice(), &port, &[ACCEPT]].concat(), "-A X -p tcp -m tcp ! --dport 80 -j ACCEPT");
    is(&[tcp.as_slice(), &tcp, &port, &[ACCEPT]].concat(), "-A X -p tcp -m tcp ! --dport 80 -j ACCEPT");
    is_none(&[tcp.as_slice(), &port, &port, &[ACCEPT]].concat());
    is_none(&[log(Some(1), None), ACCEPT]);
    is_none(&[[ACCEPT].as_slice(), &tcp].concat());
}

#[test]
fn nothing_is_read_from_a_register_that_may_hold_something_else() {
    let state = Expression::Conntrack { key: crate::model::CtKey::State, direction: None, register: R };
    let source = payload(PayloadBase::Network, 12, 4);
    let (_, text) = text(Family::Ip, &[source, state, equal(&[8, 0, 0, 0]), ACCEPT]);
    assert_eq!(text, "-A X -j ACCEPT (and more, which iptables can't show)");
}

#[test]
fn any_data_of_any_length_is_harmless() {
    let bases = [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport, PayloadBase::Inner];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..50_000 {
        let mut expressions = Vec::new();
        for _ in 0..random(8) {
            let data: Vec<u8> = (0..random(20)).map(|_| random(256) as u8).collect();
            let register = Register(random(20) as u8);
            expressions.push(match random(7) {
                0 => Expression::Payload {
                    base: bases[random(4) as usize],
                    offset: random(30) as u32,
                    length: random(20) as u32,
                    register,
                },
                1 => Expression::Meta { key: MetaKey::TransportProtocol, register },
                2 => Expression::Meta { key: MetaKey::InputName, register },
                3 => masked(&data, &data),
                4 => Expression::Range { register, negated: true, from: data.clone(), to: data },
                5 => Expression::MetaSet { key: MetaKey::Mark, register },
                _ => Expression::Compare { register, operator: Operator::Equal, data },
            });
        }
        let family = if random(2) == 0 { Family::Ip } else { Family::Ip6 };
        assert!(text(family, &expressions).1.starts_with("-A X"));
    }
}
