//! The next hop of a packet, as the routing table gives it now.
//!
//! Rule: the kernel is asked as the packet was (way in, source, mark); if it refuses that question, a plainer one is
//! asked. The answer is of now: the route may have changed since the drop.

use std::net::IpAddr;
use std::sync::Arc;

use netlink_packet_route::route::{RouteAttribute, RouteMessage};

use super::link;
use crate::host::error::NetlinkError;
use crate::node::Packet;
use crate::node::route::{self, Entry, UNICAST};

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
    fn of(entry: &Entry) -> Self {
        let mtu = entry.mtu();
        Self {
            text: entry.bare(&|index| Some(link::name(index))),
            table: Some(route::table(entry.table)),
            mtu: mtu.map(|(mtu, _)| mtu),
            mtu_locked: mtu.is_some_and(|(_, is_locked)| is_locked),
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
pub(super) fn ipv6_routes() -> Result<Arc<Vec<Entry>>, NetlinkError> {
    let routes = route::routes(true)?;
    Ok(if routes.len() > MOST_ROUTES { Arc::default() } else { Arc::new(routes) })
}

/// The way by this gateway: the longest of the routes to the destination that names it. IPv6 turns to another route as soon
/// as a gateway has failed (RFC 4191 section 3.2), so the way that was taken is not the one that would be taken now.
pub(super) fn by_gateway(routes: &[Entry], destination: IpAddr, device: u32, via: IpAddr) -> Option<NextHop> {
    let fits = |route: &&Entry| {
        let names = route.hops.iter().any(|hop| hop.device == device && hop.via == Some(via));
        names && route.destination.contains(destination)
    };
    let longest = routes.iter().filter(fits).max_by_key(|route| route.destination.length);
    longest.map(|route| NextHop {
        address: via,
        is_gateway: true,
        device,
        device_name: link::name(device),
        route: Some(Route::of(route)),
        learned: None,
    })
}

/// From the exact question to the plain one: a source that was translated is refused with a way in.
fn questions(packet: &Packet, destination: IpAddr) -> [RouteMessage; 3] {
    let source = packet.source.filter(|source| !source.is_unspecified());
    let mut exact = route::question(destination, source, packet.mark);
    exact.attributes.extend((packet.came_in_by != 0).then_some(RouteAttribute::Iif(packet.came_in_by)));
    [exact, route::question(destination, None, packet.mark), route::question(destination, None, 0)]
}

fn ask(question: &RouteMessage, destination: IpAddr) -> Result<Option<NextHop>, NetlinkError> {
    let chosen = route::one(question.clone(), false)?;
    let Some(hop) = chosen.hops.first().filter(|hop| hop.device != 0 && chosen.kind == UNICAST) else {
        return Ok(None);
    };
    // Before 4.13, or for a moment between two changes, there is no text.
    let route = route::one(question.clone(), true).ok().as_ref().map(Route::of);
    let learned = chosen.mtu().map(|(mtu, _)| mtu);
    let learned = learned.filter(|mtu| route.as_ref().is_none_or(|route| route.mtu != Some(*mtu)));
    Ok(Some(NextHop {
        address: hop.via.unwrap_or(destination),
        is_gateway: hop.via.is_some(),
        device: hop.device,
        device_name: link::name(hop.device),
        learned: learned.map(|mtu| Learned { mtu, expires: chosen.expires() }),
        route,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
