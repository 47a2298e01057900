//! `connbytes`: what went over a connection so far (`net/netfilter/xt_connbytes.c`).

use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBytes {
    /// The first is the higher one if it is inverted.
    range: (u64, u64),
    what: u8,
    direction: u8,
}

impl Extension for ConnectionBytes {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { range: (blob.u64(0)?, blob.u64(8)?), what: blob.u8(16)?, direction: blob.u8(17)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        Tracked::of(view).has_connection().and(Truth::unknown("what its connection carried so far (connbytes)"))
    }

    fn line(&self, _: Family) -> Line {
        let is_inverted = self.range.0 > self.range.1;
        let (lowest, highest) = if is_inverted { (self.range.1, self.range.0) } else { self.range };
        let mut line = Line::new("connbytes");
        let end = if highest != 0 && highest < u64::MAX { format!(":{highest}") } else { String::new() };
        line.option(is_inverted, "--connbytes", format_args!("{lowest}{end}"));
        let name = |names: [&'static str; 3], number: u8| names.get(usize::from(number)).copied().unwrap_or("unknown");
        line.option(false, "--connbytes-mode", name(["packets", "bytes", "avgpkt"], self.what));
        line.option(false, "--connbytes-dir", name(["original", "reply", "both"], self.direction));
        line
    }
}
