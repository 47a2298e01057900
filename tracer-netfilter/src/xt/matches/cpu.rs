//! `cpu`: the processor that handles the packet (`net/netfilter/xt_cpu.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    number: u32,
    is_inverted: bool,
}

impl Extension for Cpu {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { number: blob.u32(0)?, is_inverted: blob.u32(4)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        match view.packet.cpu {
            Some(cpu) => Truth::from((cpu == self.number) != self.is_inverted),
            None => Truth::unknown("the CPU that handled it"),
        }
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("cpu");
        line.option(self.is_inverted, "--cpu", self.number);
        line
    }
}
