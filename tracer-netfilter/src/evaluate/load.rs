//! What an expression that loads a register gets.

use super::View;
use super::registers::{Reason, Registers, Source};
use crate::model::Register;
use crate::packet::Known;

/// What was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    Bytes(Vec<u8>),
    /// Only the first bytes are known, of so many.
    Partly(Vec<u8>, usize, Reason),
    Mark(Source),
    /// There is no such thing: the rule does not match (`NFT_BREAK`).
    Break,
}

impl Loaded {
    pub(super) fn unknown(length: usize, reason: impl Into<Reason>) -> Self {
        Self::Partly(Vec::new(), length, reason.into())
    }

    /// A number as the kernel keeps it in a register.
    pub(super) fn number(value: u32) -> Self {
        Self::Bytes(value.to_ne_bytes().to_vec())
    }

    /// A name in a field of `IFNAMSIZ`.
    pub(super) fn name(name: &str) -> Self {
        let mut bytes: Vec<u8> = name.bytes().take(15).collect();
        bytes.resize(16, 0);
        Self::Bytes(bytes)
    }

    /// `of` what is known; `absent` is what the kernel loads if there is none.
    pub(super) fn from_known<T>(
        known: Known<T>,
        (length, reason): (usize, &'static str),
        absent: Self,
        of: impl FnOnce(T) -> Self,
    ) -> Self {
        match known {
            Known::Is(value) => of(value),
            Known::Absent => absent,
            Known::Unknown => Self::unknown(length, reason),
        }
    }

    pub(super) fn from_option<T>(
        known: Option<T>,
        (length, reason): (usize, &'static str),
        of: impl FnOnce(T) -> Self,
    ) -> Self {
        known.map_or_else(|| Self::unknown(length, reason), of)
    }

    /// Puts it into a register; `false` if there is nothing, which ends the rule.
    pub(super) fn store(
        self,
        registers: &mut Registers,
        register: Register,
        name: &'static str,
        view: &View<'_>,
    ) -> bool {
        match self {
            Self::Bytes(bytes) => registers.store(register, &bytes, name),
            Self::Partly(bytes, length, reason) => {
                registers.store_unknown(register, (&bytes, length), &reason, name);
            }
            Self::Mark(Source::Packet) => registers.store_mark(register, Source::Packet, view.mark.bits()),
            Self::Mark(Source::Connection) => {
                registers.store_mark(register, Source::Connection, view.connection_mark.bits());
            }
            Self::Break => return false,
        }
        true
    }
}
