//! Address translation and transparent proxies.

use std::fmt::Write as _;

use super::kind::{Kind, Order, low, number};
use super::rebuild::Rebuild;
use super::term::Term;
use crate::model::{Expression, Family, NatKind, Register};

type Range = Option<(Register, Register)>;

impl Rebuild<'_> {
    /// `None`: it is none of these.
    pub(super) fn nat(&mut self, expression: &Expression) -> Option<String> {
        Some(match expression {
            Expression::Nat { kind, family, address, port, flags } => {
                let word = if *kind == NatKind::Source { "snat" } else { "dnat" };
                self.translation(word, *family, *address, *port, *flags)
            }
            Expression::Masquerade { port, flags } => self.translation("masquerade", 0, None, *port, *flags),
            Expression::Redirect { port, flags } => self.translation("redirect", 0, None, *port, *flags),
            Expression::TransparentProxy { family, address, port } => self.proxy(*family, *address, *port),
            _ => return None,
        })
    }

    /// `flags` are `NF_NAT_RANGE_` bits.
    fn translation(&mut self, word: &str, family: u8, address: Range, port: Range, flags: u32) -> String {
        const NETMAP: u32 = 0x40;
        let is_ip6 = family == Family::Ip6.number();
        let kind = if is_ip6 { Kind::Ipv6 } else { Kind::Ipv4 };
        let mapped = address.and_then(|(register, _)| self.mapped_length(register));
        let address_bytes = if is_ip6 { 16 } else { 4 };
        let maps_more = mapped.is_some_and(|length| length > address_bytes);
        let port = if maps_more { None } else { port };
        let mut text = word.to_owned();
        if address.is_some() || port.is_some() {
            if self.table.family == Family::Inet || maps_more {
                text.push_str(match family {
                    2 => " ip",
                    10 => " ip6",
                    _ => "",
                });
            }
            text.push_str(if flags & NETMAP == 0 { " to" } else { " prefix to" });
        }
        if let Some(address) = address {
            text.push(' ');
            text.push_str(&self.nat_address(address, kind, port.is_some()));
        }
        if let Some(port) = port {
            if address.is_none() {
                text.push(' ');
            }
            self.implied.forget();
            text.push(':');
            text.push_str(&self.registers_range(port, Kind::Service));
        }
        let names = [(0x4, "random"), (0x10, "fully-random"), (0x8, "persistent")];
        let names: Vec<_> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
        if names.is_empty() { text } else { format!("{text} {}", names.join(",")) }
    }

    /// Bytes that a map holds, if a register was filled from one.
    fn mapped_length(&self, register: Register) -> Option<u32> {
        match self.registers.get(register) {
            Term::Map { set, .. } => self.table.set(&set)?.data_length,
            _ => None,
        }
    }

    fn nat_address(&mut self, address: (Register, Register), kind: Kind, has_port: bool) -> String {
        let (from, to) = (self.registers.get(address.0), self.registers.get(address.1));
        let is_constant = matches!(from, Term::Constant(_));
        if address.0 != address.1
            && let (Term::Constant(from), Term::Constant(to)) = (&from, &to)
            && let (Some(from), Some(to)) = (number(from, Order::Network), number(to, Order::Network))
            && from != to
        {
            let free = (from ^ to).trailing_ones();
            if from ^ to == low(free) && from & low(free) == 0 {
                let bits = if kind == Kind::Ipv6 { 128_u32 } else { 32 };
                let start = super::value::numeric(kind, from, super::value::Style::Named);
                return format!("{start}/{}", bits.saturating_sub(free));
            }
        }
        let text = self.registers_range(address, kind);
        if kind == Kind::Ipv6 && has_port && is_constant { format!("[{}]", text.replace('-', "]-[")) } else { text }
    }

    fn registers_range(&mut self, registers: (Register, Register), kind: Kind) -> String {
        let expected = (kind, Order::Network);
        let first = self.registers.get(registers.0);
        let from = self.describe(&first, expected).text;
        let last = self.registers.get(registers.1);
        if registers.0 == registers.1 || matches!((&first, &last), (Term::Map { .. }, _) | (_, Term::Missing)) {
            return from;
        }
        format!("{from}-{}", self.describe(&last, expected).text)
    }

    fn proxy(&mut self, family: u8, address: Option<Register>, port: Option<Register>) -> String {
        let mut text = "tproxy".to_owned();
        let is_ip6 = family == Family::Ip6.number();
        if self.table.family == Family::Inet {
            text.push_str(match family {
                2 => " ip",
                10 => " ip6",
                _ => "",
            });
        }
        text.push_str(" to");
        if let Some(address) = address {
            let term = self.registers.get(address);
            let kind = if is_ip6 { Kind::Ipv6 } else { Kind::Ipv4 };
            let written = self.describe(&term, (kind, Order::Network)).text;
            let is_bracketed = is_ip6 && matches!(term, Term::Constant(_));
            let (open, close) = if is_bracketed { ("[", "]") } else { ("", "") };
            let _ = write!(text, " {open}{written}{close}");
        }
        if let Some(port) = port {
            let term = self.registers.get(port);
            let written = self.describe(&term, (Kind::Service, Order::Network)).text;
            text.push_str(if address.is_none() { " :" } else { ":" });
            text.push_str(&written);
        }
        text
    }
}
