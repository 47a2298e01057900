//! `tcpmss`: the largest segment that a SYN announces (`net/netfilter/xt_tcpmss.c`).

use super::line::range;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, tcp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpMss {
    range: (u16, u16),
    is_inverted: bool,
}

/// `TCPOPT_MSS`, and its length.
const OPTION: [u8; 2] = [2, 4];

impl Extension for TcpMss {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { range: blob.u16_pair(0)?, is_inverted: blob.u8(4)? != 0 })
    }

    /// A header without the option is one that does not match.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        tcp::options(view.packet).test("the TCP options", |options| {
            let announced = tcp::option_kinds(options).find_map(|(_, option)| match option {
                [kind, length, high, low, ..] if [*kind, *length] == OPTION => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            });
            announced.is_some_and(|size| self.range.0 <= size && size <= self.range.1) != self.is_inverted
        })
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("tcpmss");
        line.option(self.is_inverted, "--mss", range(self.range.0, self.range.1));
        line
    }
}
