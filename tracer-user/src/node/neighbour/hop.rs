//! The next hop of a packet, as the routing table gives it now.
//!
//! Rule: the kernel is asked as the packet was (way in, source, mark); if it refuses that question, a plainer one is
//! asked. The answer is of now: the route may have changed since the drop.

use std::net::IpAddr;
use std::sync::Arc;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{link, text};
use crate::host::error::NetlinkError;
use crate::host::rtnetlink;
use crate::node::Packet;

/// Bit of `RTAX_MTU` in `RTAX_LOCK` (`uapi/linux/rtnetlink.h`).
const MTU_LOCK: u32 = 1 << 2;
/// `RTA_EXPIRES` and cache times are in `USER_HZ` (`include/asm-generic/param.h`).
const USER_HZ: u32 = 100;

/// Where the kernel would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The gateway, or the destination itself on its own link.
    pub address: IpAddr,
    pub is_gateway: bool,
    pub device: u32,
    pub device_name: String,
    pub route: Option<Route>,
    /// A path MTU that was learned from ICMP.
    pub learned: Option<Learned>,
}

/// The route of the table that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The line of `ip route show`, without its MTU.
    pub text: String,
    pub table: Option<String>,
    /// The `mtu` of the route.
    pub mtu: Option<u32>,
    pub mtu_locked: bool,
}

impl Route {
    fn of(entry: &RouteMessage) -> Self {
        Self {
            text: text::route(entry),
            table: Some(text::table(entry)),
            mtu: mtu(&entry.attributes),
            mtu_locked: locked(&entry.attributes),
        }
    }
}

/// A path MTU from an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    pub mtu: u32,
    /// Seconds until it is forgotten; 0 if not told.
    pub expires: u32,
}

/// Asks for the way of this packet, in the calling thread's namespace.
///
/// # Errors
/// Why there is none.
pub fn next_hop(packet: &Packet) -> Result<Option<NextHop>, NetlinkError> {
    let Some(destination) = packet.destination else { return Ok(None) };
    let mut last = Ok(None);
    for question in questions(packet, destination) {
        match ask(&question, destination) {
            Ok(hop) => return Ok(hop),
            Err(error) => last = Err(error),
        }
    }
    last
}

/// Routes of a namespace that are searched: a router of the internet has too many for that.
const MOST_ROUTES: usize = 4096;

/// All IPv6 routes of the calling thread's namespace; none if there are too many.
///
/// # Errors
/// Why the kernel gave no list.
pub(super) fn ipv6_routes() -> Result<Arc<Vec<RouteMessage>>, NetlinkError> {
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet6;
    let list = rtnetlink::dump(&RouteNetlinkMessage::GetRoute(request))?;
    if list.len() > MOST_ROUTES {
        return Ok(Arc::default());
    }
    let routes = list.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    Ok(Arc::new(routes.collect()))
}

/// The way by this gateway: the longest of the routes to the destination that names it. IPv6 turns to another route as soon
/// as a gateway has failed (RFC 4191 section 3.2), so the way that was taken is not the one that would be taken now.
pub(super) fn by_gateway(routes: &[RouteMessage], destination: IpAddr, device: u32, via: IpAddr) -> Option<NextHop> {
    let fits = |route: &&RouteMessage| {
        let names = route.attributes.contains(&RouteAttribute::Oif(device)) && gateway(&route.attributes) == Some(via);
        names && covers(route, destination)
    };
    let longest = routes.iter().filter(fits).max_by_key(|route| route.header.destination_prefix_length);
    longest.map(|route| NextHop {
        address: via,
        is_gateway: true,
        device,
        device_name: link::name(device),
        route: Some(Route::of(route)),
        learned: None,
    })
}

