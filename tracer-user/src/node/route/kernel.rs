//! Rules, routes, addresses and neighbours of the calling thread's namespace, and what the kernel itself says of a route.

use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::entry::{Entry, Prefix};
use super::lookup::{Flow, Tables};
use super::rule::Rule;
use crate::host::error::{Errno, NetlinkError};
use crate::host::rtnetlink;

/// What the kernel says when it is asked for the route of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Route(Box<Entry>),
    /// `EINVAL` for a blackhole, `EHOSTUNREACH`, `EACCES` for prohibit, `ENETUNREACH` for no route.
    Refused(Errno),
}

/// All rules and routes of a family. A list of more than 65536 is refused.
///
/// # Errors
/// Why the kernel gave none.
pub fn tables(is_ipv6: bool) -> Result<Tables, NetlinkError> {
    let mut request = RuleMessage::default();
    request.header.family = family(is_ipv6);
    let rules = rtnetlink::dump(&RouteNetlinkMessage::GetRule(request))?;
    let mut request = RouteMessage::default();
    request.header.address_family = family(is_ipv6);
    let routes = rtnetlink::dump(&RouteNetlinkMessage::GetRoute(request))?;
    Ok(Tables::new(rules.iter().filter_map(as_rule).collect(), routes.iter().filter_map(as_route).collect()))
}

/// The route of a packet that came in by the device of this index, or of a local one (0); with `is_match`, the entry of
/// the table rather than what it comes to for this packet (`RTM_F_FIB_MATCH`, since Linux 4.13).
///
/// # Errors
/// Why the kernel could not be asked.
pub(super) fn ask(flow: &Flow, input: u32, is_match: bool) -> Result<Verdict, NetlinkError> {
    let mut request = RouteMessage::default();
    let is_ipv6 = flow.destination.is_ipv6();
    request.header.address_family = family(is_ipv6);
    request.header.destination_prefix_length = Prefix::host(flow.destination).length;
    request.attributes.push(RouteAttribute::Destination(flow.destination.into()));
    if let Some(source) = flow.source.filter(|source| source.is_ipv6() == is_ipv6) {
        request.header.source_prefix_length = Prefix::host(source).length;
        request.attributes.push(RouteAttribute::Source(source.into()));
    }
    if is_match {
        request.header.flags = RouteFlags::FibMatch;
    }
    request.header.tos = flow.tos.filter(|_| !is_ipv6).unwrap_or(0) & 0x1c;
    request.attributes.extend((input != 0).then_some(RouteAttribute::Iif(input)));
    request.attributes.extend((flow.mark != 0).then_some(RouteAttribute::Mark(flow.mark)));
    // Others are refused (`rtm_getroute_parse_ip_proto`).
    if let Some(protocol @ (1 | 6 | 17 | 58)) = flow.protocol {
        request.attributes.push(RouteAttribute::IpProto(protocol));
        request.attributes.extend(flow.source_port.filter(|port| *port != 0).map(RouteAttribute::Sport));
        request.attributes.extend(flow.destination_port.filter(|port| *port != 0).map(RouteAttribute::Dport));
    }
    request.attributes.extend(flow.user.filter(|_| input == 0).map(RouteAttribute::Uid));
    match rtnetlink::get(&RouteNetlinkMessage::GetRoute(request)) {
        Ok(messages) => {
            let route = messages.iter().find_map(as_route).ok_or(NetlinkError::Malformed)?;
            Ok(Verdict::Route(Box::new(route)))
        }
        Err(NetlinkError::Refused(errno)) => Ok(Verdict::Refused(errno)),
        Err(error) => Err(error),
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) device: u32,
    pub(super) prefix: Prefix,
}

/// The addresses of a family.
///
/// # Errors
/// Why the kernel gave none.
pub(super) fn addresses(is_ipv6: bool) -> Result<Vec<Address>, NetlinkError> {
    let mut request = AddressMessage::default();
    request.header.family = family(is_ipv6);
    let list = rtnetlink::dump(&RouteNetlinkMessage::GetAddress(request))?;
    let address = |message: &RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewAddress(message) = message else { return None };
        // On a point-to-point link `IFA_ADDRESS` is the other end's.
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        let any = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
        let prefix = Prefix { address: local.or(any)?, length: message.header.prefix_len };
        Some(Address { device: message.header.index, prefix })
    };
    Ok(list.iter().filter_map(address).collect())
}

/// The link-layer address of a neighbour; none if it has no entry.
///
/// # Errors
/// Why the kernel could not be asked.
pub(super) fn neighbour(address: IpAddr, device: u32) -> Result<Option<Vec<u8>>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = family(address.is_ipv6());
    request.header.ifindex = device;
    let to = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    request.attributes.push(NeighbourAttribute::Destination(to));
    let found = match rtnetlink::get(&RouteNetlinkMessage::GetNeighbour(request)) {
        Err(NetlinkError::Refused(Errno(libc::ENOENT))) => return Ok(None),
        found => found?,
    };
    let attributes = found.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => Some(&message.attributes),
        _ => None,
    });
    Ok(attributes.flatten().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(address) => Some(address.clone()),
        _ => None,
    }))
}

const fn family(is_ipv6: bool) -> AddressFamily {
    if is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn as_route(message: &RouteNetlinkMessage) -> Option<Entry> {
    match message {
        RouteNetlinkMessage::NewRoute(message) => Entry::new(message),
        _ => None,
    }
}

fn as_rule(message: &RouteNetlinkMessage) -> Option<Rule> {
    match message {
        RouteNetlinkMessage::NewRule(message) => Rule::new(message),
        _ => None,
    }
}
