//! What iptables-nft writes in expressions of nf_tables, turned back into the matches and targets that it stands for.
//!
//! Rule: each version of iptables does a little more natively (addresses, devices and protocols always; from 1.8.8 on
//! ports, TCP flags, marks, limits and NFLOG); all of it is read, whichever version wrote it, and what no version writes
//! makes the line incomplete.

mod header;
mod target;
#[cfg(test)]
mod tests;

use header::Header;

use super::ports::{PortRange, Ports};
use super::registers::{Registers, Source, Value};
use super::{Action, Line};
use crate::model::{
    BitwiseOperation, DecodeError, Expression, Family, LimitUnit, MetaKey, Operator, PayloadBase, Register, Rule,
};
use crate::xt::Match;

const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// A rule's parts, and whether they are all of it.
pub(super) fn line(family: Family, rule: &Rule) -> (Line, bool) {
    let Some(header) = Header::new(family) else { return (Line::default(), false) };
    let mut reader = Reader { family, header, registers: Registers::default(), parts: Vec::new(), action: None };
    let mut is_whole = true;
    for expression in &rule.expressions {
        if reader.expression(expression).is_none() {
            is_whole = false;
            // It may have loaded something over what they held.
            reader.registers = Registers::default();
        }
    }
    let Reader { header, parts, action, .. } = reader;
    let mut matches = Vec::new();
    let header = header.decode().map(Match::Header);
    for part in std::iter::once(header).chain(parts.into_iter().map(|part| part.decode(family))) {
        match part {
            Ok(found) => matches.push(found),
            Err(_) => is_whole = false,
        }
    }
    (Line { matches, action }, is_whole)
}

/// A match, or ports that more may still be said of.
enum Part {
    Match(Box<Match>),
    Ports(Ports),
}

impl Part {
    fn decode(self, family: Family) -> Result<Match, DecodeError> {
        match self {
            Self::Match(found) => Ok(*found),
            Self::Ports(ports) => ports.decode(family),
        }
    }
}

struct Reader {
    family: Family,
    header: Header,
    registers: Registers,
    parts: Vec<Part>,
    action: Option<Action>,
}

impl Reader {
    /// Takes one expression; `None` if iptables writes none such, or not there: what a rule does is the last of it.
    fn expression(&mut self, expression: &Expression) -> Option<()> {
        if self.action.is_some() && !matches!(expression, Expression::Counter(_)) {
            return None;
        }
        match expression {
            Expression::Payload { base, offset, length, register } => {
                self.registers.load(*register, Source::Payload { base: *base, offset: *offset, length: *length });
            }
            Expression::Meta { key, register } => self.registers.load(*register, Source::Meta(*key)),
            Expression::Immediate { data, register } => {
                self.registers.load(*register, Source::Immediate(data.clone()));
            }
            Expression::Bitwise { source, destination, operation, .. } => {
                self.bitwise(*source, *destination, operation)?;
            }
            Expression::Compare { register, operator, data } => self.compare(*register, *operator, data)?,
            Expression::Range { register, negated, from, to } => {
                let range = (port(from)?, port(to)?, *negated);
                self.ask_ports(*register, range)?;
            }
            Expression::Limit { rate, seconds, burst, unit: LimitUnit::Packets, over: false } => {
                self.limit(*rate, *seconds, *burst)?;
            }
            Expression::Match(found) => self.parts.push(Part::Match(Box::new(found.clone()))),
            Expression::Counter(_) => {}
            action => self.action = Some(target::action(self.family, &self.registers, action)?),
        }
        Some(())
    }

    fn bitwise(&mut self, source: Register, destination: Register, operation: &BitwiseOperation) -> Option<()> {
        let BitwiseOperation::Boolean { mask, xor } = operation else { return None };
        let value = self.registers.get(source).filter(|value| value.mask.is_none())?;
        let value = Value { source: value.source.clone(), mask: Some(mask.clone()), xor: xor.clone() };
        self.registers.put(destination, value);
        Some(())
    }

