//! Whether a source may come in by an interface: `rp_filter` and its kin, the route back, and who sent the packet.
//!
//! Rule: what decided is looked up as `ip_route_input_slow` and `fib_validate_source` do (`net/ipv4/route.c`,
//! `net/ipv4/fib_frontend.c`, 5.10 to 7.2). IPv6 has no such check of its own; rules of netfilter that do the same for both
//! families use [`back()`].

mod back;
mod check;
mod header;
mod neighbour;
mod policy;
mod rule;
mod setting;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use super::recent::Recent;
use super::sysctl::{self, SetBy};
use super::{Packet, Scene};
use crate::host::HostError;
use crate::host::netns::{HostNetns, HostProof};

pub use back::{Again, Asked, Back, End, Route, back};
pub use check::Refusal;
pub use header::{Mac, SourceRoute};
pub use rule::{RuleCheck, of_rule};
pub use setting::{Combined, Setting, Settings};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReversePath {
    /// `None` for a packet that this check is not for.
    pub checked: Option<Box<Checked>>,
}

/// What was read of the check of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The device that it came in by.
    pub interface: String,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub mark: u32,
    pub settings: Settings,
    /// `None` for a source that is not looked up.
    pub back: Option<Back>,
    /// The route back as it would be with the packet's mark, where `src_valid_mark` is off and rules look at marks.
    pub marked: Option<Back>,
    /// Whether the interface has an address: without one only a route back by itself will do.
    pub has_address: Option<bool>,
    /// Asked only where what was read does not tell.
    pub again: Again,
    pub source_route: Option<SourceRoute>,
    /// Who sent the frame.
    pub sender: Option<Mac>,
    /// The neighbour on the interface with that hardware address.
    pub neighbour: Option<Ipv4Addr>,
    /// Our own device with that hardware address.
    pub own_sender: Option<String>,
    /// Lines of the host's files that set what decides here; only for the initial namespace.
    pub boot: Vec<SetBy>,
    /// A device of Cilium, where the namespace has one.
    pub cilium: Option<String>,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By the name of the setting.
    boot: Recent<String, Option<SetBy>>,
    neighbours: Recent<(u32, u32), Result<neighbour::Table, HostError>>,
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<ReversePath, HostError> {
    let question = scene.question;
    let packet = &question.packet;
    let (Some(IpAddr::V4(source)), Some(IpAddr::V4(destination))) = (packet.source, packet.destination) else {
        return Ok(ReversePath::default());
    };
    let Some(interface) = packet.interface.name.clone() else {
        scene.unknown.push("the interface it came in by, and so its settings".to_owned());
        return Ok(ReversePath::default());
    };
    let (sender, source_route) = packet.dropped.as_ref().map_or((None, None), |dropped| header::read(&dropped.event));
    let mut asked = scene.inside(|| ask(packet, &interface, source, destination))?;
    scene.unknown.append(&mut asked.unknown);
    if let Some(vrf) = vrf(scene).filter(|_| asked.back.is_some()) {
        scene.unknown.push(format!("the route back: {interface} is of the VRF {vrf}, whose table was not asked"));
        (asked.back, asked.marked) = (None, None);
    }
    let neighbour = sender.and_then(|mac| neighbour(scene, memory, mac));
    let boot = boot(scene, memory, &asked.settings, &interface);
    let interfaces = scene.host.interfaces(question.netns.inode).ok();
    let own_sender = sender.and_then(|mac| interfaces?.iter().find(|interface| interface.address == mac));
    let cilium = interfaces.and_then(|interfaces| {
        ["cilium_host", "cilium_net"].into_iter().find(|name| interfaces.by_name(name).is_some())
    });
    let mut checked = Checked {
        interface,
        source,
        destination,
        mark: packet.mark,
        settings: asked.settings,
        back: asked.back,
        marked: asked.marked,
        has_address: asked.has_address,
        again: Again::Unasked,
        source_route,
        sender,
        neighbour,
        own_sender: own_sender.map(|interface| interface.name.clone()),
        boot,
        cilium: cilium.map(str::to_owned),
    };
    if checked.refusal().is_none() || checked.back.as_ref().is_some_and(|back| back.is_rough) {
        checked.again = again(scene, &checked);
    }
    Ok(ReversePath { checked: Some(Box::new(checked)) })
}

