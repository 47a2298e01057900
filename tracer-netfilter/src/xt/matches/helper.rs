//! `helper`: the helper of connection tracking that expected its connection (`net/netfilter/xt_helper.c`).

use super::line::quoted;
use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    name: String,
    is_inverted: bool,
}

/// `IPS_EXPECTED`.
const EXPECTED: u32 = 1;

impl Extension for Helper {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { name: blob.string(4, 30)?, is_inverted: blob.u32(0)? != 0 })
    }

    /// A connection that nobody expected has none.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        match Tracked::of(view) {
            Tracked::Invalid | Tracked::Untracked => Truth::from(self.is_inverted),
            Tracked::By(connection) if connection.status.is_some_and(|status| status & EXPECTED == 0) => {
                Truth::from(self.is_inverted)
            }
            Tracked::By(_) | Tracked::Unknown => Truth::unknown("the helper of its connection"),
        }
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("helper");
        line.option(self.is_inverted, "--helper", quoted(&self.name));
        line
    }
}
