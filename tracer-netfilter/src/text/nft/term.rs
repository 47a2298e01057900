//! What a register holds, kept as the expression that put it there until it is known what it is for.

use super::kind::{Kind, Order};
use super::protocol::Bits;
use crate::model::{BitwiseOperation, CtKey, ExtensionHeader, MetaKey, Register};

/// A value that is made of more is no rule of any tool; registers can be doubled with each expression.
const MAX_SIZE: u32 = 200;

/// An operator between two values, in the order of binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    ShiftLeft,
    ShiftRight,
    And,
    Xor,
    Or,
}

impl Operation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::And => "&",
            Self::Xor => "^",
            Self::Or => "|",
        }
    }

    /// Stronger ones need no brackets inside weaker ones.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::ShiftLeft | Self::ShiftRight => 1,
            Self::And => 2,
            Self::Xor => 3,
            Self::Or => 4,
        }
    }
}

/// Where a value comes from, as far as it matters for the protocols of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Meta(MetaKey),
    Ct(CtKey),
    /// Offset in bits.
    Exthdr {
        header: ExtensionHeader,
        kind: u8,
        offset: u32,
    },
    Other,
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Bits(Bits),
    /// A thing with a fixed name.
    Named {
        text: String,
        kind: Kind,
        order: Order,
        bits: u32,
        source: Source,
    },
    Constant(Vec<u8>),
    Binary {
        left: Box<Term>,
        operation: Operation,
        right: Box<Term>,
    },
    /// The bytes of each value turned round.
    Swapped(Box<Term>),
    Map {
        key: Box<Term>,
        set: String,
    },
    Concat(Vec<Term>),
    Hash {
        source: Box<Term>,
        after: String,
    },
    /// A register that nothing was put into.
    Missing,
}

impl Term {
    pub(super) fn bits(&self) -> u32 {
        match self {
            Self::Bits(at) => at.length,
            Self::Named { bits, .. } => *bits,
            Self::Constant(data) => u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_mul(8),
            Self::Binary { left, .. } => left.bits(),
            Self::Swapped(term) => term.bits(),
            Self::Map { .. } | Self::Missing => 0,
            Self::Concat(parts) => {
                parts.iter().fold(0, |sum, part| sum.saturating_add(part.words().saturating_mul(32)))
            }
            Self::Hash { .. } => 32,
        }
    }

    /// How many values it is made of.
    fn size(&self) -> u32 {
        match self {
            Self::Bits(_) | Self::Named { .. } | Self::Constant(_) | Self::Missing => 1,
            Self::Binary { left, right, .. } => left.size().saturating_add(right.size()),
            Self::Swapped(term) | Self::Map { key: term, .. } | Self::Hash { source: term, .. } => {
                term.size().saturating_add(1)
            }
            Self::Concat(parts) => parts.iter().fold(0, |sum, part| sum.saturating_add(part.size())),
        }
    }

    /// Registers of 32 bits that it takes.
    pub(super) fn words(&self) -> u32 {
        self.bits().div_ceil(32).max(1)
    }

    pub(super) fn binary(self, operation: Operation, right: Self) -> Self {
        Self::Binary { left: Box::new(self), operation, right: Box::new(right) }
    }

    /// `(self & mask) ^ xor`, as `&`, `^` and `|` were most likely meant.
    pub(super) fn masked(self, mask: &[u8], xor: &[u8]) -> Self {
        let pairs = || mask.iter().zip(xor);
        let or: Vec<_> = pairs().map(|(mask, xor)| xor & !mask).collect();
        let turned: Vec<_> = pairs().map(|(mask, xor)| xor & mask).collect();
        let kept: Vec<_> = pairs().map(|(mask, xor)| mask | xor).collect();
        let has = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
        let mut term = self;
        if kept.iter().any(|byte| *byte != 0xff) {
            term = term.binary(Operation::And, Self::Constant(kept));
        }
        if has(&turned) {
            term = term.binary(Operation::Xor, Self::Constant(turned));
        }
        if has(&or) {
            term = term.binary(Operation::Or, Self::Constant(or));
        }
        term
    }
}

/// The sixteen data registers of a rule.
#[derive(Debug, Default)]
pub(super) struct Registers([Option<Term>; 16]);

impl Registers {
    pub(super) fn set(&mut self, register: Register, term: Term) {
        let term = if term.size() > MAX_SIZE { Term::Missing } else { term };
        if let Some(slot) = self.0.get_mut(usize::from(register.0)) {
            *slot = Some(term);
        }
    }

    pub(super) fn get(&self, register: Register) -> Term {
        self.0.get(usize::from(register.0)).cloned().flatten().unwrap_or(Term::Missing)
    }

    /// The values in the registers from here on that make up `bits`; several are a concatenation.
    pub(super) fn get_bits(&self, register: Register, bits: u32) -> Term {
        let first = self.get(register);
        if first.bits() >= bits || matches!(first, Term::Map { .. } | Term::Missing) {
            return first;
        }
        let (mut parts, mut at, mut rest) = (Vec::new(), u32::from(register.0), bits.div_ceil(32));
        while rest > 0 && at < 16 {
            let part = self.get(Register(u8::try_from(at).unwrap_or(u8::MAX)));
            at = at.saturating_add(part.words());
            rest = rest.saturating_sub(part.words());
            parts.push(part);
        }
        Term::Concat(parts)
    }

    pub(super) fn change(&mut self, source: Register, destination: Register, operation: &BitwiseOperation) {
        let term = self.get(source);
        let count = |bits: u32| Term::Constant(bits.to_ne_bytes().to_vec());
        let term = match operation {
            BitwiseOperation::Boolean { mask, xor } => term.masked(mask, xor),
            BitwiseOperation::ShiftLeft(bits) => term.binary(Operation::ShiftLeft, count(*bits)),
            BitwiseOperation::ShiftRight(bits) => term.binary(Operation::ShiftRight, count(*bits)),
            BitwiseOperation::And(other) => term.binary(Operation::And, self.get(*other)),
            BitwiseOperation::Or(other) => term.binary(Operation::Or, self.get(*other)),
            BitwiseOperation::Xor(other) => term.binary(Operation::Xor, self.get(*other)),
        };
        self.set(destination, term);
    }
}
