//! The route that an answer to the packet would take, as the kernel's reverse-path check looks it up
//! (`__fib_validate_source`, `net/ipv4/fib_frontend.c`; `ipt_rpfilter.c`, `nft_fib_ipv4.c` and their IPv6 twins).
//!
//! Rule: the kernel itself is asked, in the calling thread's network namespace. What it can't be asked exactly (IPv4
//! answers only for addresses of its own as source) is asked without the source, and that is told.

use std::net::IpAddr;

use netlink_packet_route::route::{RouteAttribute, RouteType};

use super::policy::Policy;
use crate::host::error::{Errno, NetlinkError};
use crate::node::neighbour::link::name;
use crate::node::route::{Entry, Flow, UNICAST, one, question, table};

/// Devices of a route's next hops that are told.
const MOST_DEVICES: usize = 8;

/// What the way back is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The packet's source: where the way back leads to.
    pub source: IpAddr,
    pub destination: Option<IpAddr>,
    /// As far as the check looks at it, else 0.
    pub mark: u32,
    /// Index of the device that the packet came in by.
    pub input: u32,
    /// Whether rules of the policy see the device that a forwarded packet leaves by, as the one that the answer comes in by:
    /// its whole mark, which finds that device.
    pub forwarded: Option<u32>,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub end: End,
    /// The rule of the routing policy that led there, if it is none that is always there.
    pub rule: Option<String>,
    /// A rule of the policy looks at marks.
    pub looks_at_mark: bool,
    /// A rule looks at the source, which the kernel could not be asked about.
    pub is_rough: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Route(Route),
    /// There is none.
    Nowhere,
    /// A route or rule of this kind refuses: `blackhole`, `unreachable`, `prohibit`.
    Refused(&'static str),
    /// Why it can't be told.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The line of `ip route show`.
    pub text: String,
    pub table: String,
    pub kind: RouteType,
    /// Names of the devices of its next hops.
    pub devices: Vec<String>,
    pub prefix_length: u8,
}

impl Route {
    pub fn leaves_by(&self, interface: &str) -> bool {
        self.devices.iter().any(|device| device == interface)
    }
}

/// The way back.
pub fn back(asked: &Asked) -> Back {
    let is_ipv6 = asked.source.is_ipv6();
    let policy = match Policy::read(is_ipv6) {
        Ok(policy) => policy,
        Err(error) => {
            let end = End::Unknown(format!("the routing policy (ip rule): {error}"));
            return Back { end, rule: None, looks_at_mark: false, is_rough: false };
        }
    };
    // Else it makes no difference, and each refused question is a dropped packet to the kernel.
    let is_asked_exactly = policy.looks_at_source();
    let forward = asked.forwarded.zip(asked.destination).filter(|_| is_asked_exactly);
    let forward = forward.and_then(|(mark, destination)| forward_device(destination, mark));
    let (answer, is_rough) = answer(asked, is_asked_exactly, forward);
    let input = forward.map_or_else(|| "lo".to_owned(), name);
    let flow = flow(asked.destination, asked.source, asked.mark, input);
    let (end, rule) = match answer {
        Ok(entry) => {
            let rule = policy.leading_to(entry.own_table(), &flow);
            (End::Route(route(&entry)), rule)
        }
        Err(error) => {
            let end = end(error);
            let rule = matches!(end, End::Refused(_)).then(|| policy.refusing(&flow)).flatten();
            (end, rule)
        }
    };
    Back { end, rule, looks_at_mark: policy.looks_at_mark(), is_rough }
}

/// The device that the packet would be forwarded by; `None` for one that is for this host, or goes nowhere.
fn forward_device(destination: IpAddr, mark: u32) -> Option<u32> {
    let route = one(question(destination, None, mark), true).ok()?;
    (route.kind == UNICAST).then(|| devices(&route).first().copied()).flatten()
}

/// Whether the kernel would take such a packet now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    Takes,
    Refuses,
    /// It was not asked: what was read tells.
    Unasked,
    /// It could not be asked, and why.
    Unknown(String),
}

