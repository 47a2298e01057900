//! Rules as the kernel gave them (`fixtures/rules.txt`), expressions that this kernel can't make, and bytes that lie.

use super::rule;
use crate::model::{
    BitwiseOperation, Counter, DecodeError, Expression, Family, MetaKey, Operator, PayloadBase, Register, RejectKind,
    TunnelKey, Verdict,
};
use crate::netlink::Attributes;

const RULES: &str = include_str!("fixtures/rules.txt");

/// Family, nft's text, attributes.
fn fixtures() -> impl Iterator<Item = (Family, &'static str, Vec<u8>)> {
    RULES.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.split(" | ");
        let (family, rest) = (parts.next().unwrap(), parts.collect::<Vec<_>>());
        let hex = rest.last().unwrap();
        let text = &line[family.len() + 3..line.len() - hex.len() - 3];
        let family = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev]
            .into_iter()
            .find(|known| known.as_str() == family)
            .unwrap();
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        (family, text, bytes)
    })
}

fn decoded(text: &str) -> crate::model::Rule {
    let (family, _, bytes) = fixtures().find(|(_, known, _)| *known == text).expect(text);
    rule(family, 7, &bytes, 3).unwrap()
}

/// One attribute.
pub(super) fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((value.len() as u16 + 4).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(super) fn be32(kind: u16, value: u32) -> Vec<u8> {
    nla(kind, &value.to_be_bytes())
}

fn expression(name: &str, data: &[Vec<u8>]) -> Expression {
    super::expression::expression(Family::Ip, name.as_bytes(), Attributes::new(&data.concat()))
}

#[test]
fn every_rule_of_the_kernel_is_understood() {
    let mut count = 0;
    for (family, text, bytes) in fixtures() {
        let rule = rule(family, 1, &bytes, 1).expect(text);
        assert!(!rule.expressions.is_empty(), "{text}");
        assert!(!rule.expressions.iter().any(|part| matches!(part, Expression::Unknown { .. })), "{text}: {rule:?}");
        count += 1;
    }
    assert!(count > 120);
}

#[test]
fn a_rule_with_a_comment() {
    let rule = decoded("ip saddr 10.0.0.1 accept comment \"by address\"");
    assert_eq!((rule.number, rule.handle, rule.comment.as_deref()), (3, Some(7), Some("by address")));
    let expected = [
        Expression::Payload { base: PayloadBase::Network, offset: 12, length: 4, register: Register(0) },
        Expression::Compare { register: Register(0), operator: Operator::Equal, data: vec![10, 0, 0, 1] },
        Expression::Verdict(Verdict::Accept),
    ];
    assert_eq!(rule.expressions, expected);
}

#[test]
fn a_rule_with_a_counter() {
    let rule = decoded("ip daddr 10.0.0.0/9 counter packets 5 bytes 60 drop");
    assert_eq!(rule.counter, Some(Counter { packets: 5, bytes: 60 }));
    let operation = BitwiseOperation::Boolean { mask: vec![255, 128, 0, 0], xor: vec![0; 4] };
    let (source, destination) = (Register(0), Register(0));
    assert_eq!(rule.expressions[1], Expression::Bitwise { source, destination, length: 4, operation });
    assert_eq!(decoded("update @seen { ip saddr counter }").counter, None, "that of an element is not the rule's");
}

#[test]
fn registers_shifts_and_rejects() {
    let shift = |text: &str| match &decoded(text).expressions[1] {
        Expression::Bitwise { operation, .. } => operation.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shift("ct mark set ct mark << 4"), BitwiseOperation::ShiftLeft(4));
    assert_eq!(shift("meta mark set ct mark >> 8"), BitwiseOperation::ShiftRight(8));
    let pair = decoded("ip6 saddr . ip6 daddr { 2001:db8::1 . 2001:db8::2 } drop");
    let to = |part: &Expression| match part {
        Expression::Payload { register, .. } => *register,
        other => panic!("{other:?}"),
    };
    assert_eq!((to(&pair.expressions[0]), to(&pair.expressions[1])), (Register(0), Register(4)));
    let reject = decoded("reject with tcp reset").expressions;
    assert_eq!(reject.last(), Some(&Expression::Reject { kind: RejectKind::TcpReset, code: 0 }));
}

#[test]
fn what_this_kernel_can_not_make() {
    let queue = expression("queue", &[nla(1, &[0, 5]), nla(2, &[0, 3]), nla(3, &[0, 3])]);
    let expected = Expression::Queue { number: 5, total: 3, bypass: true, fanout: true, register: None };
    assert_eq!(queue, expected);
    let queue = expression("queue", &[be32(4, 9), nla(3, &[0, 0])]);
    let register = Some(Register(1));
    assert_eq!(queue, Expression::Queue { number: 0, total: 1, bypass: false, fanout: false, register });
    let flow = expression("flow_offload", &[nla(1, b"fast\0")]);
    assert_eq!(flow, Expression::FlowOffload { flowtable: "fast".to_owned() });
    let tunnel = expression("tunnel", &[be32(1, 1), be32(2, 2)]);
    assert_eq!(tunnel, Expression::Tunnel { key: TunnelKey::Id, register: Register(4) });
    let both = [be32(1, 1), be32(2, 2), be32(3, 4), be32(6, 4), be32(8, 11)];
    let operation = BitwiseOperation::Or(Register(3));
    let (source, destination) = (Register(0), Register(4));
    assert_eq!(expression("bitwise", &both), Expression::Bitwise { source, destination, length: 4, operation });
    let key = |number| expression("meta", &[be32(2, number), be32(1, 1)]);
    assert_eq!(key(37), Expression::Meta { key: MetaKey::BridgeInputAddress, register: Register(0) });
    assert_eq!(key(90), Expression::Meta { key: MetaKey::Other(90), register: Register(0) });
    let verdict = |code: u32| expression("immediate", &[be32(1, 0), nla(2, &nla(2, &be32(1, code)))]);
    assert_eq!(verdict(0x0005_0003), Expression::Verdict(Verdict::Queue(5)), "before 6.8 it may carry a number");
    assert_eq!(verdict((-5_i32).cast_unsigned()), Expression::Verdict(Verdict::Return));
}

#[test]
fn what_is_not_known_or_makes_no_sense_is_unknown_by_its_name() {
    let unknown = |name: &str| Expression::Unknown { name: name.to_owned() };
    assert_eq!(expression("inner", &[]), unknown("inner"));
    assert_eq!(expression("cmp", &[be32(1, 1), be32(2, 9)]), unknown("cmp"));
    assert_eq!(expression("meta", &[be32(2, 0), be32(1, 77)]), unknown("meta"), "there is no register 77");
    let (family, _, bytes) = fixtures().next().unwrap();
    // The name `cmp` becomes `cmq`; the rest of the rule stands.
    let at = bytes.windows(3).position(|name| name == b"cmp").unwrap();
    let changed = [&bytes[..at + 2], b"q", &bytes[at + 3..]].concat();
    let rule = rule(family, 1, &changed, 1).unwrap();
    assert_eq!(rule.expressions[1], unknown("cmq"));
    assert_eq!(rule.expressions[2], Expression::Verdict(Verdict::Accept));
    assert_eq!(super::rule(family, 1, &[], 1), Err(DecodeError::Malformed("a rule of nf_tables")));
}

/// Deterministic mutations of good bytes.
pub(super) fn fuzz(good: &[Vec<u8>], rounds: usize, mut what: impl FnMut(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..rounds {
        let mut bytes = good[round % good.len()].clone();
        for _ in 0..=next() % 4 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        if next() % 8 == 0 {
            bytes.truncate(next() as usize % bytes.len());
        }
        what(&bytes);
    }
}

#[test]
fn bytes_that_lie_never_panic_and_give_no_more_than_fits_in_them() {
    let good: Vec<Vec<u8>> = fixtures().map(|(_, _, bytes)| bytes).collect();
    fuzz(&good, 50_000, |bytes| {
        if let Ok(rule) = rule(Family::Inet, 1, bytes, 1) {
            assert!(rule.expressions.len() <= bytes.len() / 4);
        }
    });
}
