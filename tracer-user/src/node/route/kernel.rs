//! Rules, routes, addresses and neighbours of the calling thread's namespace, and what the kernel itself says of a route.

use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
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
    Ok(Tables::new(rules(is_ipv6)?, routes(is_ipv6)?))
}

/// All rules of a family, in their order.
///
/// # Errors
/// Why the kernel gave none.
pub(in crate::node) fn rules(is_ipv6: bool) -> Result<Vec<Rule>, NetlinkError> {
    let mut request = RuleMessage::default();
    request.header.family = family(is_ipv6);
    let rules = rtnetlink::dump(&RouteNetlinkMessage::GetRule(request))?;
    Ok(rules.iter().filter_map(as_rule).collect())
}

/// All routes of a family.
///
/// # Errors
/// Why the kernel gave none.
pub(in crate::node) fn routes(is_ipv6: bool) -> Result<Vec<Entry>, NetlinkError> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(is_ipv6);
    let routes = rtnetlink::dump(&RouteNetlinkMessage::GetRoute(request))?;
    Ok(routes.iter().filter_map(as_route).collect())
}

/// The question for the way to an address. A refusal of one about IPv4 is a dropped packet to the kernel
/// (`inet_rtm_getroute`), so what the tables tell is not asked.
pub(in crate::node) fn question(to: IpAddr, from: Option<IpAddr>, mark: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(to.is_ipv6());
    message.header.destination_prefix_length = Prefix::host(to).length;
    message.attributes.push(RouteAttribute::Destination(to.into()));
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        message.header.source_prefix_length = Prefix::host(from).length;
        message.attributes.push(RouteAttribute::Source(from.into()));
    }
    message.attributes.extend((mark != 0).then_some(RouteAttribute::Mark(mark)));
    message
}

/// The kernel's answer to it; with `is_match`, the entry of the table rather than what it comes to for this packet
/// (`RTM_F_FIB_MATCH`, since Linux 4.13).
///
/// # Errors
/// `ENETUNREACH` and the like where there is no way.
pub(in crate::node) fn one(mut question: RouteMessage, is_match: bool) -> Result<Entry, NetlinkError> {
    if is_match {
        // Without the second the kernel says "main" of any table.
        question.header.flags = RouteFlags::FibMatch | RouteFlags::LookupTable;
    }
    let answer = rtnetlink::get(&RouteNetlinkMessage::GetRoute(question))?;
    answer.iter().find_map(as_route).ok_or(NetlinkError::Malformed)
}

/// The route of a packet that came in by the device of this index, or of a local one (0); with `is_match`, the entry of
/// the table rather than what it comes to for this packet (`RTM_F_FIB_MATCH`, since Linux 4.13).
///
/// # Errors
/// Why the kernel could not be asked.
pub(super) fn ask(flow: &Flow, input: u32, is_match: bool) -> Result<Verdict, NetlinkError> {
    let is_ipv6 = flow.destination.is_ipv6();
    let mut request = question(flow.destination, flow.source, flow.mark);
    request.header.tos = flow.tos.filter(|_| !is_ipv6).unwrap_or(0) & 0x1c;
    request.attributes.extend((input != 0).then_some(RouteAttribute::Iif(input)));
    // Others are refused (`rtm_getroute_parse_ip_proto`).
    if let Some(protocol @ (1 | 6 | 17 | 58)) = flow.protocol {
        request.attributes.push(RouteAttribute::IpProto(protocol));
        request.attributes.extend(flow.source_port.filter(|port| *port != 0).map(RouteAttribute::Sport));
        request.attributes.extend(flow.destination_port.filter(|port| *port != 0).map(RouteAttribute::Dport));
    }
    request.attributes.extend(flow.user.filter(|_| input == 0).map(RouteAttribute::Uid));
    match one(request, is_match) {
        Ok(route) => Ok(Verdict::Route(Box::new(route))),
        Err(NetlinkError::Refused(errno)) => Ok(Verdict::Refused(errno)),
        Err(error) => Err(error),
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Address {
    pub(in crate::node) device: u32,
    pub(in crate::node) prefix: Prefix,
    /// IPv6 found it in use elsewhere, or is not yet done asking, if this is false.
    pub(in crate::node) is_usable: bool,
    pub(in crate::node) is_host_scope: bool,
}

/// The addresses of a family.
///
/// # Errors
/// Why the kernel gave none.
pub(in crate::node) fn addresses(is_ipv6: bool) -> Result<Vec<Address>, NetlinkError> {
    let mut request = AddressMessage::default();
    request.header.family = family(is_ipv6);
    let list = rtnetlink::dump(&RouteNetlinkMessage::GetAddress(request))?;
    Ok(list.iter().filter_map(as_address).collect())
}

fn as_address(message: &RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let (mut address, mut local, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            AddressAttribute::Local(found) => local = Some(*found),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    let is_unsure = flags.contains(AddressFlags::Dadfailed)
        || (flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic));
    Some(Address {
        device: message.header.index,
        // On a point-to-point link `IFA_ADDRESS` is the other end's.
        prefix: Prefix { address: local.or(address)?, length: message.header.prefix_len },
        is_usable: !is_unsure,
        is_host_scope: u8::from(message.header.scope) == libc::RT_SCOPE_HOST,
    })
}

/// The family of netlink messages.
pub(in crate::node) const fn family(is_ipv6: bool) -> AddressFamily {
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
