//! `u32`: numbers anywhere in the packet (`net/netfilter/xt_u32.c`).

use std::fmt::Write as _;

use crate::packet::Packet;

use super::line::list;
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct U32 {
    tests: Vec<Test>,
    is_inverted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    /// A number each with what is done with it; the first is a position.
    steps: Vec<(Operation, u32)>,
    ranges: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    ShiftLeft,
    ShiftRight,
    At,
    Unknown,
}

/// `XT_U32_MAXSIZE` and one more.
const MOST: usize = 11;
const PAIR: usize = 8;
/// Bytes of a `struct xt_u32_test`.
const TEST: usize = 2 * MOST * PAIR + 4;

impl Extension for U32 {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let count = usize::from(blob.u8(MOST * TEST)?).min(MOST);
        let tests = (0..count).map(|index| Test::read(blob, index * TEST)).collect::<Result<_, _>>()?;
        Ok(Self { tests, is_inverted: blob.u8(MOST * TEST + 1)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let mut truth = Truth::Yes;
        for test in &self.tests {
            let holds = |value| test.ranges.iter().any(|(lowest, highest)| *lowest <= value && value <= *highest);
            truth = truth.and(test.value(view.packet).test("bytes that were not kept (u32)", holds));
            if truth == Truth::No {
                break;
            }
        }
        truth.invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut text = String::new();
        for test in &self.tests {
            text.push_str(if text.is_empty() { "" } else { "&&" });
            for (index, (operation, number)) in test.steps.iter().enumerate() {
                let sign = match operation {
                    _ if index == 0 => "",
                    Operation::And => "&",
                    Operation::ShiftLeft => "<<",
                    Operation::ShiftRight => ">>",
                    Operation::At => "@",
                    Operation::Unknown => "",
                };
                let _ = write!(text, "{sign}{number:#x}");
            }
            let ranges = test.ranges.iter().map(|(lowest, highest)| {
                if lowest == highest { format!("{lowest:#x}") } else { format!("{lowest:#x}:{highest:#x}") }
            });
            let _ = write!(text, "={}", list(ranges));
        }
        let mut line = Line::new("u32");
        line.option(self.is_inverted, "--u32", format_args!("\"{text}\""));
        line
    }
}

impl Test {
    fn read(blob: &Blob<'_>, offset: usize) -> Result<Self, DecodeError> {
        let steps = usize::from(blob.u8(offset + 2 * MOST * PAIR)?).min(MOST);
        let ranges = usize::from(blob.u8(offset + 2 * MOST * PAIR + 1)?).min(MOST);
        let step = |index: usize| {
            let operation = match blob.u8(offset + PAIR * index + 4)? {
                0 => Operation::And,
                1 => Operation::ShiftLeft,
                2 => Operation::ShiftRight,
                3 => Operation::At,
                _ => Operation::Unknown,
            };
            Ok((operation, blob.u32(offset + PAIR * index)?))
        };
        let range = |index: usize| blob.u32_pair(offset + MOST * PAIR + PAIR * index);
        // The kernel reads the first position even of a test that counts no steps.
        Ok(Self {
            steps: (0..steps.max(1)).map(step).collect::<Result<_, _>>()?,
            ranges: (0..ranges).map(range).collect::<Result<_, _>>()?,
        })
    }

    /// The number that is looked at in the end.
    fn value(&self, packet: &Packet) -> Seen<u32> {
        let mut steps = self.steps.iter();
        let Some((_, position)) = steps.next() else { return Seen::Short };
        let mut base: u32 = 0;
        let mut value = word(packet, base, *position);
        for (operation, number) in steps {
            value = match (operation, value) {
                (Operation::And, Seen::Is(value)) => Seen::Is(value & number),
                (Operation::ShiftLeft, Seen::Is(value)) => Seen::Is(value.wrapping_shl(*number)),
                (Operation::ShiftRight, Seen::Is(value)) => Seen::Is(value.wrapping_shr(*number)),
                (Operation::At, Seen::Is(value)) => match base.checked_add(value) {
                    Some(moved) => {
                        base = moved;
                        word(packet, base, *number)
                    }
                    None => Seen::Short,
                },
                (_, value) => value,
            };
        }
        value
    }
}

/// Four bytes at a position behind `base`, both counted from the IP header.
fn word(packet: &Packet, base: u32, position: u32) -> Seen<u32> {
    seen::network(packet, (base as usize).saturating_add(position as usize)).map(u32::from_be_bytes)
}
