//! What a namespace looks like now: its interfaces, the devices that gateways are reached by, and who is behind which id.
//!
//! Rule: all of it is asked in the calling thread's namespace; who calls has gone there.

use std::collections::{HashMap, HashSet};

use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::host::error::NetlinkError;
use crate::host::{Facts, enter, nsid, rtnetlink};

/// Namespaces that are looked at for the other ends of pairs.
const MOST_NAMESPACES: usize = 4096;

/// The devices that routes with a gateway use, in both families.
pub(super) fn gateways() -> Result<HashSet<u32>, NetlinkError> {
    let mut devices = HashSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        match rtnetlink::dump(&RouteNetlinkMessage::GetRoute(request)) {
            Ok(routes) => routes.iter().for_each(|route| add(&mut devices, route)),
            // A kernel without IPv6.
            Err(NetlinkError::Refused(_)) if family == AddressFamily::Inet6 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(devices)
}

fn add(devices: &mut HashSet<u32>, message: &RouteNetlinkMessage) {
    let RouteNetlinkMessage::NewRoute(route) = message else { return };
    if route.header.kind != RouteType::Unicast {
        return;
    }
    let is_gateway =
        |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_));
    let has_gateway = route.attributes.iter().any(is_gateway);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) if has_gateway => {
                devices.insert(*index);
            }
            RouteAttribute::MultiPath(hops) => {
                let hops = hops.iter().filter(|hop| hop.attributes.iter().any(is_gateway));
                devices.extend(hops.map(|hop| hop.interface_index));
            }
            _ => {}
        }
    }
}

/// The known namespaces by the id that the calling thread's gives them.
pub(super) fn ids(facts: &Facts) -> HashMap<i32, u32> {
    let known = facts.namespaces().take(MOST_NAMESPACES);
    known.filter_map(|netns| Some((nsid::of(&enter::open(netns).ok()?)?, netns.inode))).collect()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::{RouteAddress, RouteNextHop};

    use super::*;

    fn route(attributes: Vec<RouteAttribute>) -> RouteNetlinkMessage {
        let mut route = RouteMessage::default();
        route.header.kind = RouteType::Unicast;
        route.attributes = attributes;
        RouteNetlinkMessage::NewRoute(route)
    }

    #[test]
    fn only_devices_of_gateways_count() {
        let gateway = || RouteAttribute::Gateway(RouteAddress::Inet([192, 0, 2, 1].into()));
        let hop = |index, attributes| {
            let mut hop = RouteNextHop::default();
            (hop.interface_index, hop.attributes) = (index, attributes);
            hop
        };
        let mut devices = HashSet::new();
        add(&mut devices, &route(vec![RouteAttribute::Oif(2), gateway()]));
        add(&mut devices, &route(vec![RouteAttribute::Oif(3)]));
        add(&mut devices, &route(vec![RouteAttribute::MultiPath(vec![hop(4, vec![gateway()]), hop(5, vec![])])]));
        assert_eq!(devices, HashSet::from([2, 4]));
    }

    #[test]
    fn the_own_namespace_tells_its_gateways() {
        gateways().unwrap();
    }
}
