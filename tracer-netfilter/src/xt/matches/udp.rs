//! `udp` and `udplite`: ports (`udp_mt` in `net/netfilter/xt_tcpudp.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, ports, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    is_lite: bool,
    source: (u16, u16),
    destination: (u16, u16),
    inverted: u8,
}

const INVERTED_SOURCE: u8 = 0x01;
const INVERTED_DESTINATION: u8 = 0x02;
const HEADER: usize = 8;

impl Udp {
    const fn is(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }
}

impl Extension for Udp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            is_lite: blob.name == "udplite",
            source: blob.u16_pair(0)?,
            destination: blob.u16_pair(4)?,
            inverted: blob.u8(8)?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        if seen::is_later_fragment(view.packet) {
            return Truth::No;
        }
        ports::source(view.packet, HEADER, self.source, self.is(INVERTED_SOURCE)).and(ports::destination(
            view.packet,
            HEADER,
            self.destination,
            self.is(INVERTED_DESTINATION),
        ))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new(if self.is_lite { "udplite" } else { "udp" });
        ports::option(&mut line, self.is(INVERTED_SOURCE), "--sport", self.source);
        ports::option(&mut line, self.is(INVERTED_DESTINATION), "--dport", self.destination);
        line
    }
}
