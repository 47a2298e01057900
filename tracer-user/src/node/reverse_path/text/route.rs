//! A route as ip-route(8) shows it.

use std::fmt::Write as _;
use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RoutePreference, RouteProtocol, RouteScope,
    RouteType, RouteVia,
};

/// Next hops that are written out.
const MOST_HOPS: usize = 8;

/// The table of a route. While there is no policy of its own the tables `local` and `main` are one, and the kernel says
/// `main` of both (`fib_trie_unmerge`, `net/ipv4/fib_trie.c`); what leads here stands in `local` by its kind.
pub(in super::super) fn table_of(route: &RouteMessage) -> u32 {
    let told = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(number) => Some(*number),
        _ => None,
    });
    match told.unwrap_or_else(|| route.header.table.into()) {
        254 if matches!(route.header.kind, RouteType::Local | RouteType::Broadcast) => 255,
        table => table,
    }
}

/// The line of `ip route show`; `name` gives the name of a device.
pub(in super::super) fn route(route: &RouteMessage, name: &dyn Fn(u32) -> String) -> String {
    let mut text = String::new();
    if let Some(kind) = kind(route.header.kind) {
        text.push_str(kind);
        text.push(' ');
    }
    text.push_str(&prefix(route));
    hop(&mut text, &route.attributes, name);
    tail(&mut text, &route.header, &route.attributes);
    for attribute in &route.attributes {
        let RouteAttribute::MultiPath(hops) = attribute else { continue };
        for next in hops.iter().take(MOST_HOPS) {
            text.push_str(" nexthop");
            next_hop(&mut text, next, name);
        }
        if hops.len() > MOST_HOPS {
            let _infallible = write!(text, " … ({} next hops)", hops.len());
        }
    }
    text
}

const fn kind(kind: RouteType) -> Option<&'static str> {
    Some(match kind {
        RouteType::Local => "local",
        RouteType::Broadcast => "broadcast",
        RouteType::Anycast => "anycast",
        RouteType::Multicast => "multicast",
        RouteType::BlackHole => "blackhole",
        RouteType::Unreachable => "unreachable",
        RouteType::Prohibit => "prohibit",
        RouteType::Throw => "throw",
        RouteType::Nat => "nat",
        _ => return None,
    })
}

fn prefix(route: &RouteMessage) -> String {
    let (length, whole) = (route.header.destination_prefix_length, whole(route.header.address_family));
    let destination = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    match destination {
        None if length == 0 => "default".to_owned(),
        None => format!("0/{length}"),
        Some(address) if length == whole => address.to_string(),
        Some(address) => format!("{address}/{length}"),
    }
}

