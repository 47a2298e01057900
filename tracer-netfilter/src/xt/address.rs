//! Addresses with masks, as x_tables compares and iptables prints them.
//!
//! Rule: a mask may be any pattern of bits, so it is kept as one and printed as a length only if it is one.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::truth::Truth;

/// An address as glibc's `inet_ntop` writes it: other than Rust, `::1.2.3.4` for IPv4-compatible ones.
pub(super) struct Numeric(pub IpAddr);

impl Display for Numeric {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) => match address.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    write!(f, "::{}", Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
                }
                _ => write!(f, "{address}"),
            },
            IpAddr::V4(address) => write!(f, "{address}"),
        }
    }
}

/// An address to compare with, under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Masked {
    V4 { address: u32, mask: u32 },
    V6 { address: u128, mask: u128 },
}

impl Masked {
    /// From the kernel's `union nf_inet_addr` pair: IPv4 uses the first four bytes.
    pub(super) const fn new(is_ipv6: bool, address: [u8; 16], mask: [u8; 16]) -> Self {
        let (address, mask) = (u128::from_be_bytes(address), u128::from_be_bytes(mask));
        if is_ipv6 {
            Self::V6 { address, mask }
        } else {
            Self::V4 { address: (address >> 96) as u32, mask: (mask >> 96) as u32 }
        }
    }

    /// Whether an address of a packet equals it under the mask, as `ip_packet_match` and `ip6_packet_match` have it: with
    /// IPv4, one that has bits outside its own mask equals none.
    pub(super) fn equals(&self, known: Option<IpAddr>, what: &'static str) -> Truth {
        match (*self, known) {
            (Self::V4 { address: 0, mask: 0 } | Self::V6 { address: 0, mask: 0 }, _) => Truth::Yes,
            (Self::V4 { address, mask }, Some(IpAddr::V4(known))) => (known.to_bits() & mask == address).into(),
            (_, Some(known)) => self.covers(known).into(),
            (_, None) => Truth::unknown(what),
        }
    }

    /// Whether both are the same under the mask.
    pub(super) const fn covers(&self, known: IpAddr) -> bool {
        match (*self, known) {
            (Self::V4 { address, mask }, IpAddr::V4(known)) => (known.to_bits() ^ address) & mask == 0,
            (Self::V6 { address, mask }, IpAddr::V6(known)) => (known.to_bits() ^ address) & mask == 0,
            _ => false,
        }
    }

    pub(super) const fn address(&self) -> IpAddr {
        match *self {
            Self::V4 { address, .. } => IpAddr::V4(Ipv4Addr::from_bits(address)),
            Self::V6 { address, .. } => IpAddr::V6(Ipv6Addr::from_bits(address)),
        }
    }

    pub(super) const fn mask(&self) -> IpAddr {
        match *self {
            Self::V4 { mask, .. } => IpAddr::V4(Ipv4Addr::from_bits(mask)),
            Self::V6 { mask, .. } => IpAddr::V6(Ipv6Addr::from_bits(mask)),
        }
    }

    /// Length of the mask, if it is a prefix.
    pub(super) fn prefix(&self) -> Option<u32> {
        let (mask, bits) = match *self {
            Self::V4 { mask, .. } => (u128::from(mask) << 96, 32),
            Self::V6 { mask, .. } => (mask, 128),
        };
        let ones = mask.leading_ones().min(bits);
        (mask.count_ones() == ones).then_some(ones)
    }

    /// The mask behind a slash; nothing for that of a single address.
    pub(super) fn short_mask(&self) -> String {
        match self.prefix() {
            Some(128) => String::new(),
            Some(32) if matches!(self, Self::V4 { .. }) => String::new(),
            Some(length) => format!("/{length}"),
            None => format!("/{}", Numeric(self.mask())),
        }
    }
}

impl Display for Masked {
    /// With its mask, whatever that is: `10.0.0.1/32`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", Numeric(self.address()))?;
        match self.prefix() {
            Some(length) => write!(f, "{length}"),
            None => write!(f, "{}", Numeric(self.mask())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(address: [u8; 4], mask: [u8; 4]) -> Masked {
        Masked::V4 { address: u32::from_be_bytes(address), mask: u32::from_be_bytes(mask) }
    }

    #[test]
    fn a_mask_is_a_length_only_if_it_is_a_prefix() {
        assert_eq!(v4([10, 0, 0, 0], [255, 0, 0, 0]).to_string(), "10.0.0.0/8");
        assert_eq!(v4([10, 0, 0, 1], [255, 0, 0, 255]).to_string(), "10.0.0.1/255.0.0.255");
        assert_eq!(v4([10, 0, 0, 1], [255; 4]).to_string(), "10.0.0.1/32");
        assert_eq!(v4([10, 0, 0, 1], [255; 4]).short_mask(), "");
        assert_eq!(Numeric("::1.2.3.4".parse().unwrap()).to_string(), "::1.2.3.4");
        assert_eq!(Numeric("::2".parse().unwrap()).to_string(), "::2");
    }

    #[test]
    fn bits_outside_the_mask_equal_nothing() {
        let known = Some("10.0.0.1".parse().unwrap());
        assert_eq!(v4([10, 0, 0, 0], [255, 0, 0, 0]).equals(known, "it"), Truth::Yes);
        assert_eq!(v4([10, 0, 0, 1], [255, 0, 0, 0]).equals(known, "it"), Truth::No);
        assert_eq!(v4([10, 0, 0, 0], [255, 0, 0, 0]).equals(None, "it"), Truth::unknown("it"));
        assert_eq!(v4([0; 4], [0; 4]).equals(None, "it"), Truth::Yes, "any address will do");
    }
}
