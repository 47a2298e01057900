//! Statements that do something.

use std::fmt::Write as _;

use super::exthdr;
use super::header::Protocol;
use super::implied::Layer;
use super::kind::{Kind, Order, low, number};
use super::load::{ct_key, ct_text, meta_key, meta_order, meta_text};
use super::protocol::{Bits, Piece};
use super::rebuild::Rebuild;
use super::stateful;
use super::term::{Operation, Term};
use super::value::{Style, duration, flags, numeric, verdict};
use crate::model::{CtKey, DynamicOperation, Expression, Family, MetaKey, PayloadBase, Register, RejectKind};

impl Rebuild<'_> {
    /// The statement of an expression that is neither a load nor a match.
    pub(super) fn effect(&mut self, expression: &Expression) -> Option<String> {
        if let Some(text) = stateful::text(expression, self.has_numbers).or_else(|| self.nat(expression)) {
            return Some(text);
        }
        Some(match expression {
            Expression::Verdict(to) => verdict(to),
            Expression::MetaSet { key, register } => self.meta_set(*key, *register),
            Expression::ConntrackSet { key, direction, register } => {
                format!("{} set {}", ct_text(*key, *direction), self.ct_value(*key, *register))
            }
            Expression::PayloadSet { base, offset, length, register } => {
                let at = Bits { base: *base, offset: offset.saturating_mul(8), length: length.saturating_mul(8) };
                self.payload_set(at, *register)
            }
            Expression::ExtensionHeaderSet { header, kind, offset, length, register } => {
                let field = exthdr::term(*header, *kind, offset.saturating_mul(8), length.saturating_mul(8), false);
                let field = self.describe(&field, (Kind::Integer, Order::Network));
                let value = self.registers.get(*register);
                format!("{} set {}", field.text, self.describe(&value, (field.kind, field.order)).text)
            }
            Expression::ExtensionHeaderReset { header, kind } => format!("reset {}", exthdr::text(*header, *kind)),
            Expression::NoTrack => "notrack".to_owned(),
            Expression::FlowOffload { flowtable } => format!("flow add @{}", super::name(flowtable)),
            Expression::Object { kind, name } => format!("{} \"{name}\"", object(*kind)),
            Expression::ObjectMap { set, register } => self.object_map(set, *register),
            Expression::DynamicSet { .. } => self.dynamic_set(expression)?,
            Expression::Reject { kind, code } => self.reject(*kind, *code),
            Expression::Queue { number, total, bypass, fanout, register } => {
                self.queue((*number, *total), *bypass, *fanout, *register)
            }
            Expression::Duplicate { address, device } => self.duplicate(*address, *device),
            Expression::Forward { device, address, family } => self.forward(*device, *address, *family),
            Expression::Match(xt) => super::xt("match", &xt.text(super::xt_family(self.table.family))),
            Expression::Target(xt) => super::xt("target", &xt.text(super::xt_family(self.table.family))),
            Expression::Unknown { name } => format!("({name})"),
            _ => return None,
        })
    }

    fn meta_set(&mut self, key: MetaKey, register: Register) -> String {
        let value = self.registers.get(register);
        let value = self.describe(&value, (meta_key(key).1, meta_order(key)));
        format!("{} set {}", meta_text(key), value.text)
    }

    fn ct_value(&mut self, key: CtKey, register: Register) -> String {
        let (_, kind, order, _) = ct_key(key);
        let term = self.registers.get(register);
        match &term {
            Term::Constant(data) if key == CtKey::EventMask => {
                number(data, order).map_or_else(String::new, |events| flags(kind, events, ","))
            }
            term => self.describe(term, (kind, order)).text,
        }
    }

    /// Fields that are no whole bytes are set by way of their neighbours.
    fn payload_set(&mut self, at: Bits, register: Register) -> String {
        let term = self.registers.get(register);
        let field = self.protocols.field(at);
        if let (None, Some((mask, value))) = (field, merged(&term))
            && let Some((at, shift)) = self.protocols.unmasked(at, mask & low(at.length))
        {
            let piece = Piece { at, field: self.protocols.field(at) };
            let subject = self.piece(&piece, false);
            let value = numeric(subject.kind, value.checked_shr(shift).unwrap_or(0), Style::Named);
            return format!("{} set {value}", subject.text);
        }
        let subject = self.piece(&Piece { at, field }, false);
        format!("{} set {}", subject.text, self.describe(&term, (subject.kind, subject.order)).text)
    }

    fn object_map(&mut self, set: &str, register: Register) -> String {
        let bits = self.table.set(set).map_or(0, |set| set.key_length.saturating_mul(8));
        let key = self.registers.get_bits(register, bits);
        let kind = self.table.set(set).and_then(|set| set.data_type).unwrap_or(0);
        format!("{} {}", object(kind), self.lookup(&key, set, " map ", Order::Host))
    }

    fn dynamic_set(&mut self, expression: &Expression) -> Option<String> {
        let Expression::DynamicSet { set, operation, key, data, timeout_ms, expressions, .. } = expression else {
            return None;
        };
        let operation = match operation {
            DynamicOperation::Add => "add",
            DynamicOperation::Update => "update",
            DynamicOperation::Delete => "delete",
        };
        let bits = |length: Option<u32>| length.unwrap_or(0).saturating_mul(8);
        let found = self.table.set(set);
        let (key_bits, data_bits) =
            (bits(found.map(|set| set.key_length)), bits(found.and_then(|set| set.data_length)));
        let kind = found.and_then(|set| set.data_type).map_or(Kind::Integer, Kind::from_number);
        let mut text = match self.registers.get_bits(*key, key_bits) {
            Term::Concat(parts) => parts.iter().map(|part| self.part(part).text).collect::<Vec<_>>().join(" . "),
            term => self.part(&term).text,
        };
        if let Some(timeout) = timeout_ms.filter(|timeout| *timeout > 0) {
            let _ = write!(text, " timeout {}", duration(timeout));
        }
        for expression in expressions {
            text.push_str(&stateful::text(expression, false).map_or_else(String::new, |text| format!(" {text}")));
        }
        if let Some(data) = data {
            let data = self.registers.get_bits(*data, data_bits);
            let _ = write!(text, " : {}", self.describe(&data, (kind, kind.order())).text);
        }
        let is_meter = found.is_some_and(|set| set.flags.anonymous()) && !expressions.is_empty();
        let name = super::name(set);
        Some(if is_meter { format!("meter {name} {{ {text} }}") } else { format!("{operation} @{name} {{ {text} }}") })
    }

    fn reject(&mut self, kind: RejectKind, code: u8) -> String {
        let family = self.table.family;
        let is_mixed = matches!(family, Family::Inet | Family::Bridge | Family::Netdev);
        let needless = match kind {
            RejectKind::TcpReset if !is_mixed => self.implied.by_layer(Layer::Transport),
            RejectKind::Icmp | RejectKind::TcpReset if is_mixed => self.implied.by_layer(Layer::Network),
            _ => None,
        };
        self.remove(needless);
        let is_ip6 = self.protocols.at(PayloadBase::Network) == Some(Protocol::Ip6);
        match (kind, code) {
            (RejectKind::TcpReset, _) => "reject with tcp reset".to_owned(),
            (RejectKind::IcmpAny, 1) => "reject".to_owned(),
            (RejectKind::IcmpAny, _) => {
                format!("reject with icmpx {}", numeric(Kind::IcmpAnyCode, code.into(), Style::Named))
            }
            (RejectKind::Icmp, 3) if family == Family::Ip => "reject".to_owned(),
            (RejectKind::Icmp, 4) if family == Family::Ip6 => "reject".to_owned(),
            (RejectKind::Icmp, _) if is_ip6 => {
                format!("reject with icmpv6 {}", numeric(Kind::Icmp6Code, code.into(), Style::Named))
            }
            (RejectKind::Icmp, _) => {
                format!("reject with icmp {}", numeric(Kind::IcmpCode, code.into(), Style::Named))
            }
        }
    }

    fn queue(&mut self, numbers: (u16, u16), bypass: bool, fanout: bool, register: Option<Register>) -> String {
        let flags: Vec<_> =
            [(bypass, "bypass"), (fanout, "fanout")].iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        let flags = if flags.is_empty() { String::new() } else { format!(" flags {}", flags.join(",")) };
        let (first, total) = numbers;
        let to = match register {
            Some(register) => {
                let term = self.registers.get(register);
                self.describe(&term, (Kind::Integer, Order::Host)).text
            }
            None if total > 1 => format!("{first}-{}", first.saturating_add(total.saturating_sub(1))),
            None => first.to_string(),
        };
        format!("queue{flags} to {to}")
    }

    fn address_kind(family: Family) -> (Kind, Order) {
        (if family == Family::Ip6 { Kind::Ipv6 } else { Kind::Ipv4 }, Order::Network)
    }

    fn duplicate(&mut self, address: Option<Register>, device: Option<Register>) -> String {
        let mut text = "dup".to_owned();
        if let Some(address) = address {
            let address = self.registers.get(address);
            let _ = write!(text, " to {}", self.describe(&address, Self::address_kind(self.table.family)).text);
        }
        if let Some(device) = device {
            let device = self.registers.get(device);
            let device = self.describe(&device, (Kind::InterfaceIndex, Order::Host)).text;
            let _ = write!(text, " {} {device}", if address.is_some() { "device" } else { "to" });
        }
        text
    }

    fn forward(&mut self, device: Register, address: Option<Register>, family: u8) -> String {
        let device = self.registers.get(device);
        let device = self.describe(&device, (Kind::InterfaceIndex, Order::Host)).text;
        let Some(address) = address else { return format!("fwd to {device}") };
        let family = Family::from_number(family).unwrap_or(Family::Ip);
        let address = self.registers.get(address);
        let address = self.describe(&address, Self::address_kind(family)).text;
        format!("fwd {} to {address} device {device}", family.as_str())
    }
}

/// What a write replaces of its field's neighbours (as a mask) and with what, if that is how it was made.
fn merged(term: &Term) -> Option<(u128, u128)> {
    let constant = |term: &Term| match term {
        Term::Constant(data) => number(data, Order::Network),
        _ => None,
    };
    let Term::Binary { left, operation, right } = term else { return None };
    let right = constant(right)?;
    match (operation, &**left) {
        (Operation::Or, Term::Binary { left, operation: Operation::And, right: mask }) => {
            matches!(**left, Term::Bits(_)).then_some(())?;
            Some((!constant(mask)? ^ right, right))
        }
        (Operation::And, Term::Bits(_)) => Some((!right, 0)),
        (Operation::Or, Term::Bits(_)) => Some((right, right)),
        _ => None,
    }
}

/// What stands in front of the name of an object (`NFT_OBJECT_` number).
const fn object(kind: u32) -> &'static str {
    match kind {
        1 => "counter name",
        2 => "quota name",
        3 => "ct helper set",
        4 => "limit name",
        5 => "ct count name",
        6 => "tunnel name",
        7 => "ct timeout set",
        8 => "meta secmark set",
        9 => "ct expectation set",
        10 => "synproxy name",
        _ => "object name",
    }
}
