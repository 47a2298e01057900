//! CONNMARK: moves bits between the packet's mark and its connection's.

use super::mark::{Bits, change};
use super::{Blob, Effect, Extension, Line};
use crate::evaluate::{MarkState, View};
use crate::model::{DecodeError, Family};
use crate::packet::{ConnectionState, Known};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Set,
    Save,
    Restore,
}

/// `struct xt_connmark_tginfo2`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionMark {
    mode: Mode,
    value: u32,
    connection_mask: u32,
    packet_mask: u32,
    shift: Shift,
}

/// Bits by which what is moved is shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    Left(u8),
    Right(u8),
}

impl Shift {
    /// As the kernel does; beyond 31 bits it is not defined, and nothing is left.
    fn apply(self, value: u32) -> u32 {
        match self {
            Self::Left(bits) => value.checked_shl(bits.into()).unwrap_or(0),
            Self::Right(bits) => value.checked_shr(bits.into()).unwrap_or(0),
        }
    }

    /// What is shifted in is 0, and known to be.
    fn apply_to(self, bits: Bits) -> Bits {
        Bits { value: self.apply(bits.value & bits.known), known: !self.apply(!bits.known) }
    }
}

impl Extension for ConnectionMark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1, 2])?;
        let (direction, bits, mode) = if blob.revision == 2 { (12, 13, 14) } else { (15, 15, 12) };
        let mode = match blob.u8(mode)? {
            0 => Mode::Set,
            1 => Mode::Save,
            2 => Mode::Restore,
            _ => return Err(DecodeError::Malformed("the target CONNMARK")),
        };
        let shift = match (blob.revision, blob.u8(direction)?) {
            (1, _) => Shift::Left(0),
            (_, 0) => Shift::Left(blob.u8(bits)?),
            _ => Shift::Right(blob.u8(bits)?),
        };
        Ok(Self { mode, value: blob.u32(0)?, connection_mask: blob.u32(4)?, packet_mask: blob.u32(8)?, shift })
    }

    /// `connmark_tg_shift`, `xt_connmark.c`.
    fn apply(&self, view: &mut View<'_>, sure: bool) -> Effect {
        let sure = match &view.packet.connection {
            _ if view.no_track => return Effect::Continue,
            Known::Absent => return Effect::Continue,
            Known::Is(connection) => match connection.state {
                ConnectionState::Invalid | ConnectionState::Untracked => return Effect::Continue,
                ConnectionState::New | ConnectionState::Established | ConnectionState::Related => sure,
            },
            Known::Unknown => false,
        };
        let (packet, connection) = (&mut view.mark, &mut view.connection_mark);
        match self.mode {
            Mode::Set if self.shift == Shift::Left(0) => {
                change(connection, Bits { value: self.value, known: u32::MAX }, self.connection_mask, sure);
            }
            // The whole mark is shifted: what it was is not kept in one number.
            Mode::Set => connection.forget(u32::MAX),
            Mode::Save => change(connection, self.moved(packet, self.packet_mask), self.connection_mask, sure),
            Mode::Restore => change(packet, self.moved(connection, self.connection_mask), self.packet_mask, sure),
        }
        Effect::Continue
    }

    fn line(&self, _family: Family) -> Line {
        let line = Line::new("CONNMARK");
        let masks = |line: Line| {
            line.option("--nfmask", format_args!("{:#x}", self.packet_mask))
                .option("--ctmask", format_args!("{:#x}", self.connection_mask))
        };
        let line = match self.mode {
            Mode::Set => line.option("--set-xmark", format_args!("{:#x}/{:#x}", self.value, self.connection_mask)),
            Mode::Save => masks(line.flag("--save-mark")),
            Mode::Restore => masks(line.flag("--restore-mark")),
        };
        match self.shift {
            Shift::Left(0) | Shift::Right(0) => line,
            Shift::Left(bits) => line.option("--left-shift-mark", bits),
            Shift::Right(bits) => line.option("--right-shift-mark", bits),
        }
    }
}

impl ConnectionMark {
    /// The bits of a mark that are moved, where they will be.
    fn moved(&self, from: &mut MarkState, mask: u32) -> Bits {
        let bits = match from.rely(mask) {
            Some(value) => Bits { value, known: u32::MAX },
            None => Bits { value: from.bits().0 & mask, known: from.bits().1 | !mask },
        };
        self.shift.apply_to(bits)
    }
}
