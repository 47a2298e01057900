//! `iprange`: addresses from one to another (`net/netfilter/xt_iprange.c`).

use std::net::IpAddr;

use super::super::address::Numeric;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpRange {
    source: (IpAddr, IpAddr),
    destination: (IpAddr, IpAddr),
    flags: u8,
}

const SOURCE: u8 = 1 << 0;
const DESTINATION: u8 = 1 << 1;
const INVERTED_SOURCE: u8 = 1 << 4;
const INVERTED_DESTINATION: u8 = 1 << 5;

impl Extension for IpRange {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1])?;
        let address = |offset| -> Result<IpAddr, DecodeError> {
            Ok(if blob.is_ipv6() {
                IpAddr::from(blob.bytes::<16>(offset)?)
            } else {
                IpAddr::from(blob.bytes::<4>(offset)?)
            })
        };
        Ok(Self { source: (address(0)?, address(16)?), destination: (address(32)?, address(48)?), flags: blob.u8(64)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let is_in = |asked, (lowest, highest): (IpAddr, IpAddr), known: Option<IpAddr>, what, inverted| match known {
            _ if !self.has(asked) => Truth::Yes,
            Some(known) => Truth::from((lowest <= known && known <= highest) != self.has(inverted)),
            None => Truth::unknown(what),
        };
        let packet = view.packet;
        is_in(SOURCE, self.source, packet.source, "the source address", INVERTED_SOURCE).and(is_in(
            DESTINATION,
            self.destination,
            packet.destination,
            "the destination address",
            INVERTED_DESTINATION,
        ))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("iprange");
        for (asked, option, (lowest, highest), inverted) in [
            (SOURCE, "--src-range", self.source, INVERTED_SOURCE),
            (DESTINATION, "--dst-range", self.destination, INVERTED_DESTINATION),
        ] {
            if self.has(asked) {
                line.option(self.has(inverted), option, format_args!("{}-{}", Numeric(lowest), Numeric(highest)));
            }
        }
        line
    }
}

impl IpRange {
    const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }
}
