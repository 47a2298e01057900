//! What a set holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the length of its prefix; a single address has the full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Net {
    pub const fn host(address: IpAddr) -> Self {
        Self { address, prefix: host_prefix(address) }
    }

    /// The net of this prefix length that the address is in.
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        Self { address: and(address, netmask(address, prefix)), prefix }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::of(address, self.prefix).address == self.address
    }
}

pub(super) const fn host_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The mask of a prefix, in the family of `like`.
pub(super) fn netmask(like: IpAddr, prefix: u8) -> IpAddr {
    match like {
        IpAddr::V4(_) => {
            let host_bits = 32u32.saturating_sub(prefix.into());
            IpAddr::V4(Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0)))
        }
        IpAddr::V6(_) => {
            let host_bits = 128u32.saturating_sub(prefix.into());
            IpAddr::V6(Ipv6Addr::from_bits(u128::MAX.checked_shl(host_bits).unwrap_or(0)))
        }
    }
}

/// The bits of an address that a mask leaves; the address itself if the mask is of the other family.
pub(super) fn and(address: IpAddr, mask: IpAddr) -> IpAddr {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask.to_bits())),
        (IpAddr::V6(address), IpAddr::V6(mask)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask.to_bits())),
        (address, _) => address,
    }
}

/// A port, or what ipset takes for one: type and code of ICMP, 0 for protocols without ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// `None` in a `bitmap:port`, which does not tell TCP from UDP.
    pub protocol: Option<u8>,
    pub number: u16,
}

/// The device of a `hash:net,iface` member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// A port of a bridge (`physdev:`).
    pub is_physical: bool,
    /// The name is the start of names (`wildcard`).
    pub is_wildcard: bool,
}

impl Interface {
    pub(super) fn holds(&self, name: &str) -> bool {
        if self.is_wildcard { name.starts_with(&self.name) } else { name == self.name }
    }
}

/// A mark to set and the bits it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkbMark {
    pub value: u32,
    pub mask: u32,
}

/// A class of a queueing discipline (`skbprio MAJOR:MINOR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    pub major: u16,
    pub minor: u16,
}

/// What a set may keep with a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Seconds it has left; 0 for ever.
    pub timeout: Option<u32>,
    pub packets: Option<u64>,
    pub bytes: Option<u64>,
    pub comment: Option<String>,
    pub mark: Option<SkbMark>,
    pub priority: Option<Priority>,
    pub queue: Option<u16>,
}

/// A member: those of its fields are there that the type of its set has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub first: Option<Net>,
    pub second: Option<Net>,
    pub port: Option<Port>,
    /// In a `bitmap:ip,mac`: none yet, the next packet from the address fills it in.
    pub mac: Option<[u8; 6]>,
    pub mark: Option<u32>,
    pub interface: Option<Box<Interface>>,
    /// An exception from a wider member.
    pub is_nomatch: bool,
    pub extensions: Option<Box<Extensions>>,
}

/// What members are found by.
pub(super) type Key = (Option<Net>, Option<Net>, Option<Port>, Option<[u8; 6]>, Option<u32>);

impl Member {
    pub(super) fn key(&self) -> Key {
        (self.first, self.second, self.port, self.mac, self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets_hold_their_addresses_in_both_families() {
        let net = Net::of("10.1.2.3".parse().unwrap(), 12);
        assert_eq!(net.address, "10.0.0.0".parse::<IpAddr>().unwrap());
        assert!(net.contains("10.15.255.255".parse().unwrap()) && !net.contains("10.16.0.0".parse().unwrap()));
        assert!(Net::of("1.2.3.4".parse().unwrap(), 0).contains("255.255.255.255".parse().unwrap()));
        assert!(!Net::of("0.0.0.0".parse().unwrap(), 0).contains("::".parse().unwrap()), "another family");
        let net = Net::of("fd99:1:2:3::4".parse().unwrap(), 33);
        assert!(net.contains("fd99:1:7fff::".parse().unwrap()) && !net.contains("fd99:1:8000::".parse().unwrap()));
        assert!(Net::of("::1".parse().unwrap(), 0).contains("ffff::".parse().unwrap()));
    }
}
