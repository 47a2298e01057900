//! `connlabel`: labels of a connection (`net/netfilter/xt_connlabel.c`).
//!
//! Rule: printed as numbers; iptables prints the names of the node's `connlabel.conf` where there are any.

use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLabel {
    bit: u16,
    is_inverted: bool,
    sets: bool,
}

impl Extension for ConnectionLabel {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let options = blob.u16(2)?;
        Ok(Self { bit: blob.u16(0)?, is_inverted: options & 1 << 0 != 0, sets: options & 1 << 1 != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        match Tracked::of(view) {
            Tracked::Invalid | Tracked::Untracked => Truth::from(self.is_inverted),
            Tracked::By(_) | Tracked::Unknown => Truth::unknown("the labels of its connection"),
        }
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("connlabel");
        line.option(self.is_inverted, "--label", format_args!("\"{}\"", self.bit));
        line.flag_if(self.sets, "--set");
        line
    }
}
