//! One route of a table, as the kernel lists it (`RTM_NEWROUTE`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::MAIN;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteLwEnCapType, RouteMessage, RouteMetric, RouteNextHop, RouteVia,
};

/// `RTN_` values of `include/uapi/linux/rtnetlink.h`.
pub const UNICAST: u8 = 1;
pub const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
pub const BLACKHOLE: u8 = 6;
pub const UNREACHABLE: u8 = 7;
pub const PROHIBIT: u8 = 8;
pub const THROW: u8 = 9;

/// `RTNH_F_DEAD` and `RTNH_F_LINKDOWN`: the device is down, or has no carrier.
pub(super) const DEAD: u32 = 1;
pub(super) const LINKDOWN: u32 = 16;
/// Routes expire in hundredths of a second (`USER_HZ`, include/asm-generic/param.h).
pub(super) const USER_HZ: u32 = 100;
/// Bit of `RTAX_MTU` in `RTAX_LOCK`.
const MTU_LOCK: u32 = 1 << 2;
/// `RTPROT_RA`: by a router advertisement.
pub const BY_ADVERTISEMENT: u8 = 9;

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    /// Bits, up to 32 or 128.
    pub length: u8,
}

/// Where a route leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// The next router; none for what is on the link.
    pub via: Option<IpAddr>,
    /// Index of the device; 0 for none.
    pub device: u32,
    /// 1 to 256.
    pub weight: u16,
    /// `RTNH_F_` bits.
    pub flags: u32,
    /// `RTA_FLOW`: source and destination realm.
    pub realm: Option<(u16, u16)>,
    /// A tunnel that it is put into, as ip(8) calls it.
    pub encapsulation: Option<&'static str>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub destination: Prefix,
    /// Only for packets from there (IPv6).
    pub source: Option<Prefix>,
    /// Only for packets with this type of service; 0 for all.
    pub tos: u8,
    pub table: u32,
    /// `RTN_` value.
    pub kind: u8,
    /// `RTPROT_` value: who made it.
    pub protocol: u8,
    /// `RT_SCOPE_` value.
    pub scope: u8,
    pub preferred_source: Option<IpAddr>,
    pub metric: Option<u32>,
    /// `RTM_F_` and `RTNH_F_` bits.
    pub flags: u32,
    /// Number of a nexthop object (`ip nexthop`).
    pub nexthop: Option<u32>,
    /// One, or all of a multipath route.
    pub hops: Vec<Hop>,
    pub is_multipath: bool,
    /// `RTAX_` values.
    pub metrics: Vec<RouteMetric>,
    /// `RTA_PREF` of IPv6 (RFC 4191).
    pub preference: Option<u8>,
    /// When it goes, hundredths of a second; 0 for never.
    pub expires: u32,
}

impl Entry {
    /// `None` for what is no route of IPv4 or IPv6.
    pub fn new(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let (unspecified, most): (IpAddr, u8) = match header.address_family {
            AddressFamily::Inet => (Ipv4Addr::UNSPECIFIED.into(), 32),
            AddressFamily::Inet6 => (Ipv6Addr::UNSPECIFIED.into(), 128),
            _ => return None,
        };
        let (to, from) = (header.destination_prefix_length, header.source_prefix_length);
        if to > most || from > most {
            return None;
        }
        let prefix = |length| Prefix { address: unspecified, length };
        let mut entry = Self {
            destination: prefix(to),
            source: (from != 0).then(|| prefix(from)),
            tos: header.tos,
            table: header.table.into(),
            kind: header.kind.into(),
            protocol: header.protocol.into(),
            scope: header.scope.into(),
            preferred_source: None,
            metric: None,
            flags: header.flags.bits(),
            nexthop: None,
            hops: Vec::new(),
            is_multipath: false,
            metrics: Vec::new(),
            preference: None,
            expires: 0,
        };
        let mut hop = Hop { weight: 1, flags: entry.flags & 0xff, ..Hop::default() };
        for attribute in &message.attributes {
            entry.take(attribute);
            hop.take(attribute);
        }
        if !entry.is_multipath && hop != (Hop { weight: 1, flags: hop.flags, ..Hop::default() }) {
            entry.hops.push(hop);
        }
        Some(entry)
    }

