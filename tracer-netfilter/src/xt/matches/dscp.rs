//! `dscp` and `tos`: parts of the type of service or traffic class (`net/netfilter/xt_dscp.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dscp {
    value: u8,
    is_inverted: bool,
}

const WHAT: &str = "the type of service";

impl Extension for Dscp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { value: blob.u8(0)?, is_inverted: blob.u8(1)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        seen::traffic_class(view.packet).test(WHAT, |class| (class >> 2 == self.value) != self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("dscp");
        line.option(self.is_inverted, "--dscp", format_args!("{:#04x}", self.value));
        line
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tos {
    mask: u8,
    value: u8,
    is_inverted: bool,
}

impl Extension for Tos {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1])?;
        Ok(Self { mask: blob.u8(0)?, value: blob.u8(1)?, is_inverted: blob.u8(2)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        seen::traffic_class(view.packet).test(WHAT, |class| (class & self.mask == self.value) != self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("tos");
        line.option(self.is_inverted, "--tos", format_args!("{:#04x}/{:#04x}", self.value, self.mask));
        line
    }
}
