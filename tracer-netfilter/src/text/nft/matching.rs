//! Matches: a value compared with a constant, a range or a set.

use super::exthdr;
use super::implied::{Key, Layer};
use super::kind::{Kind, Order, low, number};
use super::protocol::{Bits, Piece, Protocols};
use super::rebuild::{Bound, Rebuild, Subject};
use super::term::{Operation, Source, Term};
use super::value::{Style, flags, numeric, text, value};
use crate::model::{CtKey, Expression, Family, MapTarget, MetaKey, Operator, PayloadBase};

const fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "==",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
    }
}

const fn is_equality(operator: Operator) -> bool {
    matches!(operator, Operator::Equal | Operator::NotEqual)
}

/// `subject [operator] value`: an equals sign is only written where it would be something else without.
fn relation(subject: &Subject, operator: Operator, right: &str, is_one_value: bool) -> String {
    let is_plain = operator == Operator::Equal && subject.rank == 0 && !(is_one_value && subject.kind.is_flags());
    let sign = if is_plain { String::new() } else { format!(" {}", sign(operator)) };
    format!("{}{sign} {right}", subject.text)
}

impl Rebuild<'_> {
    /// Takes an expression that is a match; gives whether it was one.
    pub(super) fn feed_match(&mut self, expression: &Expression) -> bool {
        match expression {
            Expression::Compare { register, operator, data } => {
                let bits = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_mul(8);
                let mut term = self.registers.get(*register);
                if term.bits() > 0 && term.bits() < bits {
                    term = self.registers.get_bits(*register, bits);
                }
                self.compare(&term, *operator, data);
            }
            Expression::Range { register, negated, from, to } => {
                let term = self.registers.get(*register);
                let subject = self.part(&term);
                let end = |data: &[u8]| match number(data, subject.order) {
                    Some(value) if subject.shift > 0 => {
                        numeric(subject.kind, value.checked_shr(subject.shift).unwrap_or(0), Style::Numeric)
                    }
                    _ => value(subject.kind, subject.order, data, Style::Numeric),
                };
                let operator = if *negated { Operator::NotEqual } else { Operator::Equal };
                let text = relation(&subject, operator, &format!("{}-{}", end(from), end(to)), false);
                self.push(text);
                self.lower = None;
            }
            Expression::Lookup { set, register, map, negated } => {
                let bits = self.table.set(set).map_or(0, |set| set.key_length.saturating_mul(8));
                let key = self.registers.get_bits(*register, bits);
                match map {
                    Some(MapTarget::Register(register)) => {
                        self.registers.set(*register, Term::Map { key: Box::new(key), set: set.clone() });
                        return true;
                    }
                    Some(MapTarget::Verdict) => {
                        let text = self.lookup(&key, set, " vmap ", Order::Host);
                        self.push(text);
                    }
                    None => {
                        let text = self.lookup(&key, set, if *negated { " != " } else { " " }, Order::Host);
                        self.push(text);
                    }
                }
                self.lower = None;
            }
            _ => return false,
        }
        true
    }

    fn compare(&mut self, term: &Term, operator: Operator, data: &[u8]) {
        match (term, number(data, Order::Network)) {
            (Term::Bits(at), Some(value)) if is_equality(operator) => self.compare_bits(*at, operator, value),
            (Term::Binary { left, operation: Operation::And, right }, _) => {
                if let Term::Constant(mask) = &**right {
                    self.compare_masked(left, mask, operator, data);
                } else {
                    self.compare_plain(term, operator, data);
                }
            }
            (Term::Concat(parts), _) => self.compare_concat(parts, operator, data),
            _ => self.compare_plain(term, operator, data),
        }
    }

    /// Neighbouring fields were loaded at once: each is a match of its own.
    fn compare_bits(&mut self, at: Bits, operator: Operator, value: u128) {
        self.lower = None;
        let mut rest = at.length;
        for piece in self.protocols.pieces(at) {
            rest = rest.saturating_sub(piece.at.length);
            let value = value.checked_shr(rest).unwrap_or(0) & low(piece.at.length);
            self.compare_piece(&piece, operator, value);
        }
    }

    fn compare_piece(&mut self, piece: &Piece, operator: Operator, value: u128) {
        let base = piece.at.base;
        let whole = piece.field.map_or(piece.at.length, |(_, field)| field.bits);
        let is_key = piece.field.is_some_and(|(_, field)| field.is_key && field.bits == piece.at.length);
        let mut layer = Layer::of(base).above();
        if is_key && operator == Operator::Equal && self.protocols.learn(base, u32::try_from(value).unwrap_or(u32::MAX))
        {
            layer = Layer::of(base);
        }
        let subject = self.piece(piece, is_key);
        let missing = whole.saturating_sub(piece.at.length);
        let style = if value.is_power_of_two() || !subject.kind.is_flags() { Style::Named } else { Style::Numeric };
        let right = numeric(subject.kind, value.checked_shl(missing).unwrap_or(0), style);
        let right = if missing == 0 { right } else { format!("{right}/{}", piece.at.length) };
        let is_one_value = missing == 0;
        let statement = self.push(relation(&subject, operator, &right, is_one_value));
        if let (Some((protocol, _)), true, Operator::Equal) = (piece.field, is_key, operator) {
            self.implied.remember(layer, statement, Key::Field(protocol), value);
        }
    }

    fn compare_masked(&mut self, left: &Term, mask: &[u8], operator: Operator, data: &[u8]) {
        let subject = self.describe(left, (Kind::Integer, Order::Network));
        let numbers = (number(mask, subject.order), number(data, subject.order));
        let (Some(mask_number), Some(data_number)) = numbers else {
            let term = left.clone().binary(Operation::And, Term::Constant(mask.to_vec()));
            return self.compare_plain(&term, operator, data);
        };
        let width = left.bits();
        if let Some(text) = masked(&subject, width, mask_number, data_number, operator) {
            self.lower = None;
            self.push(text);
        } else if let Some((term, shift)) = self.unmasked(left, mask_number) {
            let shifted = data_number.checked_shr(shift).unwrap_or(0);
            match term {
                Term::Bits(at) if is_equality(operator) => self.compare_bits(at, operator, shifted),
                term => {
                    let subject = self.describe(&term, (Kind::Integer, Order::Network));
                    let ends = [Style::Named, Style::Numeric].map(|style| numeric(subject.kind, shifted, style));
                    self.bounded(&subject, operator, ends);
                }
            }
        } else {
            let term = left.clone().binary(Operation::And, Term::Constant(mask.to_vec()));
            self.compare_plain(&term, operator, data);
        }
    }

    /// The field that a mask leaves of what was loaded, and how far it is shifted.
    pub(super) fn unmasked(&self, term: &Term, mask: u128) -> Option<(Term, u32)> {
        match term {
            Term::Bits(at) => self.protocols.unmasked(*at, mask).map(|(at, shift)| (Term::Bits(at), shift)),
            Term::Named { source: Source::Exthdr { header, kind, offset }, bits, .. } => {
                exthdr::unmasked(*header, *kind, *offset, *bits, mask)
            }
            _ => None,
        }
    }

    fn compare_plain(&mut self, term: &Term, operator: Operator, data: &[u8]) {
        let subject = self.describe(term, (Kind::Integer, Order::Network));
        let bits = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_mul(8);
        let missing = term.bits().saturating_sub(bits);
        let right = if subject.kind.is_text() {
            text_of(data, term.bits())
        } else if missing > 0 && bits > 0 {
            let start = number(data, subject.order).and_then(|number| number.checked_shl(missing)).unwrap_or(0);
            format!("{}/{bits}", numeric(subject.kind, start, Style::Named))
        } else {
            value(subject.kind, subject.order, data, Style::Named)
        };
        let source = match term {
            Term::Named { source, .. } if operator == Operator::Equal => *source,
            _ => Source::Other,
        };
        let found = number(data, subject.order).unwrap_or(0);
        self.learn(source, found);
        let end = value(subject.kind, subject.order, data, Style::Numeric);
        let statement = self.bounded(&subject, operator, [right, end]);
        self.remember(source, statement, found);
    }

    /// What a `meta` or `ct` key says of the packet's protocols.
    fn learn(&mut self, source: Source, found: u128) {
        let number = u32::try_from(found).unwrap_or(u32::MAX);
        let family = self.protocols.family;
        let lower = Protocols::lowest(family);
        let needless = match source {
            Source::Meta(MetaKey::InputType) => {
                self.protocols.learn_hardware(number);
                None
            }
            Source::Meta(MetaKey::NfProtocol) => {
                self.protocols.learn_network(lower, number);
                self.implied.by_key(Layer::Link, false, found, family)
            }
            Source::Meta(MetaKey::Protocol) => {
                if matches!(family, Family::Netdev | Family::Bridge) {
                    self.protocols.learn_network(lower, number);
                }
                self.implied.by_key(Layer::Link, false, found, family)
            }
            Source::Meta(MetaKey::TransportProtocol) => {
                self.protocols.learn_transport(number);
                self.implied.by_key(Layer::Network, true, found, family)
            }
            Source::Ct(CtKey::L3Protocol) => {
                self.protocols.learn(PayloadBase::Link, number);
                self.implied.by_key(Layer::Link, false, found, family)
            }
            Source::Ct(CtKey::Source | CtKey::Destination) => self.implied.by_key(Layer::Network, false, found, family),
            Source::Ct(CtKey::Protocol) => {
                self.protocols.learn(PayloadBase::Network, number);
                self.implied.by_key(Layer::Network, false, found, family)
            }
            _ => None,
        };
        self.remove(needless);
    }

    fn remember(&mut self, source: Source, statement: usize, found: u128) {
        let (layer, key) = match source {
            Source::Meta(key @ MetaKey::InputType) => (Layer::Link, Key::Meta(key)),
            Source::Meta(key @ (MetaKey::NfProtocol | MetaKey::Protocol)) => (Layer::Network, Key::Meta(key)),
            Source::Meta(key @ MetaKey::TransportProtocol) => (Layer::Transport, Key::Meta(key)),
            Source::Ct(CtKey::L3Protocol) => (Layer::Network, Key::Ct),
            Source::Ct(CtKey::Protocol) => (Layer::Transport, Key::Ct),
            _ => return,
        };
        self.implied.remember(layer, statement, key, found);
    }

    /// Adds a comparison with a value (by its name, as a number); two that enclose a value become a range.
    fn bounded(&mut self, subject: &Subject, operator: Operator, [right, end]: [String; 2]) -> usize {
        let lower = self.lower.take();
        let negated = match operator {
            Operator::LessOrEqual => Some(false),
            Operator::Greater => Some(true),
            _ => None,
        };
        let lower = lower.filter(|lower| Some(lower.is_negated) == negated && lower.subject == subject.text);
        if let Some(lower) = lower {
            self.remove(Some(lower.statement));
            let operator = if lower.is_negated { Operator::NotEqual } else { Operator::Equal };
            return self.push(relation(subject, operator, &format!("{}-{end}", lower.value), false));
        }
        let is_one_value = !right.contains(" | ") && !right.contains('/');
        let statement = self.push(relation(subject, operator, &right, is_one_value));
        let is_negated = operator == Operator::Less;
        if is_negated || operator == Operator::GreaterOrEqual {
            self.lower = Some(Bound { statement, subject: subject.text.clone(), value: end, is_negated });
        }
        statement
    }

    fn compare_concat(&mut self, parts: &[Term], operator: Operator, data: &[u8]) {
        self.lower = None;
        let mut at = 0_usize;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for part in parts {
            let subject = self.part(part);
            let length = part.bits().div_ceil(8) as usize;
            let bytes = data.get(at..at.saturating_add(length)).or_else(|| data.get(at..)).unwrap_or_default();
            right.push(value(subject.kind, subject.order, bytes, Style::Named));
            left.push(subject.text);
            at = at.saturating_add(part.words() as usize * 4);
        }
        let subject = Subject::new(left.join(" . "), Kind::Integer, Order::Network);
        self.push(relation(&subject, operator, &right.join(" . "), false));
    }
}

