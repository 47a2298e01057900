//! `multiport`: up to 15 ports or ranges (`net/netfilter/xt_multiport.c`).

use super::line::list;
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, ports, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiport {
    side: Side,
    /// Lowest and highest; a single port is both.
    ports: Vec<(u16, u16)>,
    /// Which of them were written as a range.
    is_range: Vec<bool>,
    is_inverted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
    Either,
}

/// `XT_MULTI_PORTS`.
const MOST: u8 = 15;
const PORTS: usize = 2;
const RANGES: usize = PORTS + 2 * MOST as usize;
/// Only the ports are read.
const HEADER: usize = 4;

impl Extension for Multiport {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let side = match blob.u8(0)? {
            0 => Side::Source,
            1 => Side::Destination,
            2 => Side::Either,
            _ => return Err(DecodeError::Malformed("the match multiport")),
        };
        let count = usize::from(blob.u8(1)?.min(MOST));
        let (mut ports, mut is_range) = (Vec::new(), Vec::new());
        let mut index = 0;
        while index < count {
            let lowest = blob.u16(PORTS + 2 * index)?;
            let range = blob.revision == 1 && index + 1 < count && blob.u8(RANGES + index)? != 0;
            index += usize::from(range);
            ports.push((lowest, blob.u16(PORTS + 2 * index)?));
            is_range.push(range);
            index += 1;
        }
        let is_inverted = blob.revision == 1 && blob.u8(RANGES + usize::from(MOST))? != 0;
        Ok(Self { side, ports, is_range, is_inverted })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        if seen::is_later_fragment(packet) {
            return Truth::No;
        }
        let source = ports::source_port(packet, HEADER);
        let destination = ports::destination_port(packet, HEADER);
        if Seen::Short == source {
            return Truth::No;
        }
        let one_of = |port| self.ports.iter().any(|(lowest, highest)| (lowest..=highest).contains(&&port));
        let source = source.test("the source port", one_of);
        let destination = destination.test("the destination port", one_of);
        let any = match self.side {
            Side::Source => source,
            Side::Destination => destination,
            Side::Either => source.or(destination),
        };
        any.invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let option = match self.side {
            Side::Source => "--sports",
            Side::Destination => "--dports",
            Side::Either => "--ports",
        };
        let ports = self.ports.iter().zip(&self.is_range);
        let ports = ports.map(
            |((lowest, highest), is_range)| {
                if *is_range { format!("{lowest}:{highest}") } else { lowest.to_string() }
            },
        );
        let mut line = Line::new("multiport");
        line.option(self.is_inverted, option, list(ports));
        line
    }
}
