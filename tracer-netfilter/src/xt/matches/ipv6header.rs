//! `ipv6header`: which extension headers there are (`net/ipv6/netfilter/ip6t_ipv6header.c`).

use super::line::list;
use super::seen::Seen;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, extension_headers, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    wanted: u8,
    inverted: u8,
    /// Others may be there too.
    is_soft: bool,
}

/// Bits with the header's number and name.
const HEADERS: [(u8, u8, &str); 8] = [
    (128, extension_headers::HOP_BY_HOP, "hop-by-hop"),
    (64, extension_headers::DESTINATION, "ipv6-opts"),
    (32, extension_headers::ROUTING, "ipv6-route"),
    (16, extension_headers::FRAGMENT, "ipv6-frag"),
    (8, extension_headers::AUTHENTICATION, "ah"),
    (4, ESP, "esp"),
    (2, extension_headers::NONE, "ipv6-nonxt"),
    (PROTOCOL, 255, "protocol"),
];
const ESP: u8 = 50;
/// A header of an upper protocol.
const PROTOCOL: u8 = 1;

impl Extension for Ipv6Header {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { wanted: blob.u8(0)?, inverted: blob.u8(1)?, is_soft: blob.u8(2)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let mut found = 0;
        for link in extension_headers::links(view.packet) {
            let link = match link {
                Seen::Is(link) => link,
                Seen::Short => return Truth::No,
                Seen::Unknown => return Truth::unknown("the extension headers"),
            };
            // Here, other than elsewhere, the kernel takes ESP for an extension header, and the last one.
            if link.kind == ESP && seen::at(view.packet, link.offset, 2) == Seen::Short {
                return Truth::No;
            }
            let header = HEADERS.iter().find(|(_, kind, _)| *kind == link.kind);
            found |= header.map_or(PROTOCOL, |(bit, ..)| *bit);
        }
        Truth::from(if self.is_soft {
            (found ^ self.wanted ^ self.inverted) & self.wanted == 0
        } else {
            (found == self.wanted) != (self.inverted != 0)
        })
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("ipv6header");
        let names = list(HEADERS.iter().filter(|(bit, ..)| self.wanted & bit != 0).map(|(.., name)| name));
        let names = if names.is_empty() { "NONE" } else { &names };
        line.option(self.inverted != 0, "--header", names);
        line.flag_if(self.is_soft, "--soft");
        line
    }
}
