//! `hbh` and `dst`: options of IPv6 (`net/ipv6/netfilter/ip6t_hbh.c`).

use super::extension_headers::Found;
use super::line::list;
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    is_hop_by_hop: bool,
    length: u32,
    flags: u8,
    is_length_inverted: bool,
    /// Kind in the high byte, length in the low one; 255 for any length.
    wanted: Vec<u16>,
}

const LENGTH: u8 = 0x01;
const OPTIONS: u8 = 0x02;
/// `IP6T_OPTS_OPTSNR`.
const MOST: u8 = 16;
const WHAT: &str = "the options of IPv6";

impl Extension for Options {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let option = |index: u8| blob.u16(6 + 2 * usize::from(index));
        Ok(Self {
            is_hop_by_hop: blob.name == "hbh",
            length: blob.u32(0)?,
            flags: blob.u8(4)?,
            is_length_inverted: blob.u8(5)? & 0x01 != 0,
            wanted: (0..blob.u8(38)?.min(MOST)).map(option).collect::<Result<_, _>>()?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        let kind = if self.is_hop_by_hop { extension_headers::HOP_BY_HOP } else { extension_headers::DESTINATION };
        let offset = match extension_headers::find(packet, kind) {
            Found::At(offset) => offset,
            Found::Absent => return Truth::No,
            Found::Unknown => return Truth::unknown(WHAT),
        };
        let Seen::Is([_, length]) = seen::network(packet, offset) else { return Truth::unknown(WHAT) };
        let length = (usize::from(length) + 1) * 8;
        if packet.length.is_some_and(|whole| offset.saturating_add(length) > whole as usize) {
            return Truth::No;
        }
        let is_as_long = (self.length as usize == length) != self.is_length_inverted;
        let truth = Truth::from(self.flags & LENGTH == 0 || is_as_long);
        if self.flags & OPTIONS == 0 {
            return truth;
        }
        truth.and(seen::at(packet, offset + 2, length - 2).test(WHAT, |bytes| self.has_options(bytes)))
    }

    fn line(&self, _: Family) -> Line {
        let (name, length, options) =
            if self.is_hop_by_hop { ("hbh", "--hbh-len", "--hbh-opts") } else { ("dst", "--dst-len", "--dst-opts") };
        let mut line = Line::new(name);
        if self.flags & LENGTH != 0 {
            line.option(self.is_length_inverted, length, self.length);
        }
        if self.flags & OPTIONS != 0 {
            let each = self.wanted.iter().map(|option| match (option >> 8, option & 0xff) {
                (kind, 0xff) => kind.to_string(),
                (kind, length) => format!("{kind}:{length}"),
            });
            line.option(false, options, list(each));
        }
        line
    }
}

impl Options {
    /// Whether the header's first options are those, in their order.
    fn has_options(&self, mut rest: &[u8]) -> bool {
        for (left, option) in (0..self.wanted.len()).rev().zip(&self.wanted) {
            let [wanted_kind, wanted_length] = option.to_be_bytes();
            let Some(kind) = rest.first() else { return false };
            if *kind != wanted_kind {
                return false;
            }
            let mut length = 1;
            if *kind != 0 {
                let Some(of_option) = rest.get(1) else { return false };
                if wanted_length != 0xff && wanted_length != *of_option {
                    return false;
                }
                length = usize::from(*of_option) + 2;
            }
            if rest.len() < length && left > 0 {
                return false;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        true
    }
}
