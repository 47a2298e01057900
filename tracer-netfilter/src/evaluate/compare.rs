//! Comparisons of registers with values (`nft_cmp.c`, `nft_range.c`): byte by byte, as `memcmp` does.

use super::View;
use super::registers::Registers;
use crate::model::{Operator, Register};
use crate::truth::Truth;

pub(super) fn compare(
    view: &mut View<'_>,
    registers: &mut Registers,
    (register, operator): (Register, Operator),
    data: &[u8],
) -> Truth {
    if let Some(truth) = decide(registers, (register, operator), data) {
        registers.note(register, data.len(), view);
        return truth;
    }
    registers.resolve(register, data.len(), view);
    decide(registers, (register, operator), data)
        .unwrap_or_else(|| Truth::Unknown(registers.reason(register, data.len())))
}

fn decide(registers: &Registers, (register, operator): (Register, Operator), data: &[u8]) -> Option<Truth> {
    if let Operator::Equal | Operator::NotEqual = operator {
        let (differs, is_open) = registers.difference(register, data);
        if is_open && !differs {
            return None;
        }
        return Some(Truth::from(differs == (operator == Operator::NotEqual)));
    }
    let bounds = registers.bounds(register, data.len())?;
    let (low, high) = (bounds.low.as_slice(), bounds.high.as_slice());
    let (never, always) = match operator {
        Operator::Less => (low >= data, high < data),
        Operator::LessOrEqual => (low > data, high <= data),
        Operator::Greater => (high <= data, low > data),
        _ => (high < data, low >= data),
    };
    if always { Some(Truth::Yes) } else { never.then_some(Truth::No) }
}

/// Whether the bytes lie between `from` and `to`, both included.
pub(super) fn range(
    view: &mut View<'_>,
    registers: &mut Registers,
    register: Register,
    (from, to): (&[u8], &[u8]),
) -> Truth {
    registers.resolve(register, from.len(), view);
    let Some(bounds) = registers.bounds(register, from.len()) else {
        return Truth::unknown("a register that does not exist");
    };
    if bounds.low.as_slice() >= from && bounds.high.as_slice() <= to {
        Truth::Yes
    } else if bounds.high.as_slice() < from || bounds.low.as_slice() > to {
        Truth::No
    } else {
        Truth::Unknown(registers.reason(register, from.len()))
    }
}
