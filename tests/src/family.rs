//! IPv4 and IPv6 side by side, so that a story is told once and happens in both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// As `packet.family` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// As `packet.protocol` has it.
    pub const fn icmp(self) -> &'static str {
        match self {
            Self::V4 => "icmp",
            Self::V6 => "icmpv6",
        }
    }

    /// The first if this is IPv4, else the second.
    pub fn pick<T>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }
}

/// One host's address in both families.
#[derive(Clone, Copy, Debug)]
pub struct Dual {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

impl Dual {
    pub fn ip(self, family: Family) -> IpAddr {
        family.pick(self.v4.into(), self.v6.into())
    }

    pub fn port(self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(family), port)
    }
}
