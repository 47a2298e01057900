//! `length`: bytes of the packet with its IP header (`net/netfilter/xt_length.c`).

use crate::packet::Packet;

use super::line::range;
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    range: (u16, u16),
    is_inverted: bool,
}

impl Extension for Length {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { range: blob.u16_pair(0)?, is_inverted: blob.u8(4)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let (lowest, highest) = self.range;
        let holds = |length| (u32::from(lowest) <= length && length <= u32::from(highest)) != self.is_inverted;
        length(view.packet).test("the packet's length", holds)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("length");
        line.option(self.is_inverted, "--length", range(self.range.0, self.range.1));
        line
    }
}

/// As the header says; one of 0 stands for more than it can say.
fn length(packet: &Packet) -> Seen<u32> {
    let (offset, header) = if packet.is_ipv6() { (4, 40) } else { (2, 0) };
    match seen::network(packet, offset).map(u16::from_be_bytes) {
        Seen::Is(length) if length != 0 => Seen::Is(u32::from(length) + header),
        Seen::Is(_) | Seen::Unknown => packet.length.into(),
        Seen::Short => Seen::Short,
    }
}
