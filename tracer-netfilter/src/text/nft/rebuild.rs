//! A rule's expressions, put together again into the statements that they were made from.

use std::sync::Arc;

use super::implied::Implied;
use super::implied::Layer;
use super::kind::{Kind, Order};
use super::load::load;
use super::protocol::{Piece, Protocols};
use super::term::{Operation, Registers, Source, Term};
use super::value::{Style, value};
use crate::model::{Elements, Expression, ExtensionHeader, Table};

/// How the elements of a set are found.
pub(super) type Sets<'a> = &'a dyn Fn(&str) -> Option<Arc<Elements>>;

/// A thing that a value is compared with or put into, as text.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) order: Order,
    /// Of its operator; 0 if it has none.
    pub(super) rank: u8,
    /// Values are shifted left by this many bits.
    pub(super) shift: u32,
    /// Of a value in a register.
    pub(super) bits: u32,
}

impl Subject {
    pub(super) const fn new(text: String, kind: Kind, order: Order) -> Self {
        Self { text, kind, order, rank: 0, shift: 0, bits: 0 }
    }
}

/// One end of a range, which nft compares with on its own.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) statement: usize,
    pub(super) subject: String,
    pub(super) value: String,
    pub(super) is_negated: bool,
}

pub(super) struct Rebuild<'a> {
    pub(super) table: &'a Table,
    pub(super) sets: Sets<'a>,
    /// Counters are written with their numbers.
    pub(super) has_numbers: bool,
    pub(super) protocols: Protocols,
    pub(super) implied: Implied,
    pub(super) registers: Registers,
    pub(super) statements: Vec<Option<String>>,
    /// The match just before, if it may be the lower end of a range.
    pub(super) lower: Option<Bound>,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(table: &'a Table, sets: Sets<'a>, has_numbers: bool) -> Self {
        Self {
            table,
            sets,
            has_numbers,
            protocols: Protocols::new(table.family),
            implied: Implied::default(),
            registers: Registers::default(),
            statements: Vec::new(),
            lower: None,
        }
    }

    pub(super) fn feed(&mut self, expression: &Expression) {
        if let Some((register, term)) = load(expression, &self.registers, &self.protocols) {
            return self.registers.set(register, term);
        }
        match expression {
            Expression::Bitwise { source, destination, operation, .. } => {
                self.registers.change(*source, *destination, operation);
            }
            Expression::ByteOrder { source, destination, .. } => {
                let term = Term::Swapped(Box::new(self.registers.get(*source)));
                self.registers.set(*destination, term);
            }
            _ if self.feed_match(expression) => {}
            _ => {
                if let Some(text) = self.effect(expression) {
                    self.push(text);
                    self.implied.forget();
                }
                self.lower = None;
            }
        }
    }

    pub(super) fn text(self) -> String {
        self.statements.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Adds a statement and gives its place.
    pub(super) fn push(&mut self, text: String) -> usize {
        self.statements.push(Some(text));
        self.statements.len().saturating_sub(1)
    }

    /// Takes out a statement that another makes needless.
    pub(super) fn remove(&mut self, statement: Option<usize>) {
        let Some(statement) = statement else { return };
        if let Some(slot) = self.statements.get_mut(statement) {
            *slot = None;
        }
        if self.lower.as_ref().is_some_and(|lower| lower.statement == statement) {
            self.lower = None;
        }
    }

    /// A piece of a packet, by the name of the field if it has one.
    pub(super) fn piece(&mut self, piece: &Piece, is_key: bool) -> Subject {
        let needless = self.implied.by_field(piece, is_key, self.protocols.family);
        self.remove(needless);
        match piece.field {
            Some((protocol, field)) => {
                Subject::new(format!("{} {}", protocol.name(), field.name), field.kind, Order::Network)
            }
            None => Subject::new(super::raw(piece.at), Kind::Raw, Order::Network),
        }
    }

    /// What a term is; constants are of the type `expected`.
    pub(super) fn describe(&mut self, term: &Term, expected: (Kind, Order)) -> Subject {
        match term {
            Term::Bits(at) => {
                let piece = Piece { at: *at, field: self.protocols.field(*at) };
                self.piece(&piece, false)
            }
            Term::Named { text, kind, order, source, .. } => {
                self.look_at(*source);
                Subject::new(text.clone(), *kind, *order)
            }
            Term::Constant(data) => {
                let mut subject =
                    Subject::new(value(expected.0, expected.1, data, Style::Named), expected.0, expected.1);
                subject.rank = if subject.text.contains(" | ") { Operation::Or.rank() } else { 0 };
                subject
            }
            Term::Binary { left, operation, right } => self.binary(left, *operation, right, expected),
            Term::Swapped(term) => {
                let subject = self.describe(term, (expected.0, expected.1.swapped()));
                Subject { order: subject.order.swapped(), ..subject }
            }
            Term::Map { key, set } => {
                let text = self.lookup(key, set, " map ", expected.1);
                let kind = self.table.set(set).and_then(|set| set.data_type).map_or(Kind::Integer, Kind::from_number);
                Subject::new(text, kind, kind.order())
            }
            Term::Concat(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.part(part).text).collect();
                Subject::new(parts.join(" . "), Kind::Integer, Order::Network)
            }
            Term::Hash { source, after } => {
                let source = self.describe(source, (Kind::Integer, Order::Network)).text;
                Subject::new(format!("jhash {source}{after}"), Kind::Integer, Order::Host)
            }
            Term::Missing => Subject::new("(nothing)".to_owned(), Kind::Raw, Order::Network),
        }
    }

    /// An option or extension header makes needless what asked for the header that it is in.
    fn look_at(&mut self, source: Source) {
        if let Source::Exthdr { header, .. } = source {
            let needless = match header {
                ExtensionHeader::TcpOption => self.implied.by_layer(Layer::Transport),
                ExtensionHeader::Ipv6 | ExtensionHeader::Ipv4Option => self.implied.by_layer(Layer::Network),
                _ => None,
            };
            self.remove(needless);
        }
    }

    fn binary(&mut self, left: &Term, operation: Operation, right: &Term, expected: (Kind, Order)) -> Subject {
        let left = self.describe(left, expected);
        let right_expected = match operation {
            Operation::ShiftLeft | Operation::ShiftRight => (Kind::Integer, Order::Host),
            _ => (left.kind, left.order),
        };
        let right = self.describe(right, right_expected);
        let enclosed = |subject: &Subject| {
            if subject.rank > operation.rank() { format!("({})", subject.text) } else { subject.text.clone() }
        };
        let text = format!("{} {} {}", enclosed(&left), operation.as_str(), enclosed(&right));
        Subject { text, rank: operation.rank(), ..left }
    }
}
