//! A route and its table as `ip route show` prints them.
//!
//! Rule: what tells a route from others is printed; its metrics (MTU and the like) are not.

use std::fmt::Write as _;
use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope,
};

use super::hop::gateway;
use super::link;

/// Next hops of a multipath route that are shown.
const MOST_HOPS: usize = 8;

pub(super) fn table(route: &RouteMessage) -> String {
    let number = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(number) => Some(*number),
        _ => None,
    });
    match number.unwrap_or_else(|| u32::from(route.header.table)) {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        other => other.to_string(),
    }
}

/// The route as `ip route show` prints it: what it matches, its next hops, and what tells it from others.
pub(super) fn route(route: &RouteMessage) -> String {
    let RouteHeader { destination_prefix_length: length, protocol, scope, .. } = route.header;
    let mut text = String::new();
    let (mut via, mut device, mut source, mut metric) = (gateway(&route.attributes), None, None, None);
    let mut hops: &[RouteNextHop] = &[];
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(to) if length > 0 => text = prefix(to, length),
            RouteAttribute::Oif(index) => device = Some(link::name(*index)),
            RouteAttribute::PrefSource(from) => source = address(from),
            RouteAttribute::Priority(number) => metric = Some(*number),
            RouteAttribute::MultiPath(list) => hops = list,
            _ => {}
        }
    }
    if text.is_empty() {
        "default".clone_into(&mut text);
    }
    if !hops.is_empty() {
        (via, device) = (None, None);
    }
    push(&mut text, "via", via.map(|via| of_family(route.header.address_family, via)));
    push(&mut text, "dev", device);
    push(&mut text, "proto", protocol_name(protocol));
    push(&mut text, "scope", scope_name(scope));
    push(&mut text, "src", source);
    push(&mut text, "metric", metric);
    for hop in hops.iter().take(MOST_HOPS) {
        text.push_str(" nexthop");
        push(&mut text, "via", gateway(&hop.attributes).map(|via| of_family(route.header.address_family, via)));
        push(&mut text, "dev", Some(link::name(hop.interface_index)));
        push(&mut text, "weight", Some(u32::from(hop.hops) + 1));
    }
    text
}

fn push(text: &mut String, word: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _infallible = write!(text, " {word} {value}");
    }
}

/// A gateway of the other family is printed with its family.
fn of_family(family: AddressFamily, via: IpAddr) -> String {
    match via {
        IpAddr::V6(via) if family == AddressFamily::Inet => format!("inet6 {via}"),
        via => via.to_string(),
    }
}

fn address(address: &RouteAddress) -> Option<String> {
    match address {
        RouteAddress::Inet(address) => Some(address.to_string()),
        RouteAddress::Inet6(address) => Some(address.to_string()),
        _ => None,
    }
}

fn prefix(to: &RouteAddress, length: u8) -> String {
    match to {
        RouteAddress::Inet(to) if length == 32 => to.to_string(),
        RouteAddress::Inet6(to) if length == 128 => to.to_string(),
        to => address(to).map_or_else(String::new, |to| format!("{to}/{length}")),
    }
}

/// As `/etc/iproute2/rt_protos` has them; `boot` is not printed.
fn protocol_name(protocol: RouteProtocol) -> Option<String> {
    Some(match protocol {
        RouteProtocol::Boot | RouteProtocol::Unspec => return None,
        RouteProtocol::Kernel => "kernel".to_owned(),
        RouteProtocol::Static => "static".to_owned(),
        RouteProtocol::IcmpRedirect => "redirect".to_owned(),
        other => match u8::from(other) {
            9 => "ra".to_owned(),
            12 => "bird".to_owned(),
            11 => "zebra".to_owned(),
            16 => "dhcp".to_owned(),
            186 => "bgp".to_owned(),
            188 => "ospf".to_owned(),
            number => number.to_string(),
        },
    })
}

const fn scope_name(scope: RouteScope) -> Option<&'static str> {
    match scope {
        RouteScope::Link => Some("link"),
        RouteScope::Host => Some("host"),
        RouteScope::Site => Some("site"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use netlink_packet_route::route::RouteVia;

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
    fn a_route_is_written_as_ip_writes_it() {
        let default = route(0, vec![RouteAttribute::Gateway(v4("10.99.1.1")), RouteAttribute::Oif(1)]);
        assert_eq!(super::route(&default), "default via 10.99.1.1 dev lo");
        let mut link = route(
            24,
            vec![
                RouteAttribute::Destination(v4("10.99.2.0")),
                RouteAttribute::Oif(1),
                RouteAttribute::PrefSource(v4("10.99.2.1")),
            ],
        );
        link.header.protocol = RouteProtocol::Kernel;
        link.header.scope = RouteScope::Link;
        assert_eq!(super::route(&link), "10.99.2.0/24 dev lo proto kernel scope link src 10.99.2.1");
        let host = route(32, vec![RouteAttribute::Destination(v4("10.9.9.9")), RouteAttribute::Priority(100)]);
        assert_eq!(super::route(&host), "10.9.9.9 metric 100");
        let six = RouteVia::Inet6("fe80::1".parse().unwrap());
        let other = route(8, vec![RouteAttribute::Destination(v4("10.0.0.0")), RouteAttribute::Via(six)]);
        assert_eq!(super::route(&other), "10.0.0.0/8 via inet6 fe80::1");
    }
}
