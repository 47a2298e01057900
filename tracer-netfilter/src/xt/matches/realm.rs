//! `realm`: the realm of a packet's route (`net/netfilter/xt_realm.c`).
//!
//! Rule: printed as a number; iptables prints the name in the node's `/etc/iproute2/rt_realms` where there is one.

use super::line::masked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    id: u32,
    mask: u32,
    is_inverted: bool,
}

impl Extension for Realm {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { id: blob.u32(0)?, mask: blob.u32(4)?, is_inverted: blob.u8(8)? != 0 })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the realm of its route")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("realm");
        line.option(self.is_inverted, "--realm", masked(self.id, self.mask));
        line
    }
}
