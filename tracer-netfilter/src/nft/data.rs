//! The parts that expressions and elements are made of: registers, values, verdicts, counters, lists.

use crate::model::{Counter, Register, Verdict};
use crate::netlink::{Attributes, text};

/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_DATA_VALUE`, `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
/// `NFTA_VERDICT_CODE`, `NFTA_VERDICT_CHAIN`.
const CODE: u16 = 1;
const CHAIN: u16 = 2;
/// `NFTA_COUNTER_BYTES`, `NFTA_COUNTER_PACKETS`.
const BYTES: u16 = 1;
const PACKETS: u16 = 2;

/// A data register; `None` for the verdict register and for numbers that name none.
pub(super) fn register(attributes: Attributes<'_>, kind: u16) -> Option<Register> {
    match attributes.be32(kind)? {
        number @ 1..=4 => Some(Register((number as u8 - 1) * 4)),
        number @ 8..=23 => Some(Register(number as u8 - 8)),
        _ => None,
    }
}

/// `Some(None)` if it is absent, `None` if it makes no sense.
#[expect(clippy::option_option, reason = "absent and senseless are different answers")]
pub(super) fn optional_register(attributes: Attributes<'_>, kind: u16) -> Option<Option<Register>> {
    match attributes.get(kind) {
        None => Some(None),
        Some(_) => register(attributes, kind).map(Some),
    }
}

/// Both ends of a range of registers: the kernel gives the first for both if there is only one.
#[expect(clippy::option_option, reason = "absent and senseless are different answers")]
pub(super) fn register_pair(attributes: Attributes<'_>, from: u16, to: u16) -> Option<Option<(Register, Register)>> {
    let first = optional_register(attributes, from)?;
    let last = optional_register(attributes, to)?;
    Some(first.map(|first| (first, last.unwrap_or(first))))
}

/// Bytes of `NFTA_DATA_VALUE` in the attribute `kind`.
pub(super) fn value(attributes: Attributes<'_>, kind: u16) -> Option<Vec<u8>> {
    attributes.nested(kind).get(VALUE).map(<[u8]>::to_vec)
}

/// The verdict in the attribute `kind`.
pub(super) fn verdict(attributes: Attributes<'_>, kind: u16) -> Option<Verdict> {
    let verdict = attributes.nested(kind).nested(VERDICT);
    let chain = || verdict.text(CHAIN);
    let code = verdict.be32(CODE)?;
    Some(match code.cast_signed() {
        // NFT_CONTINUE, and NFT_BREAK: on to the next rule
        -1 | -2 => Verdict::Continue,
        -3 => Verdict::Jump(chain()?),
        -4 => Verdict::Goto(chain()?),
        -5 => Verdict::Return,
        // The upper half holds the queue's number, or an error number with a drop (NF_VERDICT_MASK).
        0.. => match code & 0xff {
            0 => Verdict::Drop,
            1 => Verdict::Accept,
            2 => Verdict::Stolen,
            3 => Verdict::Queue((code >> 16) as u16),
            _ => return None,
        },
        _ => return None,
    })
}

/// `NFTA_COUNTER_` attributes.
pub(super) fn counter(attributes: Attributes<'_>) -> Option<Counter> {
    Some(Counter { packets: attributes.be64(PACKETS)?, bytes: attributes.be64(BYTES)? })
}

/// The entries of a list of `NFTA_LIST_ELEM`.
pub(super) fn list(attributes: Attributes<'_>) -> impl Iterator<Item = Attributes<'_>> {
    attributes.iter().filter(|entry| entry.kind == ELEMENT).map(|entry| Attributes::new(entry.value))
}

/// A name that must not be empty.
pub(super) fn name(attributes: Attributes<'_>, kind: u16) -> Option<String> {
    attributes.get(kind).map(text).filter(|name| !name.is_empty())
}
