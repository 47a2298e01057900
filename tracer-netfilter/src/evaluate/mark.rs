//! The packet's mark on its way through the rules, bit by bit.
//!
//! Rule: an event shows the mark as it was when the packet was dropped. A bit that no rule wrote between some rule and the
//! drop was as at the end there, so a bit that is not known is taken to be so; if a rule writes it later, that may have
//! been wrong, and [`MarkState::is_broken`] says that the walk must be made again without.

use crate::packet::Mark;
use crate::truth::Truth;

/// What is known of the mark at one point of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkState {
    value: u32,
    /// Bits whose value is known: set by rules on the way, or given at the start.
    known: u32,
    /// The mark at the end, where bits that are not known may be taken from.
    end: Option<u32>,
    /// Whether bits may be taken from `end`.
    relying: bool,
    /// Bits that were taken from `end`.
    relied: u32,
    /// Bits that were asked for and not known.
    doubted: u32,
    /// Bits of both that were written later.
    broken: u32,
    /// Bits that were asked for and written since [`MarkState::take_trace`].
    asked: u32,
    written: u32,
}

impl MarkState {
    /// `relying`: bits that are not known may be taken from the end.
    pub const fn new(mark: Mark, relying: bool) -> Self {
        let (value, known, end) = match mark {
            Mark::Before(value) => (value, u32::MAX, None),
            Mark::After(end) => (0, 0, Some(end)),
        };
        Self { value, known, end, relying, relied: 0, doubted: 0, broken: 0, asked: 0, written: 0 }
    }

    /// Nothing is known of it, nor ever will be but what rules write.
    pub const fn unknown() -> Self {
        Self::new(Mark::After(0), false)
    }

    /// Value and known bits, without taking anything from the end.
    pub const fn bits(&self) -> (u32, u32) {
        (self.value & self.known, self.known)
    }

    /// The value of these bits, those not known taken from the end; `None` if that can't be.
    pub fn rely(&mut self, bits: u32) -> Option<u32> {
        self.asked |= bits;
        let missing = bits & !self.known;
        if missing == 0 {
            return Some(self.value & bits);
        }
        let Some(end) = self.end.filter(|_| self.relying) else {
            self.doubted |= missing;
            return None;
        };
        self.relied |= missing;
        Some((self.value & bits & self.known) | (end & missing))
    }

    /// These bits were looked at.
    pub const fn note(&mut self, bits: u32) {
        self.asked |= bits;
    }

    /// Whether `mark & mask == value`.
    pub fn matches(&mut self, value: u32, mask: u32) -> Truth {
        let known = mask & self.known;
        if self.value & known != value & known || value & !mask != 0 {
            self.asked |= known;
            return Truth::No;
        }
        match self.rely(mask) {
            Some(bits) => (bits == value).into(),
            None => Truth::unknown("the packet's mark on the way"),
        }
    }

    /// A rule sets the bits of `written` to `value`; `sure` if it surely does.
    pub fn write(&mut self, value: u32, written: u32, sure: bool) {
        let same = self.known & written & !(self.value ^ value);
        self.touch(written, written & !same);
        if sure {
            self.known |= written;
            self.value = (self.value & !written) | (value & written);
        } else {
            self.known &= !written | same;
        }
    }

    /// A rule turns these bits over.
    pub fn toggle(&mut self, bits: u32, sure: bool) {
        self.touch(bits, bits);
        if sure {
            self.value ^= bits;
        } else {
            self.known &= !bits;
        }
    }

    /// A rule sets these bits to something that is not known.
    pub fn forget(&mut self, bits: u32) {
        self.touch(bits, bits);
        self.known &= !bits;
    }

    fn touch(&mut self, written: u32, changed: u32) {
        self.written |= written;
        self.broken |= (self.relied | self.doubted) & changed;
    }

    /// What is known where two ways come together.
    #[must_use]
    pub const fn join(mut self, other: &Self) -> Self {
        self.known &= other.known & !(self.value ^ other.value);
        self.relied |= other.relied;
        self.doubted |= other.doubted;
        self.broken |= other.broken;
        self
    }

    /// Whether a bit was written after it was taken from the end, or asked for without being known.
    pub const fn is_broken(&self) -> bool {
        self.broken != 0
    }

    /// The bits that were taken from the end so far.
    pub const fn relied_bits(&self) -> u32 {
        self.relied
    }

    /// The bits that were asked for, and those that were written, since this was last called.
    pub const fn take_trace(&mut self) -> (u32, u32) {
        let trace = (self.asked, self.written);
        self.asked = 0;
        self.written = 0;
        trace
    }

    /// Whether what is known agrees with the mark at the end.
    pub const fn agrees(&self, end: u32) -> bool {
        (self.value ^ end) & self.known == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_that_no_rule_wrote_is_as_at_the_end() {
        let mut mark = MarkState::new(Mark::After(0x400), true);
        assert_eq!(mark.matches(0x400, 0x400), Truth::Yes);
        assert_eq!(mark.matches(0x800, 0x800), Truth::No);
        assert!(!mark.is_broken());
        mark.write(0, 0x800, true);
        assert!(mark.is_broken(), "it was relied on before");
    }

    #[test]
    fn what_a_rule_set_needs_no_end() {
        let mut mark = MarkState::new(Mark::After(0), false);
        assert_eq!(mark.matches(0, 1), Truth::unknown("the packet's mark on the way"));
        mark.write(0x10, 0xf0, true);
        assert_eq!(mark.matches(0x10, 0x70), Truth::Yes);
        assert_eq!(mark.matches(0x11, 0x71), Truth::unknown("the packet's mark on the way"));
        assert_eq!(mark.matches(0x21, 0x71), Truth::No, "one known bit decides");
        assert!(!mark.agrees(0x20) && mark.agrees(0x1f));
    }

    #[test]
    fn what_may_have_been_set_is_no_longer_known() {
        let mut mark = MarkState::new(Mark::Before(0), true);
        mark.write(1, 1, false);
        assert_eq!(mark.bits(), (0, !1));
        mark.write(0, 2, false);
        assert_eq!(mark.bits(), (0, !1), "written or not, it is the same");
    }
}