/// A string that fills its register is a whole one even without a zero at its end.
fn text_of(data: &[u8], bits: u32) -> String {
    if data.len() >= bits.div_ceil(8) as usize && data.last() != Some(&0) {
        let mut ended = data.to_vec();
        ended.push(0);
        return text(&ended);
    }
    text(data)
}

/// A comparison of what a mask leaves, where nft has a form of its own for it.
fn masked(subject: &Subject, width: u32, mask: u128, data: u128, operator: Operator) -> Option<String> {
    let (kind, left) = (subject.kind, &subject.text);
    if kind.is_flags() && is_equality(operator) {
        let is_negated = operator == Operator::NotEqual;
        return match (data, is_negated) {
            (0, true) => Some(format!("{left} {}", flags(kind, mask, ","))),
            (0, false) => Some(format!("{left} ! {}", flags(kind, mask, ","))),
            _ if data == mask && mask.is_power_of_two() => None,
            _ => {
                let sign = if is_negated { "!= " } else { "" };
                Some(format!("{left} {sign}{} / {}", flags(kind, data, ","), flags(kind, mask, ",")))
            }
        };
    }
    let length = mask.count_ones();
    let is_prefix = mask == low(length).checked_shl(width.saturating_sub(length)).unwrap_or(0);
    (kind.has_prefix() && is_prefix).then(|| {
        let right = format!("{}/{length}", numeric(kind, data, Style::Named));
        relation(subject, operator, &right, false)
    })
}
