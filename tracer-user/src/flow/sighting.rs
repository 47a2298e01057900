//! What one device saw of one attempt, from the kernel's entry.

use std::net::{IpAddr, SocketAddr};

/// Two ends and what they speak; `client` began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// IP protocol number.
    pub protocol: u8,
    pub client: SocketAddr,
    pub server: SocketAddr,
}

impl Tuple {
    /// The same with the ends exchanged.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { protocol: self.protocol, client: self.server, server: self.client }
    }
}

/// Tells an entry from all others that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SightingId {
    pub device: u64,
    pub tuple: Tuple,
    /// `CLOCK_MONOTONIC` ns of the first packet.
    pub first: u64,
}

/// Packets that came in by the device and that left by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub ingress: u32,
    pub egress: u32,
}

impl Pair {
    pub const fn any(self) -> bool {
        self.ingress > 0 || self.egress > 0
    }

    /// The larger of the two: a packet that passes a device twice was sent once.
    pub const fn most(self) -> u32 {
        if self.ingress > self.egress { self.ingress } else { self.egress }
    }
}

impl std::ops::Sub for Pair {
    type Output = Self;

    /// What was counted since; none if the entry began anew.
    fn sub(self, earlier: Self) -> Self {
        Self {
            ingress: self.ingress.saturating_sub(earlier.ingress),
            egress: self.egress.saturating_sub(earlier.egress),
        }
    }
}

/// Which tunnel the packets were in on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    Vxlan,
    Geneve,
    Ipip,
}

impl Tunnel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Ipip => "ipip",
        }
    }
}

/// An ICMP or ICMPv6 error that quotes the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    pub from: IpAddr,
    pub count: u32,
    pub kind: u8,
    pub code: u8,
    /// Bytes, 0 if it tells none.
    pub mtu: u32,
    /// It came in by the device; else it left by it.
    pub is_ingress: bool,
    /// It quotes a packet of the server.
    pub quotes_server: bool,
    pub ttl: u8,
}

impl Icmp {
    /// Whether it says that the packet can't be delivered; else that it is too large, or something else that is no refusal.
    /// Types and codes: RFC 792, RFC 1191; RFC 4443.
    pub const fn is_refusal(&self) -> bool {
        const FRAGMENTATION_NEEDED: u8 = 4;
        match (self.from.is_ipv4(), self.kind) {
            (true, 3) => self.code != FRAGMENTATION_NEEDED,
            // Time exceeded, parameter problem.
            (true, 11 | 12) | (false, 1 | 3 | 4) => true,
            _ => false,
        }
    }
}

/// What a device saw until now. A later one with the same [`SightingId`] replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub id: SightingId,
    /// The device's namespace and index, for [`super::Points`].
    pub netns: u32,
    pub netns_cookie: u64,
    pub ifindex: u32,
    pub tunnel: Option<Tunnel>,
    /// `CLOCK_MONOTONIC` ns of the last packet.
    pub last: u64,
    /// Of the first answer.
    pub answered: Option<u64>,
    pub opened: Pair,
    pub answers: Pair,
    pub client_resets: Pair,
    pub server_resets: Pair,
    pub icmp: Option<Icmp>,
    /// The connection before translation, if connection tracking says that it is another one.
    pub original: Option<Tuple>,
    pub open_ttl: u8,
    pub answer_ttl: u8,
    pub reset_ttl: u8,
}

impl Sighting {
    /// Nothing was seen.
    pub const fn is_empty(&self) -> bool {
        let seen = self.opened.any() || self.answers.any() || self.client_resets.any() || self.server_resets.any();
        !seen && self.icmp.is_none()
    }
}

/// Segments that a socket of this machine sent again. A later one of the same connection replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resent {
    pub netns: u32,
    pub netns_cookie: u64,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// `CLOCK_MONOTONIC` ns.
    pub first: u64,
    pub last: u64,
    /// With data; of these: at least half of the largest segment.
    pub segments: u32,
    pub large: u32,
    pub handshakes: u32,
    /// Bytes of payload of the longest.
    pub longest: u32,
    /// Bytes; 0 if unknown.
    pub mss: u32,
    /// `TCP_…` of include/net/tcp_states.h.
    pub state: u32,
}

#[cfg(test)]
impl Sighting {
    /// Nothing but its time and place, for tests to fill in.
    pub(crate) fn bare(netns: u32, ifindex: u32, tuple: Tuple, first: u64) -> Self {
        Self {
            id: SightingId { device: u64::from(netns) << 32 | u64::from(ifindex), tuple, first },
            netns,
            netns_cookie: 0,
            ifindex,
            tunnel: None,
            last: first,
            answered: None,
            opened: Pair::default(),
            answers: Pair::default(),
            client_resets: Pair::default(),
            server_resets: Pair::default(),
            icmp: None,
            original: None,
            open_ttl: 64,
            answer_ttl: 0,
            reset_ttl: 0,
        }
    }
}