/// Asks the kernel to route the packet once more. It writes a line to the kernel's log if `log_martians` is on: do not
/// ask then. A refusal is a dropped packet to the kernel: do not ask what is known.
pub(super) fn again(source: IpAddr, destination: IpAddr, mark: u32, input: u32) -> Again {
    let mut message = question(destination, Some(source), mark);
    message.attributes.push(RouteAttribute::Iif(input));
    match one(message, false) {
        // No way on is another matter than the source.
        Ok(_) | Err(NetlinkError::Refused(Errno(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES))) => {
            Again::Takes
        }
        Err(NetlinkError::Refused(Errno(libc::EINVAL | libc::EXDEV))) => Again::Refuses,
        Err(error) => Again::Unknown(error.to_string()),
    }
}

/// The answer, and whether it leaves out what rules look at. `forward`: the device that the answer would come in by.
fn answer(asked: &Asked, is_asked_exactly: bool, forward: Option<u32>) -> (Result<Entry, NetlinkError>, bool) {
    let Asked { source, destination, mark, input, .. } = *asked;
    let destination = destination.filter(|address| is_host(*address));
    let ask = |from: Option<IpAddr>, by: Option<RouteAttribute>| {
        let mut message = question(source, from, mark);
        message.attributes.extend(by);
        one(message, true)
    };
    if source.is_ipv6() {
        // A link-local address is one only together with its link.
        let by = is_link_local(source).then_some(RouteAttribute::Oif(input));
        return (ask(destination, by), false);
    }
    let Some(destination) = destination.filter(|_| is_asked_exactly) else { return (ask(None, None), false) };
    match ask(Some(destination), forward.map(RouteAttribute::Iif)) {
        Ok(route) => (Ok(route), false),
        // The kernel also refuses what is no address of its own, or may not come in there.
        Err(_) => (ask(None, None), true),
    }
}

/// What rules look at, as far as a lookup of a way back has it.
pub(super) const fn flow(source: Option<IpAddr>, destination: IpAddr, mark: u32, input: String) -> Flow {
    Flow {
        source,
        destination,
        protocol: None,
        source_port: None,
        destination_port: None,
        mark,
        tos: None,
        input: Some(input),
        output: None,
        user: None,
        in_vrf: false,
    }
}

/// `fib_props` of `net/ipv4/fib_semantics.c` and `ip6_rt_type_to_error` of `net/ipv6/route.c`.
fn end(error: NetlinkError) -> End {
    match error {
        NetlinkError::Refused(Errno(libc::ENETUNREACH | libc::EAGAIN)) => End::Nowhere,
        NetlinkError::Refused(Errno(libc::EINVAL)) => End::Refused("blackhole"),
        NetlinkError::Refused(Errno(libc::EHOSTUNREACH)) => End::Refused("unreachable"),
        NetlinkError::Refused(Errno(libc::EACCES)) => End::Refused("prohibit"),
        error => End::Unknown(format!("the route back: {error}")),
    }
}

fn route(entry: &Entry) -> Route {
    Route {
        text: entry.text(&|index| Some(name(index))),
        table: table(entry.own_table()),
        kind: entry.kind.into(),
        devices: devices(entry).into_iter().map(name).collect(),
        prefix_length: entry.destination.length,
    }
}

fn devices(entry: &Entry) -> Vec<u32> {
    entry.hops.iter().map(|hop| hop.device).filter(|device| *device != 0).take(MOST_DEVICES).collect()
}

/// Whether an answer can come from it.
const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(source: &str) -> Asked {
        Asked { source: source.parse().unwrap(), destination: None, mark: 0, input: 1, forwarded: None }
    }

    #[test]
    fn the_kernel_tells_the_way_to_an_own_address() {
        let End::Route(route) = back(&asked("127.0.0.1")).end else { panic!("no route to lo") };
        assert_eq!((route.kind, route.table.as_str()), (RouteType::Local, "local"));
        assert!(route.leaves_by("lo") && !route.leaves_by("eth0"));
        assert!(route.text.starts_with("local 127.0.0.0/8 dev lo") || route.text.starts_with("local 127.0.0.1"));
    }

    #[test]
    fn errors_have_their_meaning() {
        let of = |errno| end(NetlinkError::Refused(Errno(errno)));
        assert_eq!(of(libc::ENETUNREACH), End::Nowhere);
        assert_eq!((of(libc::EINVAL), of(libc::EACCES)), (End::Refused("blackhole"), End::Refused("prohibit")));
        let closed = end(NetlinkError::Socket(Errno(libc::EMFILE)));
        assert!(matches!(&closed, End::Unknown(why) if why.starts_with("the route back: ")), "{closed:?}");
    }
}
