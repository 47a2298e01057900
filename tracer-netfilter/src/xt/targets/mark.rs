//! MARK: sets bits of the packet's mark.

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::{MarkState, View};
use crate::model::{DecodeError, Family};

/// `struct xt_mark_tginfo2`: the mark becomes `(mark & ~mask) ^ value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub value: u32,
    pub mask: u32,
}

impl Extension for Mark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2])?;
        let (value, second) = (blob.u32(0)?, blob.u32(4)?);
        // `struct xt_mark_target_info`: an unsigned long; `_v1` has a mode behind it (set, and, or).
        let mode = if blob.revision == 1 { blob.u8(8)? } else { 0 };
        Ok(match (blob.revision, mode) {
            (2, _) => Self { value, mask: second },
            (_, 1) => Self { value: 0, mask: !value },
            (_, 2) => Self { value, mask: value },
            _ => Self { value, mask: u32::MAX },
        })
    }

    fn apply(&self, view: &mut View<'_>, sure: bool) -> Effect {
        change(&mut view.mark, Bits { value: self.value, known: u32::MAX }, self.mask, sure);
        Effect::Continue
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("MARK").option("--set-xmark", format_args!("{:#x}/{:#x}", self.value, self.mask))
    }
}

/// A number of which only some bits are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) value: u32,
    pub(super) known: u32,
}

/// Makes a mark `(mark & ~cleared) ^ by`.
pub(super) fn change(mark: &mut MarkState, by: Bits, cleared: u32, sure: bool) {
    mark.write(by.value, cleared & by.known, sure);
    mark.toggle(by.value & by.known & !cleared, sure);
    mark.forget(!by.known);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet;

    fn mark(value: u32) -> MarkState {
        MarkState::new(packet::Mark::Before(value), false)
    }

    #[test]
    fn bits_under_the_mask_are_set_and_others_turned_over() {
        let mut state = mark(0xff00);
        change(&mut state, Bits { value: 0x11_0f, known: u32::MAX }, 0xff, true);
        assert_eq!(state.bits(), (0xee0f, u32::MAX));
    }

    #[test]
    fn an_unknown_bit_makes_the_same_bit_unknown() {
        let mut state = mark(0xff);
        change(&mut state, Bits { value: 0x30, known: 0xf0 }, 0xff, true);
        assert_eq!(state.bits().0 & 0xf0, 0x30);
        assert_eq!(state.bits().1, 0xf0);
    }
}
