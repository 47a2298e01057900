//! `dccp`: ports, packet types and options (`net/netfilter/xt_dccp.c`).

use crate::packet::Packet;

use super::line::{list, range};
use super::seen::Seen;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, ports, seen, tcp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dccp {
    source: (u16, u16),
    destination: (u16, u16),
    asked: u16,
    inverted: u16,
    /// One bit a packet type.
    types: u16,
    option: u8,
}

const SOURCE: u16 = 0x01;
const DESTINATION: u16 = 0x02;
const TYPE: u16 = 0x04;
const OPTION: u16 = 0x08;
/// Bytes of the part of the header that all types have (RFC 4340, 5.1).
const HEADER: usize = 12;
const TYPES: [&str; 11] =
    ["REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"];

impl Extension for Dccp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            destination: blob.u16_pair(0)?,
            source: blob.u16_pair(4)?,
            asked: blob.u16(8)?,
            inverted: blob.u16(10)?,
            types: blob.u16(12)?,
            option: blob.u8(14)?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        if seen::is_later_fragment(packet) || seen::transport_slice(packet, 0, HEADER) == Seen::Short {
            return Truth::No;
        }
        let mut truth = Truth::Yes;
        if self.asks(SOURCE) {
            truth = truth.and(ports::source(packet, HEADER, self.source, self.is_inverted(SOURCE)));
        }
        if self.asks(DESTINATION) {
            truth = truth.and(ports::destination(packet, HEADER, self.destination, self.is_inverted(DESTINATION)));
        }
        if self.asks(TYPE) {
            let kind = header(packet).map(|header| kind(&header));
            let is_one = |kind: u8| (self.types & 1 << kind != 0) != self.is_inverted(TYPE);
            truth = truth.and(kind.test("the DCCP packet type", is_one));
        }
        if self.asks(OPTION) {
            let has_it = |options: &[u8]| tcp::option_kinds(options).any(|(kind, _)| kind == self.option);
            let holds = |options: &[u8]| has_it(options) != self.is_inverted(OPTION);
            truth = truth.and(options(packet).test("the DCCP options", holds));
        }
        truth
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("dccp");
        for (bit, option, (lowest, highest)) in
            [(SOURCE, "--sport", self.source), (DESTINATION, "--dport", self.destination)]
        {
            if self.asks(bit) {
                line.option(self.is_inverted(bit), option, range(lowest, highest));
            }
        }
        if self.asks(TYPE) {
            let names = TYPES.iter().enumerate().filter(|(bit, _)| self.types & 1 << bit != 0);
            line.option(self.is_inverted(TYPE), "--dccp-types", list(names.map(|(_, name)| name)));
        }
        if self.asks(OPTION) {
            line.option(self.is_inverted(OPTION), "--dccp-option", self.option);
        }
        line
    }
}

impl Dccp {
    const fn asks(&self, bit: u16) -> bool {
        self.asked & bit != 0
    }

    const fn is_inverted(&self, bit: u16) -> bool {
        self.inverted & bit != 0
    }
}

fn header(packet: &Packet) -> Seen<[u8; HEADER]> {
    seen::transport(packet, 0)
}

const fn kind(header: &[u8; HEADER]) -> u8 {
    header[8] >> 1 & 0x0f
}

/// The options, which start behind what the packet's type has in its header.
fn options(packet: &Packet) -> Seen<&[u8]> {
    header(packet).and_then(|header| {
        let extended_sequence = if header[8] & 1 == 0 { 0 } else { 4 };
        let of_type = match kind(&header) {
            2 => 0,
            3..=6 | 8 | 9 => 8,
            0 => 4,
            _ => 12,
        };
        let start = HEADER + extended_sequence + of_type;
        match (usize::from(header[4]) * 4).checked_sub(start) {
            Some(length) => seen::transport_slice(packet, start, length),
            None => Seen::Short,
        }
    })
}
