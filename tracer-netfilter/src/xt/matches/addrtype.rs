//! `addrtype`: what an address is to this node (`net/netfilter/xt_addrtype.c`).

use std::net::{IpAddr, Ipv6Addr};

use crate::packet::Known;
use crate::world::Unanswered;

use super::line::list;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressType {
    /// Bits of `1 << RTN_`; 0 where it is not asked.
    source: u16,
    destination: u16,
    inverted_source: bool,
    inverted_destination: bool,
    limited_to: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

/// By `RTN_` number.
const NAMES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];
const UNSPEC: u16 = 1;
const UNICAST: u16 = 1 << 1;
const LOCAL: u16 = 1 << 2;
const ANYCAST: u16 = 1 << 4;
const MULTICAST: u16 = 1 << 5;
const UNREACHABLE: u16 = 1 << 7;
const PROHIBIT: u16 = 1 << 8;

impl Extension for AddressType {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let (inverted_source, inverted_destination, limited_to) = if blob.revision == 0 {
            (blob.u32(4)? != 0, blob.u32(8)? != 0, None)
        } else {
            let flags = blob.u32(4)?;
            let side = if flags & 0x4 != 0 { Some(Side::Input) } else { (flags & 0x8 != 0).then_some(Side::Output) };
            (flags & 0x1 != 0, flags & 0x2 != 0, side)
        };
        Ok(Self { source: blob.u16(0)?, destination: blob.u16(2)?, inverted_source, inverted_destination, limited_to })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let device = match self.limited_to {
            None => &Known::Absent,
            Some(Side::Input) => &view.packet.input,
            Some(Side::Output) => &view.packet.output,
        };
        let device = match device {
            Known::Is(device) => device.index,
            Known::Absent => 0,
            Known::Unknown => return Truth::unknown("the device that the address is looked up at"),
        };
        let is_one = |address: Option<IpAddr>, types: u16| match address {
            _ if types == 0 => None,
            Some(address) => Some(is_of(types, address, device, view)),
            None => Some(Truth::unknown("the addresses")),
        };
        let source = is_one(view.packet.source, self.source);
        let destination = is_one(view.packet.destination, self.destination);
        source
            .map_or(Truth::Yes, |source| source.invert_if(self.inverted_source))
            .and(destination.map_or(Truth::Yes, |destination| destination.invert_if(self.inverted_destination)))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("addrtype");
        let names = |types: u16| {
            list(NAMES.iter().enumerate().filter(|(number, _)| types & 1 << number != 0).map(|(_, name)| name))
        };
        if self.source != 0 {
            line.option(self.inverted_source, "--src-type", names(self.source));
        }
        if self.destination != 0 {
            line.option(self.inverted_destination, "--dst-type", names(self.destination));
        }
        match self.limited_to {
            Some(Side::Input) => line.flag(false, "--limit-iface-in"),
            Some(Side::Output) => line.flag(false, "--limit-iface-out"),
            None => {}
        }
        line
    }
}

fn is_of(types: u16, address: IpAddr, device: u32, view: &View<'_>) -> Truth {
    let kind = || view.world.address_kind(address, device);
    let answer = match address {
        IpAddr::V4(_) => kind().map(|kind| bit(kind) & types != 0),
        IpAddr::V6(address) => is_ipv6_of(types, address, kind),
    };
    answer.map_or_else(Truth::unknown, Truth::from)
}

const fn bit(kind: u8) -> u16 {
    if kind < 16 { 1 << kind } else { 0 }
}

/// Of IPv6 some types are told by the address alone, and all that are asked must agree; only the others are looked up.
fn is_ipv6_of(
    types: u16,
    address: Ipv6Addr,
    kind: impl FnOnce() -> Result<u8, Unanswered>,
) -> Result<bool, Unanswered> {
    let asks = |bit| types & bit != 0;
    let has_scope = !address.is_unspecified() && !address.is_multicast() && address.to_ipv4_mapped().is_none();
    if asks(MULTICAST) && !address.is_multicast()
        || asks(UNICAST) && !has_scope
        || asks(UNSPEC) && !address.is_unspecified()
    {
        return Ok(false);
    }
    if !asks(LOCAL | ANYCAST | PROHIBIT | UNREACHABLE) {
        return Ok(true);
    }
    let looked_up = match kind()? {
        2 => LOCAL,
        4 => ANYCAST,
        6..=8 => UNREACHABLE,
        _ => 0,
    };
    Ok(types & looked_up != 0)
}
