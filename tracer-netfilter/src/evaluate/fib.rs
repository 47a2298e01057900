//! Routing questions (`net/ipv4/netfilter/nft_fib_ipv4.c`, `net/ipv6/netfilter/nft_fib_ipv6.c`, Linux 6.18).

use std::net::{IpAddr, Ipv4Addr};

use super::View;
use super::load::Loaded;
use super::registers::Reason;
use crate::model::{FibResult, Hook};
use crate::packet::{Device, Known};
use crate::world::RouteQuestion;

/// `NFTA_FIB_F_` flags (`include/uapi/linux/netfilter/nf_tables.h`).
const DESTINATION: u32 = 2;
const MARK: u32 = 4;
const INPUT: u32 = 8;
const OUTPUT: u32 = 16;
const PRESENT: u32 = 32;

/// `RTN_` types.
const UNICAST: u8 = 1;
const BROADCAST: u8 = 3;
const MULTICAST: u8 = 5;
/// `ARPHRD_LOOPBACK`
const LOOPBACK: u16 = 772;

pub(super) fn load(view: &mut View<'_>, result: FibResult, flags: u32) -> Loaded {
    let length = if matches!(result, FibResult::OutputName) && flags & PRESENT == 0 { 16 } else { 4 };
    let found = match result {
        FibResult::AddressType => kind(view, flags),
        FibResult::OutputIndex | FibResult::OutputName => {
            device(view, flags).and_then(|device| shown(view, device, result, flags))
        }
    };
    found.unwrap_or_else(|reason| Loaded::unknown(length, reason))
}

/// What an address is to this node.
fn kind(view: &View<'_>, flags: u32) -> Result<Loaded, Reason> {
    let device = if flags & (INPUT | OUTPUT) == 0 { 0 } else { index(limit(view, flags))? };
    let (reach, _) = ends(view, flags)?;
    let kind = view.world.address_kind(reach, device).map_err(Reason::from)?;
    Ok(Loaded::number(u32::from(kind)))
}

/// The device that the rule limits the answer to.
const fn limit<'a>(view: &View<'a>, flags: u32) -> &'a Known<Device> {
    // IPv4 looks at the output device first, but no rule can have both.
    if flags & INPUT != 0 { &view.packet.input } else { &view.packet.output }
}

fn index(device: &Known<Device>) -> Result<u32, Reason> {
    match device {
        Known::Is(device) => Ok(device.index),
        Known::Absent => Ok(0),
        Known::Unknown => Err("the device that fib looks at".into()),
    }
}

/// The address to reach, and the other one.
fn ends(view: &View<'_>, flags: u32) -> Result<(IpAddr, IpAddr), Reason> {
    let (Some(source), Some(destination)) = (view.packet.source, view.packet.destination) else {
        return Err("the packet's addresses".into());
    };
    Ok(if flags & DESTINATION != 0 { (destination, source) } else { (source, destination) })
}

/// Index of the device by which the address is reached, 0 for none.
fn device(view: &mut View<'_>, flags: u32) -> Result<u32, Reason> {
    let (reach, from) = ends(view, flags)?;
    if let Some(input) = needs_no_route(view) {
        return index(input);
    }
    let limit = if flags & (INPUT | OUTPUT) == 0 { 0 } else { index(limit(view, flags))? };
    let mark = match flags & MARK {
        0 => 0,
        _ => view.mark.rely(u32::MAX).ok_or("the packet's mark on the way")?,
    };
    let question = RouteQuestion {
        destination: reach,
        source: Some(from).filter(|address| is_host(*address)),
        mark,
        // Of a route with several next hops any may lead by the device.
        output: if reach.is_ipv4() || is_link_local(reach) { limit } else { 0 },
        input: 0,
    };
    let answer = view.world.route(&question).map_err(Reason::from)?;
    let is_way = match answer.kind {
        UNICAST => true,
        BROADCAST | MULTICAST => reach.is_ipv4(),
        // `RTN_LOCAL` too: rules ask for ways out.
        _ => false,
    };
    Ok(if is_way && (limit == 0 || limit == answer.output) { answer.output } else { 0 })
}

/// Packets that the kernel takes to come rightly by the device they came by.
fn needs_no_route<'a>(view: &View<'a>) -> Option<&'a Known<Device>> {
    let packet = view.packet;
    let input = &packet.input;
    let (source, destination) = (packet.source?, packet.destination?);
    let is_early = matches!(view.hook, Hook::Prerouting | Hook::Ingress);
    let is_looped = packet.packet_type == Some(5)
        || matches!(input, Known::Is(device) if device.hardware == Some(LOOPBACK) || device.name == "lo");
    let is_fresh = match (source, destination) {
        // A host that has no address yet.
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            source.octets().first() == Some(&0) && (destination.is_broadcast() || is_local_multicast(destination))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            is_early
                && packet.protocol == Some(58)
                && source.is_unspecified()
                && (destination.is_unicast_link_local() || is_link_local_multicast(IpAddr::V6(destination)))
        }
        _ => false,
    };
    (is_early && is_looped || is_fresh).then_some(input)
}

/// 224.0.0.0/24
fn is_local_multicast(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [224, 0, 0, _])
}

/// `IPV6_ADDR_LINKLOCAL` holds for multicast of that scope too.
fn is_link_local_multicast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments().first().is_some_and(|first| first & 0xff0f == 0xff02))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(unicast) if unicast.is_unicast_link_local()) || is_link_local_multicast(address)
}

/// The kernel looks up no way from multicast, broadcast or 0.0.0.0/8.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && v4.octets().first() != Some(&0),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    }
}

fn shown(view: &View<'_>, index: u32, result: FibResult, flags: u32) -> Result<Loaded, Reason> {
    if flags & PRESENT != 0 {
        return Ok(Loaded::number(u32::from(index != 0)));
    }
    Ok(match result {
        FibResult::OutputName if index == 0 => Loaded::name(""),
        FibResult::OutputName => Loaded::name(&view.world.device(index).map_err(Reason::from)?.name),
        _ => Loaded::number(index),
    })
}