fn whole(family: AddressFamily) -> u8 {
    if family == AddressFamily::Inet6 { 128 } else { 32 }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn hop(text: &mut String, attributes: &[RouteAttribute], name: &dyn Fn(u32) -> String) {
    for attribute in attributes {
        let _infallible = match attribute {
            RouteAttribute::NhId(id) => write!(text, " nhid {id}"),
            RouteAttribute::Gateway(address) => ip(address).map_or(Ok(()), |address| write!(text, " via {address}")),
            RouteAttribute::Via(RouteVia::Inet6(address)) => write!(text, " via inet6 {address}"),
            RouteAttribute::Via(RouteVia::Inet(address)) => write!(text, " via {address}"),
            _ => Ok(()),
        };
    }
    for attribute in attributes {
        if let RouteAttribute::Oif(index) = attribute {
            let _infallible = write!(text, " dev {}", name(*index));
        }
    }
}

fn next_hop(text: &mut String, next: &RouteNextHop, name: &dyn Fn(u32) -> String) {
    hop(text, &next.attributes, name);
    let _infallible = write!(text, " dev {} weight {}", name(next.interface_index), u32::from(next.hops) + 1);
}

fn tail(text: &mut String, header: &RouteHeader, attributes: &[RouteAttribute]) {
    if let Some(protocol) = protocol(header.protocol) {
        let _infallible = write!(text, " proto {protocol}");
    }
    let scope = match header.scope {
        RouteScope::Site => Some("site"),
        RouteScope::Link => Some("link"),
        RouteScope::Host => Some("host"),
        RouteScope::NoWhere => Some("nowhere"),
        _ => None,
    };
    if let Some(scope) = scope.filter(|_| header.address_family == AddressFamily::Inet) {
        let _infallible = write!(text, " scope {scope}");
    }
    for attribute in attributes {
        let _infallible = match attribute {
            RouteAttribute::PrefSource(address) => ip(address).map_or(Ok(()), |from| write!(text, " src {from}")),
            RouteAttribute::Priority(metric) => write!(text, " metric {metric}"),
            _ => Ok(()),
        };
    }
    for attribute in attributes {
        let RouteAttribute::Preference(preference) = attribute else { continue };
        let word = match preference {
            RoutePreference::Low => "low",
            RoutePreference::Medium => "medium",
            RoutePreference::High => "high",
            _ => continue,
        };
        let _infallible = write!(text, " pref {word}");
    }
    for (flag, word) in [(1, "dead"), (16, "linkdown"), (4, "onlink")] {
        if header.flags.bits() & flag != 0 {
            let _infallible = write!(text, " {word}");
        }
    }
}

/// Names of `/etc/iproute2/rt_protos`; `None` for `boot`, which is not shown.
fn protocol(protocol: RouteProtocol) -> Option<String> {
    Some(match protocol {
        RouteProtocol::Boot => return None,
        RouteProtocol::IcmpRedirect => "redirect".to_owned(),
        RouteProtocol::Dhcp => "dhcp".to_owned(),
        RouteProtocol::KeepAlived => "keepalived".to_owned(),
        RouteProtocol::Kernel
        | RouteProtocol::Static
        | RouteProtocol::Ra
        | RouteProtocol::Zebra
        | RouteProtocol::Bird
        | RouteProtocol::Babel
        | RouteProtocol::Bgp
        | RouteProtocol::Isis
        | RouteProtocol::Ospf
        | RouteProtocol::Rip
        | RouteProtocol::Eigrp => protocol.to_string(),
        other => u8::from(other).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(index: u32) -> String {
        format!("eth{index}")
    }

    fn of_ipv4(length: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.destination_prefix_length = length;
        message.header.table = 254;
        message.header.protocol = RouteProtocol::Boot;
        message.header.kind = RouteType::Unicast;
        message.attributes = attributes;
        message
    }

    fn address(text: &str) -> RouteAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_route_is_written_as_ip_route_does() {
        let mut kernel = of_ipv4(
            24,
            vec![
                RouteAttribute::Destination(address("10.99.2.0")),
                RouteAttribute::PrefSource(address("10.99.2.1")),
                RouteAttribute::Oif(2),
            ],
        );
        kernel.header.protocol = RouteProtocol::Kernel;
        kernel.header.scope = RouteScope::Link;
        assert_eq!(route(&kernel, &name), "10.99.2.0/24 dev eth2 proto kernel scope link src 10.99.2.1");

        let default = of_ipv4(0, vec![RouteAttribute::Gateway(address("10.0.0.1")), RouteAttribute::Oif(1)]);
        assert_eq!(route(&default, &name), "default via 10.0.0.1 dev eth1");

        let mut hole = of_ipv4(32, vec![RouteAttribute::Destination(address("192.0.2.1"))]);
        hole.header.kind = RouteType::BlackHole;
        assert_eq!((route(&hole, &name).as_str(), table_of(&hole)), ("blackhole 192.0.2.1", 254));
    }

    #[test]
    fn next_hops_are_listed_up_to_a_limit() {
        let mut next = RouteNextHop::default();
        next.interface_index = 3;
        next.attributes = vec![RouteAttribute::Gateway(address("10.0.0.9"))];
        let of = |count| of_ipv4(0, vec![RouteAttribute::MultiPath(vec![next.clone(); count])]);
        assert_eq!(route(&of(1), &name), "default nexthop via 10.0.0.9 dev eth3 weight 1");
        assert!(route(&of(300), &name).ends_with("weight 1 … (300 next hops)"));
    }
}