fn covers(route: &RouteMessage, destination: IpAddr) -> bool {
    let length = u32::from(route.header.destination_prefix_length);
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(to) => Some(to),
        _ => None,
    });
    match (to, destination) {
        (None, _) => length == 0,
        (Some(RouteAddress::Inet(to)), IpAddr::V4(address)) => {
            (to.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        (Some(RouteAddress::Inet6(to)), IpAddr::V6(address)) => {
            (to.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        _ => false,
    }
}

/// From the exact question to the plain one: a source that was translated is refused with a way in.
fn questions(packet: &Packet, destination: IpAddr) -> Vec<RouteMessage> {
    let source = packet.source.filter(|source| source.is_ipv4() == destination.is_ipv4() && !source.is_unspecified());
    let mut exact = plain(destination);
    if packet.mark != 0 {
        exact.attributes.push(RouteAttribute::Mark(packet.mark));
    }
    let marked = exact.clone();
    if let Some(source) = source {
        exact.header.source_prefix_length = bits(source);
        exact.attributes.push(RouteAttribute::Source(source.into()));
    }
    if packet.came_in_by != 0 {
        exact.attributes.push(RouteAttribute::Iif(packet.came_in_by));
    }
    vec![exact, marked, plain(destination)]
}

fn plain(destination: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination);
    message.header.destination_prefix_length = bits(destination);
    message.attributes.push(RouteAttribute::Destination(destination.into()));
    message
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address family of netlink messages about this address.
pub(in crate::node) const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn ask(question: &RouteMessage, destination: IpAddr) -> Result<Option<NextHop>, NetlinkError> {
    let chosen = one(question)?;
    let Some(chosen) = chosen.filter(|chosen| chosen.header.kind == RouteType::Unicast) else { return Ok(None) };
    let Some(device) = chosen.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    }) else {
        return Ok(None);
    };
    let mut matching = question.clone();
    matching.header.flags = RouteFlags::FibMatch;
    // Before 4.13, or for a moment between two changes, there is no text.
    let entry = one(&matching).ok().flatten();
    let via = gateway(&chosen.attributes);
    let route = entry.as_ref().map(Route::of);
    let learned = mtu(&chosen.attributes)
        .filter(|mtu| route.as_ref().is_none_or(|route| route.mtu != Some(*mtu)))
        .map(|mtu| Learned { mtu, expires: expires(&chosen.attributes) });
    Ok(Some(NextHop {
        address: via.unwrap_or(destination),
        is_gateway: via.is_some(),
        device,
        device_name: link::name(device),
        route,
        learned,
    }))
}

fn one(question: &RouteMessage) -> Result<Option<RouteMessage>, NetlinkError> {
    let answer = rtnetlink::get(&RouteNetlinkMessage::GetRoute(question.clone()))?;
    Ok(answer.into_iter().find_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    }))
}

pub(super) fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) | RouteAttribute::Via(RouteVia::Inet(address)) => {
            Some(IpAddr::V4(*address))
        }
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) | RouteAttribute::Via(RouteVia::Inet6(address)) => {
            Some(IpAddr::V6(*address))
        }
        _ => None,
    })
}

fn metrics(attributes: &[RouteAttribute]) -> impl Iterator<Item = &RouteMetric> {
    attributes.iter().flat_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => metrics.as_slice(),
        _ => &[],
    })
}

fn mtu(attributes: &[RouteAttribute]) -> Option<u32> {
    metrics(attributes).find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

fn locked(attributes: &[RouteAttribute]) -> bool {
    metrics(attributes).any(|metric| matches!(metric, RouteMetric::Lock(bits) if bits & MTU_LOCK != 0))
}

fn expires(attributes: &[RouteAttribute]) -> u32 {
    let ticks = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::CacheInfo(cache) => Some(cache.expires),
        _ => None,
    });
    ticks.unwrap_or_default() / USER_HZ
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn route(length: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.destination_prefix_length = length;
        route.attributes = attributes;
        route
    }

    fn v4(text: &str) -> RouteAddress {
        RouteAddress::Inet(text.parse::<Ipv4Addr>().unwrap())
    }

    #[test]
    fn the_table_has_its_name_and_the_mtu_its_lock() {
        let mut main = route(0, vec![RouteAttribute::Metrics(vec![RouteMetric::Lock(4), RouteMetric::Mtu(1400)])]);
        main.header.table = 254;
        assert_eq!(
            (text::table(&main).as_str(), mtu(&main.attributes), locked(&main.attributes)),
            ("main", Some(1400), true)
        );
        main.attributes.push(RouteAttribute::Table(1000));
        assert_eq!(text::table(&main), "1000");
    }

    #[test]
    fn a_route_covers_its_prefix() {
        let to = route(24, vec![RouteAttribute::Destination(v4("10.99.2.0"))]);
        assert!(covers(&to, "10.99.2.77".parse().unwrap()) && !covers(&to, "10.99.3.77".parse().unwrap()));
        assert!(!covers(&to, "fd99::1".parse().unwrap()) && covers(&route(0, vec![]), "10.1.1.1".parse().unwrap()));
    }

    #[test]
    fn the_exact_question_comes_first() {
        let packet = Packet {
            source: "10.99.1.2".parse().ok(),
            destination: "10.99.2.2".parse().ok(),
            came_in_by: 7,
            mark: 5,
            ..Packet::default()
        };
        let asked = questions(&packet, packet.destination.unwrap());
        assert!(asked[0].attributes.contains(&RouteAttribute::Iif(7)));
        assert!(asked[0].attributes.contains(&RouteAttribute::Mark(5)));
        assert_eq!(asked[2].attributes.len(), 1);
        let other = Packet { source: "fd00::1".parse().ok(), ..packet };
        let asked = questions(&other, other.destination.unwrap());
        assert_eq!(asked[0].header.source_prefix_length, 0, "a source of another family is no source");
    }
}
