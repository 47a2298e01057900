//! A packet is larger than what comes next.
//!
//! Rule: the limit that is blamed is one that was read and that the packet's own header exceeds; where it fits by now,
//! what the event says stands, and that is said.

mod limit;
mod remedy;
#[cfg(test)]
mod tests;

use limit::{By, Limit};

use super::{command, doubt};
use crate::event::{Cause, Confidence, Explanation, Route, Sysctl};
use crate::explain::{Observation, quoted};
use crate::host::Interface;
use crate::node::mtu::Mtu;
use crate::node::neighbour::link::Peer;

/// What a veth lets through beside its MTU: an Ethernet header and a VLAN tag (`is_skb_forwardable`,
/// `net/core/dev.c`). The packet's length is without its Ethernet header, so one tag is left. Bytes.
const VLAN_TAG: u32 = 4;

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &Mtu, drop: &Observation<'_>) {
    if drop.symbol().contains("dev_forward") || drop.symbol().contains("veth") {
        if let (Some(device), Some(peer)) = (&state.device, &state.peer) {
            other_end(explanation, state, device, peer, drop);
        }
        return;
    }
    let Some(limit) = Limit::of(state, drop.is_ipv6()) else { return };
    explanation.evidence.push(limit.fact(state));
    if state.shape.dont_fragment {
        explanation.evidence.push("its header says that it must not be fragmented (DF)".to_owned());
    }
    let length = state.shape.length;
    if length > 0 && length <= limit.mtu {
        let now = format!(
            "{length} bytes fit through {} ({}) now: it was smaller then, or something on the way (IPsec) takes room",
            limit.device,
            limit.says()
        );
        return doubt(explanation, now);
    }
    if let Some(from) = state.came_in_by.as_ref().filter(|from| length > from.mtu) {
        let joined = format!("it came by {} with MTU {}: several segments were received as one", from.name, from.mtu);
        explanation.evidence.push(joined);
    }
    blame(explanation, state, &limit, drop);
}

fn blame(explanation: &mut Explanation, state: &Mtu, limit: &Limit, drop: &Observation<'_>) {
    let whole = match (drop.is_ipv6(), state.shape.dont_fragment) {
        (true, _) => ", and routers do not fragment IPv6",
        (false, true) => " and DF is set",
        (false, false) => "",
    };
    let size = if state.shape.length > 0 { format!("{} bytes do", state.shape.length) } else { "it does".to_owned() };
    explanation.summary = format!("{size} not fit through {} ({}){whole}", limit.device, limit.says());
    let is_told = drop.reason == Some("PKT_TOO_BIG") || drop.symbol().contains("fragment");
    if state.shape.length > limit.mtu {
        let sure = if is_told { Confidence::Certain } else { Confidence::Derived };
        explanation.confidence = explanation.confidence.min(sure);
    }
    if let Some(route) = state.hop.as_ref().and_then(|hop| hop.route.as_ref()) {
        let mtu = route.mtu.map(|mtu| format!(" mtu {}{mtu}", if route.mtu_locked { "lock " } else { "" }));
        let text = format!("{}{}", route.text, mtu.unwrap_or_default());
        explanation.route = Some(Route { text, table: route.table.clone() });
    }
    if limit.by == By::Ipv6Setting {
        let (name, value) = (limit.setting(), limit.mtu.to_string());
        explanation.sysctl = Some(vec![Sysctl { name, value: value.clone(), effective: value }]);
    }
    explanation.remedy = remedy::of(state, limit, drop);
}

/// The other end is down: a virtual link refuses that, and what is too large, and nothing else (`is_skb_forwardable`).
/// Until the kernel has taken the carrier off our end, up to a second later, packets still come so far.
fn down(explanation: &mut Explanation, device: &Interface, peer: &Peer, fits: Option<u32>, drop: &Observation<'_>) {
    let place = peer.place();
    explanation.cause = Cause::Device;
    explanation.evidence.extend(fits.map(|length| format!("{length} bytes are not too large for {place}")));
    if peer.interface.is_up() {
        explanation.summary = format!("the other end of {}, {place}, was down", device.name);
        explanation.confidence = Confidence::Inferred;
        doubt(explanation, format!("how it came: {place} is up by now, with room for this packet"));
    } else {
        explanation.summary = format!("the other end of {}, {place}, is down", device.name);
        explanation.confidence = Confidence::Derived;
        explanation.evidence.push(format!("{place} is down"));
    }
    let name = quoted(&peer.interface.name);
    explanation.remedy = vec![
        command(drop, &format!("ip -d link show dev {}", quoted(&device.name))),
        peer.command(&format!("ip link set dev {name} up")),
    ];
}

/// The two ends of a virtual link differ.
fn other_end(explanation: &mut Explanation, state: &Mtu, device: &Interface, peer: &Peer, drop: &Observation<'_>) {
    let (length, place) = (state.shape.length, peer.place());
    let (ours, theirs) = (device.mtu, peer.interface.mtu);
    explanation.evidence.push(format!("the MTU of {} is {ours}", device.name));
    explanation.evidence.push(format!("the MTU of {place}, its other end, is {theirs}"));
    let fits = length > 0 && length <= theirs.saturating_add(VLAN_TAG);
    if fits || !peer.interface.is_up() {
        return down(explanation, device, peer, fits.then_some(length), drop);
    }
    explanation.summary = format!(
        "{length} bytes do not fit through the other end of {0}: {place} has MTU {theirs}, {0} has {ours}",
        device.name
    );
    explanation.confidence = Confidence::Certain;
    let set = |name: &str, mtu: u32| format!("ip link set dev {} mtu {mtu}", quoted(name));
    let mut remedy = vec![
        command(drop, &format!("ip -d link show dev {}", quoted(&device.name))),
        peer.command(&format!("ip -d link show dev {}", quoted(&peer.interface.name))),
    ];
    if ours > theirs {
        remedy.push(peer.command(&set(&peer.interface.name, ours)));
        remedy.push(command(drop, &set(&device.name, theirs)));
    } else {
        // The sender is beyond our own MTU too: a large packet that was not made for this link.
        remedy.push(peer.command(&set(&peer.interface.name, length)));
    }
    explanation.remedy = remedy;
}