    fn compare(&mut self, register: Register, operator: Operator, data: &[u8]) -> Option<()> {
        let value = self.registers.get(register)?.clone();
        if value.xor.iter().any(|byte| *byte != 0) {
            return None;
        }
        let is_inverted = operator == Operator::NotEqual;
        if !is_inverted && operator != Operator::Equal {
            return self.ask_ports(register, Ports::range(operator, port(data)?)?);
        }
        match (&value.source, value.mask.as_deref()) {
            (Source::Meta(MetaKey::Mark), mask) => self.mark(data, mask, is_inverted),
            (Source::Meta(key), None) => self.header.meta(*key, data, is_inverted),
            (Source::Payload { base: PayloadBase::Network, offset, .. }, mask) => {
                self.header.network(*offset, data, mask, is_inverted)
            }
            (Source::Payload { base: PayloadBase::Transport, offset: 13, length: 1 }, mask) => {
                let mask = mask.map_or(Some(&u8::MAX), <[u8]>::first)?;
                self.ports()?.ask_flags(*mask, *data.first()?, is_inverted)
            }
            (Source::Payload { base: PayloadBase::Transport, .. }, None) => self.transport(register, data, operator),
            _ => None,
        }
    }

    fn transport(&mut self, register: Register, data: &[u8], operator: Operator) -> Option<()> {
        match self.header.protocol()? {
            protocol @ (ICMP | ICMP6) => {
                let Source::Payload { offset: 0, length, .. } = self.registers.get(register)?.source else {
                    return None;
                };
                let (kind, code) = (*data.first()?, data.get(1).copied());
                if length as usize != data.len() || data.len() > 2 {
                    return None;
                }
                let codes = code.map_or([0, u8::MAX], |code| [code, code]);
                let inverted = u8::from(operator == Operator::NotEqual);
                let name = if protocol == ICMP { "icmp" } else { "icmp6" };
                self.decode(name, 0, &[kind, codes[0], codes[1], inverted, 0, 0, 0, 0])
            }
            _ => self.ask_ports(register, Ports::range(operator, port(data)?)?),
        }
    }

    fn ask_ports(&mut self, register: Register, range: PortRange) -> Option<()> {
        let Value { source: Source::Payload { base: PayloadBase::Transport, offset, length: 2 }, mask: None, .. } =
            *self.registers.get(register)?
        else {
            return None;
        };
        self.ports()?.ask(offset, range)
    }

    /// The ports that are asked for so far: one rule has one match of them.
    fn ports(&mut self) -> Option<&mut Ports> {
        let is_ports = |part: &Part| matches!(part, Part::Ports(_));
        if !self.parts.iter().any(is_ports) {
            let ports = Ports::new(self.header.protocol()?)?;
            self.parts.push(Part::Ports(ports));
        }
        self.parts.iter_mut().find_map(|part| match part {
            Part::Ports(ports) => Some(ports),
            Part::Match(_) => None,
        })
    }

    /// `struct xt_mark_mtinfo1`
    fn mark(&mut self, data: &[u8], mask: Option<&[u8]>, is_inverted: bool) -> Option<()> {
        let mask = mask.unwrap_or(&[u8::MAX; 4]);
        let (value, mask): (&[u8; 4], &[u8; 4]) = (data.try_into().ok()?, mask.try_into().ok()?);
        self.decode("mark", 1, &[value.as_slice(), mask, &[u8::from(is_inverted), 0, 0, 0]].concat())
    }

    /// `struct xt_rateinfo`: the time for a packet in units of 100 µs.
    fn limit(&mut self, rate: u64, seconds: u64, burst: u32) -> Option<()> {
        let average = 10_000_u64.checked_mul(seconds)?.checked_div(rate)?;
        let mut data = [u32::try_from(average).ok()?.to_ne_bytes(), burst.to_ne_bytes()].concat();
        data.resize(40, 0);
        self.decode("limit", 0, &data)
    }

    fn decode(&mut self, name: &str, revision: u8, data: &[u8]) -> Option<()> {
        let found = Match::decode(name, revision, self.family, data).ok()?;
        self.parts.push(Part::Match(Box::new(found)));
        Some(())
    }
}

fn port(data: &[u8]) -> Option<u16> {
    data.try_into().ok().map(u16::from_be_bytes)
}