/// The VRF that the device is, or is a port of: the way back is looked up in its table.
fn vrf<'a>(scene: &'a Scene<'_>) -> Option<&'a str> {
    let interfaces = scene.host.interfaces(scene.question.netns.inode).ok()?;
    let device = interfaces.get(scene.question.packet.interface.index)?;
    let candidates = [Some(device), device.master.and_then(|master| interfaces.get(master))];
    let vrf = candidates.into_iter().flatten().find(|device| device.kind.as_deref() == Some("vrf"))?;
    Some(&vrf.name)
}

fn again(scene: &Scene<'_>, checked: &Checked) -> Again {
    // Asking like a packet makes the kernel write what it logs for a packet.
    if !checked.settings.log_martians.is_off() {
        return Again::Unknown("log_martians is on, so that asking would write to the kernel's log".to_owned());
    }
    let input = scene.question.packet.interface.index;
    let ask = || back::again(checked.source.into(), checked.destination.into(), checked.mark, input);
    scene.inside(ask).unwrap_or_else(|error| Again::Unknown(error.to_string()))
}

/// What the kernel said inside the namespace.
struct Answers {
    settings: Settings,
    back: Option<Back>,
    marked: Option<Back>,
    has_address: Option<bool>,
    unknown: Vec<String>,
}

fn ask(packet: &Packet, interface: &str, source: Ipv4Addr, destination: Ipv4Addr) -> Answers {
    let mut unknown = Vec::new();
    let mut failed = 0;
    let settings = Settings::read(interface, |why| {
        failed += 1;
        unknown.extend((failed == 1).then_some(why));
    });
    if failed > 1 {
        unknown.push(format!("{} more settings of {interface}", failed - 1));
    }
    let input = packet.interface.index;
    let mark = if settings.src_valid_mark.is_on() { packet.mark } else { 0 };
    // An answer asked for by the device it comes in by is checked, and logged, itself.
    let forwarded = settings.log_martians.is_off().then_some(packet.mark);
    let with = |mark| Asked { source: source.into(), destination: Some(destination.into()), mark, input, forwarded };
    let is_looked_up = !is_never_a_source(source) && !source.is_loopback();
    let back = is_looked_up.then(|| back(&with(mark)));
    let hangs_on_mark = packet.mark != mark && back.as_ref().is_some_and(|back| back.looks_at_mark);
    let marked = hangs_on_mark.then(|| self::back(&with(packet.mark)));
    let has_address = neighbour::has_address(input).map_err(|error| unknown.push(format!("addresses: {error}"))).ok();
    Answers { settings, back, marked, has_address, unknown }
}

/// `ipv4_is_multicast`, `ipv4_is_lbcast` and `ipv4_is_zeronet` of `include/linux/in.h`; the last is 0.0.0.0 alone since 5.3.
pub const fn is_never_a_source(address: Ipv4Addr) -> bool {
    address.is_multicast() || address.is_broadcast() || address.is_unspecified()
}

fn neighbour(scene: &mut Scene<'_>, memory: &mut Memory, mac: Mac) -> Option<Ipv4Addr> {
    let index = scene.question.packet.interface.index;
    let key = (scene.question.netns.inode, index);
    let read = |scene: &mut Scene<'_>| scene.inside(|| neighbour::read(index));
    scene.recent(&mut memory.neighbours, "who the sender is", key, read)?.ok()?.find(mac)
}

/// The lines that set the decisive settings at boot: those of the initial network namespace only.
fn boot(scene: &mut Scene<'_>, memory: &mut Memory, settings: &Settings, interface: &str) -> Vec<SetBy> {
    let is_host = |host: HostNetns| host.inode == scene.question.netns.inode && host.proof != HostProof::Own;
    if !scene.host.host().is_some_and(is_host) {
        return Vec::new();
    }
    let Settings { rp_filter, accept_local, route_localnet, accept_source_route, .. } = settings;
    let mut found = Vec::new();
    for setting in [rp_filter, accept_local, route_localnet, accept_source_route] {
        let mut of = |whose: &str| {
            let path = setting.path(whose);
            scene.recent(&mut memory.boot, "what sets it at boot", path.clone(), |_| sysctl::set_by(&path)).flatten()
        };
        let all = of("all");
        // A device that no line is for begins with the value of `default`.
        let own = of(interface).or_else(|| of("default"));
        found.extend(all.into_iter().chain(own));
        // One pattern may be for both.
        found.dedup();
    }
    found
}