    fn take(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Destination(to) => self.destination.set(to),
            RouteAttribute::Source(from) => {
                if let Some(source) = &mut self.source {
                    source.set(from);
                }
            }
            RouteAttribute::Table(table) => self.table = *table,
            RouteAttribute::PrefSource(source) => self.preferred_source = address(source),
            RouteAttribute::Priority(metric) => self.metric = Some(*metric),
            RouteAttribute::NhId(number) => self.nexthop = Some(*number),
            RouteAttribute::Metrics(metrics) => self.metrics.clone_from(metrics),
            RouteAttribute::Preference(preference) => self.preference = Some((*preference).into()),
            RouteAttribute::CacheInfo(cache) => self.expires = cache.expires,
            RouteAttribute::MultiPath(hops) => {
                self.is_multipath = true;
                self.hops = hops.iter().map(Hop::new).collect();
            }
            _ => {}
        }
    }

    pub const fn is_ipv6(&self) -> bool {
        self.destination.address.is_ipv6()
    }

    /// Its table. While there is no policy of its own the tables `local` and `main` are one, and the kernel says `main` of
    /// both (`fib_trie_unmerge`, net/ipv4/fib_trie.c); what leads here stands in `local` by its kind.
    pub(in crate::node) const fn own_table(&self) -> u32 {
        if self.table == MAIN && matches!(self.kind, LOCAL | BROADCAST) { super::text::LOCAL } else { self.table }
    }

    /// The `mtu` of the route, and whether it is locked.
    pub(in crate::node) fn mtu(&self) -> Option<(u32, bool)> {
        let is_locked =
            self.metrics.iter().any(|metric| matches!(metric, RouteMetric::Lock(bits) if bits & MTU_LOCK != 0));
        let mtu = self.metrics.iter().find_map(|metric| match metric {
            RouteMetric::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        mtu.map(|mtu| (mtu, is_locked))
    }

    /// Seconds until it goes; 0 for never.
    pub(in crate::node) const fn expires(&self) -> u32 {
        self.expires / USER_HZ
    }

    /// Blackhole, unreachable and prohibit: the packet goes nowhere.
    pub const fn refuses(&self) -> bool {
        matches!(self.kind, BLACKHOLE | UNREACHABLE | PROHIBIT)
    }
}

impl Hop {
    fn new(hop: &RouteNextHop) -> Self {
        let mut new = Self {
            device: hop.interface_index,
            weight: u16::from(hop.hops) + 1,
            flags: hop.flags.bits().into(),
            ..Self::default()
        };
        hop.attributes.iter().for_each(|attribute| new.take(attribute));
        new
    }

    fn take(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Oif(index) => self.device = *index,
            RouteAttribute::Gateway(gateway) => self.via = address(gateway),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => self.via = Some((*gateway).into()),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => self.via = Some((*gateway).into()),
            RouteAttribute::Realm(realm) => self.realm = Some((realm.source, realm.destination)),
            RouteAttribute::EncapType(kind) => self.encapsulation = Some(encapsulation(*kind)),
            _ => {}
        }
    }
}

impl Prefix {
    /// One address.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    fn set(&mut self, to: &RouteAddress) {
        if let Some(address) = address(to).filter(|address| address.is_ipv4() == self.address.is_ipv4()) {
            self.address = address;
        }
    }

    pub const fn is_host(&self) -> bool {
        self.length == Self::host(self.address).length
    }

    /// Whether an address has these first bits.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let beyond = 32 - u32::from(self.length.min(32));
                (net.to_bits() ^ address.to_bits()).checked_shr(beyond).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let beyond = 128 - u32::from(self.length.min(128));
                (net.to_bits() ^ address.to_bits()).checked_shr(beyond).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

pub(super) fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

const fn encapsulation(kind: RouteLwEnCapType) -> &'static str {
    match kind {
        RouteLwEnCapType::Mpls => "mpls",
        RouteLwEnCapType::Ip => "ip",
        RouteLwEnCapType::Ila => "ila",
        RouteLwEnCapType::Ip6 => "ip6",
        RouteLwEnCapType::Seg6 => "seg6",
        RouteLwEnCapType::Bpf => "bpf",
        RouteLwEnCapType::Seg6Local => "seg6local",
        RouteLwEnCapType::Rpl => "rpl",
        RouteLwEnCapType::Ioam6 => "ioam6",
        RouteLwEnCapType::Xfrm => "xfrm",
        _ => "unknown",
    }
}
