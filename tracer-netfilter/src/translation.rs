//! The addresses and ports that a rule gives to sources (`SNAT`, `MASQUERADE`, `snat to`, `masquerade`).
//!
//! Rule: only what stands in the rule itself is told; what a map or the route gives is not known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Expression, NatKind, Register, Rule};
use crate::xt::Target;

/// `NF_NAT_RANGE_` bits (`include/uapi/linux/netfilter/nf_nat.h`).
const RANDOM: u32 = 0x04 | 0x10;

/// What a source may become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRange {
    /// First and last address; `None` for that of the device it leaves by, or where it is not known.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// First and last port; `None` if the kernel chooses.
    pub ports: Option<(u16, u16)>,
    /// The search begins anywhere in the range (`--random`, `--random-fully`).
    pub is_random: bool,
}

/// What the rule makes of a packet's source; `None` if it makes nothing of it.
pub fn source_range(rule: &Rule) -> Option<SourceRange> {
    let mut values: Vec<(Register, &[u8])> = Vec::new();
    for expression in &rule.expressions {
        match expression {
            Expression::Immediate { data, register } => values.push((*register, data)),
            Expression::Target(Target::Nat(nat)) => return nat.source_range(),
            Expression::Nat { kind: NatKind::Source, address, port, flags, .. } => {
                let addresses =
                    address.and_then(|(from, to)| Some((ip(value(&values, from)?)?, ip(value(&values, to)?)?)));
                return Some(SourceRange { addresses, ports: ports(&values, *port), is_random: flags & RANDOM != 0 });
            }
            Expression::Masquerade { port, flags } => {
                return Some(SourceRange {
                    addresses: None,
                    ports: ports(&values, *port),
                    is_random: flags & RANDOM != 0,
                });
            }
            _ => {}
        }
    }
    None
}

/// What was put into a register last.
fn value<'a>(values: &[(Register, &'a [u8])], register: Register) -> Option<&'a [u8]> {
    values.iter().rev().find(|(of, _)| *of == register).map(|(_, value)| *value)
}

fn ports(values: &[(Register, &[u8])], range: Option<(Register, Register)>) -> Option<(u16, u16)> {
    let port = |register| value(values, register)?.first_chunk().copied().map(u16::from_be_bytes);
    let (from, to) = range?;
    Some((port(from)?, port(to)?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|bytes| IpAddr::V4(Ipv4Addr::from(*bytes))),
        16 => bytes.first_chunk::<16>().map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(expressions: Vec<Expression>) -> Rule {
        Rule { number: 1, handle: None, comment: None, counter: None, expressions }
    }

    fn put(register: u8, data: &[u8]) -> Expression {
        Expression::Immediate { data: data.into(), register: Register(register) }
    }

    #[test]
    fn ports_and_addresses_stand_in_the_rule() {
        let pair = |from, to| Some((Register(from), Register(to)));
        let snat = rule(vec![
            put(1, &[10, 99, 2, 1]),
            put(2, &40000_u16.to_be_bytes()),
            put(3, &40001_u16.to_be_bytes()),
            Expression::Nat { kind: NatKind::Source, family: 2, address: pair(1, 1), port: pair(2, 3), flags: 0x10 },
        ]);
        let address = IpAddr::V4(Ipv4Addr::new(10, 99, 2, 1));
        let wanted = SourceRange { addresses: Some((address, address)), ports: Some((40000, 40001)), is_random: true };
        assert_eq!(source_range(&snat), Some(wanted));
        let masquerade = rule(vec![Expression::Masquerade { port: None, flags: 0 }]);
        assert_eq!(source_range(&masquerade), Some(SourceRange::default()));
    }

    #[test]
    fn what_a_map_gives_is_not_known_and_other_rules_say_nothing() {
        let pair = Some((Register(1), Register(1)));
        let by_map =
            rule(vec![Expression::Nat { kind: NatKind::Source, family: 2, address: pair, port: None, flags: 0 }]);
        assert_eq!(source_range(&by_map), Some(SourceRange::default()));
        assert_eq!(source_range(&rule(Vec::new())), None);
    }
}
