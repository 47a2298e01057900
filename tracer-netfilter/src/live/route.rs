//! Where the routing tables lead (`RTM_GETROUTE`).
//!
//! What `fib` of nf_tables and `rpfilter` of x_tables do is a bare lookup of the tables (`fib_lookup`,
//! `ip6_route_lookup`); netlink's question finds the route of a packet that is sent from here. They differ so:
//! - IPv4 takes only an address of its own as source. Without a policy rule (`ip rule`) that could hold for the source it
//!   makes no difference and is left out; else the rules are followed here (see [`super::policy`]).
//! - IPv4, when told an output device, makes up a route over it. So it is not told, and the next hops are looked at.
//! - 0.0.0.0, 255.255.255.255 and multicast addresses of IPv4 have ways of their own when sent to. They too are looked up
//!   here.
//! - Routes whose link has no carrier are used, unless `ignore_routes_with_linkdown` is set, which netlink heeds and the
//!   rules do not.

use std::net::IpAddr;

use super::socket::{self, Request, split};
use super::table::{AF_INET, AF_INET6, HEADER, RTA_DST, RTA_OIF, Route, devices};
use super::{Live, RouteError};
use crate::ipset::Net;
use crate::netlink::Errno;
use crate::world::{RouteAnswer, RouteQuestion, Unanswered, World as _};

const RTA_SRC: u16 = 2;
const RTA_MARK: u16 = 16;
/// The route itself is told, with all its next hops (`RTM_F_FIB_MATCH`, since Linux 4.13).
const FIB_MATCH: u32 = 0x2000;

/// `RTN_` values.
pub(super) const UNSPECIFIED: u8 = 0;
pub(super) const BLACKHOLE: u8 = 6;
pub(super) const UNREACHABLE: u8 = 7;
pub(super) const PROHIBIT: u8 = 8;

/// An answer with `output` 0 is no way, or none by the device that was asked for.
pub(super) fn ask(live: &Live, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
    if question.source.is_some_and(|source| source.is_ipv4() != question.destination.is_ipv4()) {
        return Err("a route between addresses of two families".to_owned());
    }
    let (kind, devices) = if question.destination.is_ipv4() {
        ask_ipv4(live, question)?
    } else {
        kernel(question.destination, question.source, question.mark, question.output)?
    };
    let output = match devices.as_slice() {
        _ if question.output != 0 => Some(question.output).filter(|wanted| devices.contains(wanted)),
        [first, ..] if question.destination.is_ipv4() || devices.iter().all(|device| device == first) => Some(*first),
        [] => None,
        // IPv6 takes one by a hash over more than is asked about here.
        _ => return Err("which of several next hops the packet would take".to_owned()),
    };
    Ok(RouteAnswer { output: output.unwrap_or(0), kind })
}

fn ask_ipv4(live: &Live, question: &RouteQuestion) -> Result<(u8, Vec<u32>), Unanswered> {
    let policies = live.policies()?;
    let is_special = match question.destination {
        IpAddr::V4(address) => address.is_unspecified() || address.is_broadcast() || address.is_multicast(),
        IpAddr::V6(_) => false,
    };
    if !policies.looks_at(question) && !is_special {
        return kernel(question.destination, None, question.mark, 0);
    }
    let input = if question.input == 0 { "lo".to_owned() } else { live.device(question.input)?.name };
    let route = policies.follow(question, &input, |number| live.table(number))?;
    Ok(route.map_or((UNSPECIFIED, Vec::new()), |route| (route.kind, route.devices)))
}

/// What the kernel says: `RTN_` value, and devices of the next hops.
pub(super) fn kernel(
    destination: IpAddr,
    source: Option<IpAddr>,
    mark: u32,
    output: u32,
) -> Result<(u8, Vec<u32>), Unanswered> {
    let header = |source: Option<IpAddr>| {
        let (family, length) = if destination.is_ipv4() { (AF_INET, 32) } else { (AF_INET6, 128) };
        let source_length = if source.is_some() { length } else { 0 };
        let [a, b, c, d] = FIB_MATCH.to_ne_bytes();
        [family, length, source_length, 0, 0, 0, 0, 0, a, b, c, d]
    };
    let mut request = Request::new(libc::RTM_GETROUTE, &header(source)).with(RTA_DST, &octets(destination));
    if let Some(source) = source {
        request = request.with(RTA_SRC, &octets(source));
    }
    if mark != 0 {
        request = request.with(RTA_MARK, &mark.to_ne_bytes());
    }
    if output != 0 {
        request = request.with(RTA_OIF, &output.to_ne_bytes());
    }
    match socket::get(&request, parse) {
        Ok(answer) => Ok(answer),
        // `fib_props` of net/ipv4/fib_semantics.c and `ip6_rt_type_to_error` of net/ipv6/route.c.
        Err(RouteError::Refused(Errno(libc::EINVAL))) => Ok((BLACKHOLE, Vec::new())),
        Err(RouteError::Refused(Errno(libc::EHOSTUNREACH))) => Ok((UNREACHABLE, Vec::new())),
        Err(RouteError::Refused(Errno(libc::EACCES))) => Ok((PROHIBIT, Vec::new())),
        Err(RouteError::Refused(Errno(libc::ENETUNREACH | libc::EAGAIN))) => Ok((UNSPECIFIED, Vec::new())),
        Err(error) => Err(format!("the route to {destination}: {error}")),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(super) fn parse(payload: &[u8]) -> Option<(u8, Vec<u32>)> {
    let (header, _) = split::<HEADER>(payload)?;
    let [_, _, _, _, _, _, _, kind, ..] = *header;
    Some((kind, devices(payload)?))
}

impl Route {
    /// What a rule of the routing policy refuses.
    pub(super) fn refusal(destination: std::net::Ipv4Addr, kind: u8) -> Self {
        Self::new(Net::host(IpAddr::V4(destination)), kind, Vec::new())
    }
}
