//! One of IPv4's routing tables, and looking an address up in it (`fib_table_lookup`, `net/ipv4/fib_trie.c`, Linux 6.18).

use std::net::{IpAddr, Ipv4Addr};

use super::RouteError;
use super::socket::{self, Request, split, word};
use crate::ipset::Net;

pub(super) const AF_INET: u8 = libc::AF_INET as u8;
pub(super) const AF_INET6: u8 = libc::AF_INET6 as u8;
/// `struct rtmsg`.
pub(super) const HEADER: usize = 12;
pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
/// `RTNH_F_DEAD`.
const DEAD: u32 = 1;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) net: Net,
    /// `RTN_` value.
    pub(super) kind: u8,
    /// Only for packets with this type of service; 0 for all.
    service: u8,
    /// Devices of its next hops that are not dead.
    pub(super) devices: Vec<u32>,
}

/// The routes of a table, in the order in which the kernel prefers those of one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoutingTable {
    /// Sorted by net.
    routes: Vec<Route>,
    /// Lengths of prefixes, the longest first.
    prefixes: Vec<u8>,
}

impl RoutingTable {
    pub(super) fn read(number: u32) -> Result<Self, RouteError> {
        let mut header = [0; HEADER];
        header[0] = AF_INET;
        let request = Request::new(libc::RTM_GETROUTE, &header).with(RTA_TABLE, &number.to_ne_bytes());
        match socket::dump(&request, parse) {
            // No such table: it is made with its first route.
            Err(RouteError::Refused(error)) if error.0 == libc::ENOENT => Ok(Self::default()),
            routes => {
                Ok(Self::new(routes?.into_iter().filter(|(_, of)| *of == number).map(|(route, _)| route).collect()))
            }
        }
    }

    pub(super) fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| route.net);
        let mut prefixes: Vec<_> = routes.iter().map(|route| route.net.prefix).collect();
        prefixes.sort_unstable_by(|a, b| b.cmp(a));
        prefixes.dedup();
        Self { routes, prefixes }
    }

    /// The route for an address.
    pub(super) fn find(&self, address: Ipv4Addr) -> Option<&Route> {
        let mut nets = self.prefixes.iter().map(|prefix| Net::of(IpAddr::V4(address), *prefix));
        nets.find_map(|net| {
            let start = self.routes.partition_point(|route| route.net < net);
            let of_net = self.routes.iter().skip(start).take_while(|route| route.net == net);
            // A route that would send nowhere is passed over; those that refuse send nowhere anyway.
            of_net.into_iter().find(|route| route.service == 0 && (route.is_refusal() || !route.devices.is_empty()))
        })
    }
}

impl Route {
    pub(super) const fn new(net: Net, kind: u8, devices: Vec<u32>) -> Self {
        Self { net, kind, service: 0, devices }
    }

    /// Blackhole, unreachable, prohibit and throw.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self.kind, 6..=9)
    }
}

/// An `RTM_NEWROUTE` of IPv4, with the number of its table.
pub(super) fn parse(payload: &[u8]) -> Option<(Route, u32)> {
    let (header, attributes) = split::<HEADER>(payload)?;
    let [family, prefix, _, service, table, _, _, kind, ..] = *header;
    if family != AF_INET || prefix > 32 {
        return None;
    }
    let address = match attributes.get(RTA_DST) {
        Some(bytes) => Ipv4Addr::from(*bytes.first_chunk::<4>()?),
        None => Ipv4Addr::UNSPECIFIED,
    };
    let devices = devices(payload)?;
    let net = Net::of(IpAddr::V4(address), prefix);
    let table = word(attributes, RTA_TABLE).unwrap_or_else(|| table.into());
    Some((Route { net, kind, service, devices }, table))
}

/// Devices of the next hops of an `RTM_NEWROUTE` that are not dead.
pub(super) fn devices(payload: &[u8]) -> Option<Vec<u32>> {
    let (header, attributes) = split::<HEADER>(payload)?;
    let [.., a, b, c, d] = *header;
    if let Some(device) = word(attributes, RTA_OIF) {
        let is_dead = u32::from_ne_bytes([a, b, c, d]) & DEAD != 0;
        return Some(if is_dead { Vec::new() } else { vec![device] });
    }
    let mut hops = attributes.get(RTA_MULTIPATH).unwrap_or_default();
    let mut devices = Vec::new();
    // `struct rtnexthop`: length (2), flags, hops, device (4), then attributes.
    while let Some([low, high, flags, _, a, b, c, d]) = hops.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([*low, *high]));
        if length < 8 {
            return None;
        }
        if u32::from(*flags) & DEAD == 0 {
            devices.push(u32::from_ne_bytes([*a, *b, *c, *d]));
        }
        hops = hops.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(devices)
}
