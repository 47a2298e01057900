//! `mark` and `connmark` (`net/netfilter/xt_mark.c`, `xt_connmark.c`).

use super::line::masked;
use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    value: u32,
    mask: u32,
    is_inverted: bool,
}

impl Extension for Mark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1])?;
        Ok(Self { value: blob.u32(0)?, mask: blob.u32(4)?, is_inverted: blob.u8(8)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        view.mark.matches(self.value, self.mask).invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        self.line_of("mark")
    }
}

impl Mark {
    fn line_of(&self, name: &str) -> Line {
        let mut line = Line::new(name);
        line.option(self.is_inverted, "--mark", masked(self.value, self.mask));
        line
    }
}

/// The same of the packet's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionMark(Mark);

impl Extension for ConnectionMark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        Mark::decode(blob).map(Self)
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let has_connection = Tracked::of(view).has_connection();
        let mark = view.connection_mark.matches(self.0.value, self.0.mask);
        let mark = match mark {
            Truth::Unknown(_) => Truth::unknown("the mark of its connection"),
            known => known.invert_if(self.0.is_inverted),
        };
        has_connection.and(mark)
    }

    fn line(&self, _: Family) -> Line {
        self.0.line_of("connmark")
    }
}
