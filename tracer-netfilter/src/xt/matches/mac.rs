//! `mac` and `eui64`: the sender's link-layer address (`net/netfilter/xt_mac.c`, `net/ipv6/netfilter/ip6t_eui64.c`).

use std::net::IpAddr;

use crate::packet::{ETH_P_IPV6, Known, Packet};

use super::seen::Seen;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac {
    source: [u8; 6],
    is_inverted: bool,
}

/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
const WHAT: &str = "the sender's MAC address";

/// Destination, source and type of an Ethernet header.
fn link_header(packet: &Packet) -> Seen<[u8; 14]> {
    packet.at(packet.link, 0, 14).and_then(|bytes| bytes.first_chunk().copied()).into()
}

impl Extension for Mac {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { source: blob.bytes(0)?, is_inverted: blob.u32(8)? != 0 })
    }

    /// A packet without an Ethernet header is never meant, inverted or not.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        match &view.packet.input {
            Known::Absent => return Truth::No,
            Known::Is(device) if device.hardware.is_some_and(|hardware| hardware != ETHERNET) => return Truth::No,
            Known::Is(_) | Known::Unknown => {}
        }
        link_header(view.packet)
            .test(WHAT, |[_, _, _, _, _, _, source @ .., _, _]| (source == self.source) != self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("mac");
        let bytes = self.source.map(|byte| format!("{byte:02x}"));
        line.option(self.is_inverted, "--mac-source", bytes.join(":"));
        line
    }
}

/// The lower half of the IPv6 source was made of the MAC address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eui64;

impl Extension for Eui64 {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self)
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let Some(IpAddr::V6(source)) = view.packet.source else { return Truth::unknown("the source address") };
        let [_, _, _, _, _, _, _, _, interface @ ..] = source.octets();
        link_header(view.packet).test(WHAT, |[_, _, _, _, _, _, a, b, c, d, e, f, kind @ ..]| {
            u16::from_be_bytes(kind) == ETH_P_IPV6 && interface == [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]
        })
    }

    fn line(&self, _: Family) -> Line {
        Line::new("eui64")
    }
}
