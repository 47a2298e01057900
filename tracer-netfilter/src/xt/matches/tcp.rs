//! `tcp`: ports, flags and options (`tcp_mt` in `net/netfilter/xt_tcpudp.c`).

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::packet::Packet;
use crate::truth::Truth;

use super::super::blob::Blob;
use super::line::{Line, list};
use super::seen::{self, Seen};
use super::{Extension, ports};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    source: (u16, u16),
    destination: (u16, u16),
    /// Kind of an option that must be there; 0 for none.
    option: u8,
    flags_mask: u8,
    flags: u8,
    inverted: u8,
}

const INVERTED_SOURCE: u8 = 0x01;
const INVERTED_DESTINATION: u8 = 0x02;
const INVERTED_FLAGS: u8 = 0x04;
const INVERTED_OPTION: u8 = 0x08;
/// Bytes of a TCP header without options.
const HEADER: usize = 20;
const FLAGS: [(u8, &str); 6] =
    [(0x01, "FIN"), (0x02, "SYN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG")];

impl Extension for Tcp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            source: blob.u16_pair(0)?,
            destination: blob.u16_pair(4)?,
            option: blob.u8(8)?,
            flags_mask: blob.u8(9)?,
            flags: blob.u8(10)?,
            inverted: blob.u8(11)?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        if seen::is_later_fragment(packet) {
            return Truth::No;
        }
        ports::source(packet, HEADER, self.source, self.is(INVERTED_SOURCE))
            .and(ports::destination(packet, HEADER, self.destination, self.is(INVERTED_DESTINATION)))
            .and(self.flags(packet))
            .and(self.option(packet))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("tcp");
        ports::option(&mut line, self.is(INVERTED_SOURCE), "--sport", self.source);
        ports::option(&mut line, self.is(INVERTED_DESTINATION), "--dport", self.destination);
        if self.option != 0 || self.is(INVERTED_OPTION) {
            line.option(self.is(INVERTED_OPTION), "--tcp-option", self.option);
        }
        if self.flags_mask != 0 || self.is(INVERTED_FLAGS) {
            let flags = format!("{} {}", flag_names(self.flags_mask), flag_names(self.flags));
            line.option(self.is(INVERTED_FLAGS), "--tcp-flags", flags);
        }
        line
    }
}

impl Tcp {
    const fn is(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }

    fn flags(&self, packet: &Packet) -> Truth {
        if self.flags_mask == 0 && self.flags == 0 {
            return Truth::from(!self.is(INVERTED_FLAGS));
        }
        let flags = header(packet).map(|header| header[13]);
        flags.test("the TCP flags", |flags| (flags & self.flags_mask == self.flags) != self.is(INVERTED_FLAGS))
    }

    fn option(&self, packet: &Packet) -> Truth {
        if self.option == 0 {
            return Truth::Yes;
        }
        options(packet).test("the TCP options", |options| {
            option_kinds(options).any(|(kind, _)| kind == self.option) != self.is(INVERTED_OPTION)
        })
    }
}

pub(super) fn header(packet: &Packet) -> Seen<[u8; HEADER]> {
    seen::transport(packet, 0)
}

/// The bytes of a TCP header's options.
pub(super) fn options(packet: &Packet) -> Seen<&[u8]> {
    header(packet).and_then(|header| {
        match usize::from(header[12] >> 4).checked_mul(4).and_then(|length| length.checked_sub(HEADER)) {
            Some(length) => seen::transport_slice(packet, HEADER, length),
            None => Seen::Short,
        }
    })
}

/// Kinds of the options with the bytes from there on, stepping as the kernel steps over malformed ones.
pub(super) fn option_kinds(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let here = rest;
        let kind = *here.first()?;
        let length = if kind < 2 { 1 } else { here.get(1).map_or(1, |length| usize::from(*length).max(1)) };
        rest = here.get(length..).unwrap_or_default();
        Some((kind, here))
    })
}

fn flag_names(flags: u8) -> String {
    let names = list(FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| name));
    if names.is_empty() { "NONE".to_owned() } else { names }
}
