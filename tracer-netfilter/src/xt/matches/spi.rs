//! `esp`, `ah` and `ipcomp`: the index of an IPsec association (`net/netfilter/xt_esp.c`, `xt_ipcomp.c`,
//! `net/ipv4/netfilter/ipt_ah.c`, `net/ipv6/netfilter/ip6t_ah.c`).

use crate::packet::Packet;

use super::extension_headers::Found;
use super::line::range;
use super::seen::Seen;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spi {
    header: Header,
    spis: (u32, u32),
    is_inverted: bool,
    /// Bytes of the whole header, IPv6 `ah` only; 0 for any.
    length: u32,
    is_length_inverted: bool,
    /// The reserved field must be 0.
    is_reserved_zero: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Esp,
    Ah,
    /// An extension header, which may stand anywhere.
    Ah6,
    Ipcomp,
}

const WHAT: &str = "the IPsec association's index";

impl Extension for Spi {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let header = match blob.name {
            "esp" => Header::Esp,
            "ipcomp" => Header::Ipcomp,
            _ if blob.is_ipv6() => Header::Ah6,
            _ => Header::Ah,
        };
        let (inverted, reserved, length) = match header {
            Header::Ah6 => (blob.u8(13)?, blob.u8(12)?, blob.u32(8)?),
            Header::Ipcomp => (blob.u8(8)?, blob.u8(9)?, 0),
            Header::Esp | Header::Ah => (blob.u8(8)?, 0, 0),
        };
        Ok(Self {
            header,
            spis: blob.u32_pair(0)?,
            is_inverted: inverted & 0x01 != 0,
            length,
            is_length_inverted: inverted & 0x02 != 0,
            is_reserved_zero: reserved != 0,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        if self.header == Header::Ah6 {
            return self.matches_extension_header(packet);
        }
        if seen::is_later_fragment(packet) {
            return Truth::No;
        }
        let spi = match self.header {
            Header::Ipcomp => seen::transport(packet, 2).map(|bytes| u32::from(u16::from_be_bytes(bytes))),
            Header::Esp => seen::transport(packet, 0).map(|[a, b, c, d, ..]: [u8; 8]| u32::from_be_bytes([a, b, c, d])),
            Header::Ah | Header::Ah6 => {
                seen::transport(packet, 4).map(|[a, b, c, d, ..]: [u8; 8]| u32::from_be_bytes([a, b, c, d]))
            }
        };
        spi.test(WHAT, |spi| self.takes(spi))
    }

    fn line(&self, _: Family) -> Line {
        let (name, option, reserved) = match self.header {
            Header::Esp => ("esp", "--espspi", ""),
            Header::Ah | Header::Ah6 => ("ah", "--ahspi", "--ahres"),
            Header::Ipcomp => ("ipcomp", "--ipcompspi", "--compres"),
        };
        let mut line = Line::new(name);
        if self.spis != (0, u32::MAX) {
            line.option(self.is_inverted, option, range(self.spis.0, self.spis.1));
        }
        if self.length != 0 || self.is_length_inverted {
            line.option(self.is_length_inverted, "--ahlen", self.length);
        }
        line.flag_if(self.is_reserved_zero, reserved);
        line
    }
}

impl Spi {
    fn takes(&self, spi: u32) -> bool {
        (self.spis.0 <= spi && spi <= self.spis.1) != self.is_inverted
    }

    fn matches_extension_header(&self, packet: &Packet) -> Truth {
        let header = match extension_headers::find(packet, extension_headers::AUTHENTICATION) {
            Found::At(offset) => seen::network::<12>(packet, offset),
            Found::Absent => return Truth::No,
            Found::Unknown => Seen::Unknown,
        };
        header.test(WHAT, |[_, length, reserved @ .., a, b, c, d, _, _, _, _]| {
            let length = (u32::from(length) + 2) * 4;
            self.takes(u32::from_be_bytes([a, b, c, d]))
                && (self.length == 0 || (self.length == length) != self.is_length_inverted)
                && !(self.is_reserved_zero && reserved != [0, 0])
        })
    }
}
