//! `policy`: the IPsec policy of a packet (`net/netfilter/xt_policy.c`).

use super::super::address::{Masked, Numeric};
use super::super::protocol;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    flags: u16,
    elements: Vec<Element>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Element {
    source: Masked,
    destination: Masked,
    spi: u32,
    request: u32,
    protocol: u8,
    mode: u8,
    asked: u8,
    inverted: u8,
}

const INPUT: u16 = 0x1;
const NONE: u16 = 0x4;
const STRICT: u16 = 0x8;
const SOURCE: u8 = 0x01;
const DESTINATION: u8 = 0x02;
const PROTOCOL: u8 = 0x04;
const MODE: u8 = 0x08;
const SPI: u8 = 0x10;
const REQUEST: u8 = 0x20;
/// `XT_POLICY_MAX_ELEM`.
const MOST: u16 = 4;
const ELEMENT: usize = 76;

impl Extension for Policy {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let element = |index: u16| {
            let at = usize::from(index) * ELEMENT;
            Ok(Element {
                source: Masked::new(blob.is_ipv6(), blob.bytes(at)?, blob.bytes(at + 16)?),
                destination: Masked::new(blob.is_ipv6(), blob.bytes(at + 32)?, blob.bytes(at + 48)?),
                spi: blob.u32(at + 64)?,
                request: blob.u32(at + 68)?,
                protocol: blob.u8(at + 72)?,
                mode: blob.u8(at + 73)?,
                asked: blob.u8(at + 74)?,
                inverted: blob.u8(at + 75)?,
            })
        };
        let count = blob.u16(306)?.min(MOST);
        Ok(Self { flags: blob.u16(304)?, elements: (0..count).map(element).collect::<Result<_, _>>()? })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the packet's IPsec policy (policy)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("policy");
        line.option(false, "--dir", if self.flags & INPUT == 0 { "out" } else { "in" });
        line.option(false, "--pol", if self.flags & NONE == 0 { "ipsec" } else { "none" });
        line.flag_if(self.flags & STRICT != 0, "--strict");
        for (index, element) in self.elements.iter().enumerate() {
            line.flag_if(index > 0, "--next");
            element.options(&mut line);
        }
        line
    }
}

impl Element {
    fn options(&self, line: &mut Line) {
        let address = |of: &Masked| format!("{}{}", Numeric(of.address()), of.short_mask());
        let mode = ["transport", "tunnel"].get(usize::from(self.mode)).copied().unwrap_or("???");
        let options = [
            (REQUEST, "--reqid", self.request.to_string()),
            (SPI, "--spi", format!("{:#x}", self.spi)),
            (PROTOCOL, "--proto", protocol::name(self.protocol.into())),
            (MODE, "--mode", mode.to_owned()),
            (DESTINATION, "--tunnel-dst", address(&self.destination)),
            (SOURCE, "--tunnel-src", address(&self.source)),
        ];
        for (bit, option, value) in options.into_iter().filter(|(bit, ..)| self.asked & bit != 0) {
            line.option(self.inverted & bit != 0, option, value);
        }
    }
}
