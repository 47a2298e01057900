//! What an address is to this node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Live;
use super::RouteError;
use super::route::{self, BLACKHOLE, PROHIBIT, UNREACHABLE, UNSPECIFIED};
use super::socket::{self, Request, split, word};
use super::table::AF_INET6;
use crate::world::{Unanswered, World as _};

const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
const ANYCAST: u8 = 4;
const MULTICAST: u8 = 5;
/// `RT_TABLE_LOCAL`.
const LOCAL_TABLE: u32 = 255;

/// As `inet_addr_type` and `inet_dev_addr_type` (`net/ipv4/fib_frontend.c`, Linux 6.18): only the local table counts, and
/// of it only what is no refusal, so that no address is ever a blackhole.
pub(super) fn of_ipv4(live: &Live, address: Ipv4Addr, device: u32) -> Result<u8, Unanswered> {
    // Of 0.0.0.0/8 only this one, since Linux 5.3.
    if address.is_unspecified() || address.is_broadcast() {
        return Ok(BROADCAST);
    }
    if address.is_multicast() {
        return Ok(MULTICAST);
    }
    if device != 0 {
        no_vrf(live, device)?;
    }
    let table = live.table(LOCAL_TABLE)?;
    let is_there = |on: Option<&u32>| device == 0 || on == Some(&device);
    let route = table.find(address).filter(|route| !route.is_refusal() && is_there(route.devices.first()));
    Ok(route.map_or(UNICAST, |route| route.kind))
}

/// A VRF has a local table of its own.
fn no_vrf(live: &Live, device: u32) -> Result<(), Unanswered> {
    let device = live.device(device)?;
    let is_vrf = |kind: Option<&str>| kind == Some("vrf");
    let master = match device.master {
        None | Some(0) => None,
        Some(master) => Some(live.device(master)?),
    };
    if is_vrf(device.kind.as_deref()) || master.is_some_and(|master| is_vrf(master.kind.as_deref())) {
        return Err(format!("what addresses are to the VRF of {}", device.name));
    }
    Ok(())
}

/// As `fib` of nf_tables (`__nft_fib6_eval_type`, `net/ipv6/netfilter/nft_fib_ipv6.c`, Linux 6.18). `addrtype` of x_tables
/// looks the same way for local, anycast and unreachable (which to it is every refusal, and no route at all), and at the
/// address itself for unicast and multicast.
///
/// Three things are so for `fib` alone and not seen here: it gives the packet's other address as source, which matters to
/// policies that look at the source; it looks for link-local addresses on the packet's own device if the rule names none; and
/// a net's own address (`fd00::` of `fd00::/64`) is anycast to it even on a node that does not forward.
pub(super) fn of_ipv6(live: &Live, address: Ipv6Addr, device: u32) -> Result<u8, Unanswered> {
    // `addrtype` limits the route to the device; `fib` does so for link-local addresses only.
    let (kind, _) = route::kernel(IpAddr::V6(address), None, 0, device)?;
    match kind {
        BLACKHOLE | UNREACHABLE | PROHIBIT => return Ok(kind),
        UNSPECIFIED => return Ok(UNREACHABLE),
        ANYCAST => return Ok(ANYCAST),
        LOCAL if device == 0 => return Ok(LOCAL),
        _ => {}
    }
    if device != 0 && is_on(live, address, device)? {
        return Ok(LOCAL);
    }
    Ok(match address {
        _ if address.is_multicast() => MULTICAST,
        _ if address.is_unspecified() => UNSPECIFIED,
        _ => UNICAST,
    })
}

/// `ipv6_chk_addr`: the address stands on the device and was found to be nobody else's.
fn is_on(live: &Live, address: Ipv6Addr, device: u32) -> Result<bool, Unanswered> {
    let addresses = live.addresses.get_or_init(addresses);
    let addresses = addresses.as_ref().map_err(|error| format!("the addresses of the devices: {error}"))?;
    Ok(addresses.contains(&(address, device)))
}

fn addresses() -> Result<Vec<(Ipv6Addr, u32)>, RouteError> {
    // `struct ifaddrmsg`: family, prefix, flags, scope, index (4).
    let request = Request::new(libc::RTM_GETADDR, &[AF_INET6, 0, 0, 0, 0, 0, 0, 0]);
    socket::dump(&request, parse)
}

/// Address and device, 0 for one that may still turn out to be another's.
pub(super) fn parse(payload: &[u8]) -> Option<(Ipv6Addr, u32)> {
    let (header, attributes) = split::<8>(payload)?;
    let [_, _, flags, _, a, b, c, d] = *header;
    let flags = word(attributes, libc::IFA_FLAGS).unwrap_or_else(|| flags.into());
    let is_tentative = flags & libc::IFA_F_TENTATIVE != 0 && flags & libc::IFA_F_OPTIMISTIC == 0;
    // Of a point-to-point address the own end is IFA_LOCAL.
    let address = attributes.get(libc::IFA_LOCAL).or_else(|| attributes.get(libc::IFA_ADDRESS))?;
    let address = Ipv6Addr::from(*address.first_chunk::<16>()?);
    Some((address, if is_tentative { 0 } else { u32::from_ne_bytes([a, b, c, d]) }))
}
