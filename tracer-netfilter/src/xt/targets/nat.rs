//! SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP: other addresses and ports for the connection.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::translation::SourceRange;
use crate::xt::address::Numeric;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Source,
    Destination,
    Masquerade,
    Redirect,
    Netmap,
}

/// `struct nf_nat_range2`, or one of its elders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    kind: Kind,
    flags: u32,
    addresses: (IpAddr, IpAddr),
    ports: (u16, u16),
    /// The first port of those that the range stands for, one by one.
    base: u16,
}

const MAP_ADDRESSES: u32 = 0x01;
const PORTS: u32 = 0x02;
const RANDOM: u32 = 0x04;
const PERSISTENT: u32 = 0x08;
const RANDOM_FULLY: u32 = 0x10;
const PORT_OFFSET: u32 = 0x20;

impl Extension for Nat {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2])?;
        let kind = match blob.name {
            "SNAT" => Kind::Source,
            "DNAT" => Kind::Destination,
            "MASQUERADE" => Kind::Masquerade,
            "REDIRECT" => Kind::Redirect,
            _ => Kind::Netmap,
        };
        if blob.revision == 0 && !blob.is_ipv6() {
            // `struct nf_nat_ipv4_multi_range_compat`: a number of ranges, which is 1, and the range.
            let address = |offset| blob.bytes::<4>(offset).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
            return Ok(Self {
                kind,
                flags: blob.u32(4)?,
                addresses: (address(8)?, address(12)?),
                ports: (blob.be16(16)?, blob.be16(18)?),
                base: 0,
            });
        }
        let base = if blob.revision == 2 { blob.be16(40)? } else { 0 };
        let addresses = (address(blob, 4)?, address(blob, 20)?);
        Ok(Self { kind, flags: blob.u32(0)?, addresses, ports: (blob.be16(36)?, blob.be16(38)?), base })
    }

    /// The connection has its addresses, and no later NAT rule is asked. It drops only if none are free, which is not
    /// the rule's doing.
    fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        Effect::Accept
    }

    fn line(&self, _family: Family) -> Line {
        let has_ports = self.flags & PORTS != 0;
        let line = match self.kind {
            Kind::Source => Line::new("SNAT").option("--to-source", self.range()),
            Kind::Destination => Line::new("DNAT").option("--to-destination", self.range()),
            Kind::Masquerade => Line::new("MASQUERADE").option_if(has_ports, "--to-ports", self.port_range()),
            Kind::Redirect => Line::new("REDIRECT").option_if(has_ports, "--to-ports", self.port_range()),
            Kind::Netmap => return Line::new("NETMAP").option("--to", self.network()),
        };
        line.flag_if(self.flags & RANDOM != 0, "--random")
            .flag_if(self.flags & RANDOM_FULLY != 0, "--random-fully")
            .flag_if(self.flags & PERSISTENT != 0, "--persistent")
    }
}

impl Nat {
    /// What it makes of a source; `None` if it changes destinations only.
    pub(crate) fn source_range(&self) -> Option<SourceRange> {
        let is_source = matches!(self.kind, Kind::Source | Kind::Masquerade);
        let has = |bit| self.flags & bit != 0;
        is_source.then(|| SourceRange {
            addresses: has(MAP_ADDRESSES).then_some(self.addresses),
            ports: has(PORTS).then_some(self.ports),
            is_random: has(RANDOM | RANDOM_FULLY),
        })
    }

    /// `10.0.0.1-10.0.0.9:80-90`, `[fd00::1]:80`, `:80`
    fn range(&self) -> String {
        let mut text = String::new();
        let has_ports = self.flags & PORTS != 0;
        if self.flags & MAP_ADDRESSES != 0 {
            let (from, to) = self.addresses;
            text = Numeric(from).to_string();
            if to != from {
                let _ = write!(text, "-{}", Numeric(to));
            }
            if has_ports && from.is_ipv6() {
                text = format!("[{text}]");
            }
        }
        if has_ports {
            let _ = write!(text, ":{}", self.port_range());
            if self.flags & PORT_OFFSET != 0 {
                let _ = write!(text, "/{}", self.base);
            }
        }
        text
    }

    fn port_range(&self) -> String {
        let (from, to) = self.ports;
        if from == to { from.to_string() } else { format!("{from}-{to}") }
    }

    /// `10.1.0.0/16`: the bits in which the ends differ are kept.
    fn network(&self) -> String {
        let (fixed, bits) = match self.addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => (u128::from(!(from.to_bits() ^ to.to_bits())) << 96, 32),
            (IpAddr::V6(from), IpAddr::V6(to)) => (!(from.to_bits() ^ to.to_bits()), 128),
            _ => (0, 0),
        };
        let length = fixed.leading_ones().min(bits);
        let address = Numeric(self.addresses.0);
        if fixed.count_ones() == length {
            return format!("{address}/{length}");
        }
        let mask = match bits {
            32 => IpAddr::V4(Ipv4Addr::from_bits((fixed >> 96) as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(fixed)),
        };
        format!("{address}/{}", Numeric(mask))
    }
}

/// A `union nf_inet_addr`.
pub(super) fn address(blob: &Blob<'_>, offset: usize) -> Result<IpAddr, DecodeError> {
    if blob.is_ipv6() {
        return blob.bytes::<16>(offset).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    }
    blob.bytes::<4>(offset).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))
}
