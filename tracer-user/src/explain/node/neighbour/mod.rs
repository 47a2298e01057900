//! The next hop did not answer, too many packets waited for it, or no entry could be made for it.
//!
//! Rule: the event says which of the three it was; the tables, read a moment later, say for whom. Where they say the
//! contrary by now, that is said too.

mod answer;
mod full;
mod queue;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use super::command;
use crate::event::{Explanation, Route};
use crate::explain::{Observation, quoted};
use crate::node::neighbour::hop::NextHop;
use crate::node::neighbour::{Lookup, Neighbours};

/// What happened at the neighbour tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    NoAnswer,
    QueueFull,
    NoEntry,
}

impl Failure {
    fn of(drop: &Observation<'_>) -> Option<Self> {
        match drop.reason {
            Some("NEIGH_FAILED" | "NEIGH_DEAD") => return Some(Self::NoAnswer),
            Some("NEIGH_QUEUEFULL") => return Some(Self::QueueFull),
            Some("NEIGH_CREATEFAIL") => return Some(Self::NoEntry),
            _ => {}
        }
        match drop.symbol() {
            "neigh_invalidate" | "arp_error_report" | "ndisc_error_report" | "ipv4_link_failure" => {
                Some(Self::NoAnswer)
            }
            "__neigh_event_send" => Some(Self::QueueFull),
            _ => None,
        }
    }
}

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &Neighbours, drop: &Observation<'_>) {
    if drop.reason == Some("IPV6_NDISC_HOP_LIMIT") {
        return from_beyond(explanation, drop);
    }
    let (Some(failure), Some(hop)) = (Failure::of(drop), &state.hop) else { return };
    if failure == Failure::NoAnswer
        && let Lookup::Found(found) = &state.entry
        && !found.is_unanswered()
    {
        // It answers again, or the packet went another way: then it would be wrong to blame this one.
        let (address, name) = (hop.address, &hop.device_name);
        let now = format!("the route leads to {address} on {name} now, whose entry is {}: it answers", found.state);
        return super::doubt(explanation, now);
    }
    explanation.route = hop.route.as_ref().map(|route| Route { text: route.text.clone(), table: route.table.clone() });
    explanation.evidence.push(way(hop));
    match failure {
        Failure::NoAnswer => answer::refine(explanation, state, hop, drop),
        Failure::QueueFull => queue::refine(explanation, state, hop, drop),
        Failure::NoEntry => full::refine(explanation, state, hop, drop),
    }
}

/// Neighbour discovery with a hop limit below 255 came through a router, or somebody pretends (RFC 4861 section 7.1).
fn from_beyond(explanation: &mut Explanation, drop: &Observation<'_>) {
    let Some(hops) = drop.ttl else { return };
    let from = drop.source.map(|source| format!(" from {source}")).unwrap_or_default();
    explanation.summary = format!(
        "a neighbour discovery message{from} has hop limit {hops}, it must have 255: it was forwarded or forged"
    );
    explanation.evidence.push(format!("its hop limit is {hops}"));
}

/// How the packet's destination leads to the next hop.
fn way(hop: &NextHop) -> String {
    let route = hop.route.as_ref().map(|route| {
        let table = route.table.as_deref().unwrap_or("main");
        format!("the route {} of table {table} leads to it", route.text)
    });
    let kind = if hop.is_gateway { "the gateway" } else { "the destination itself, on its own link," };
    let route = route.unwrap_or_else(|| "the routing table leads to it".to_owned());
    format!("{route}: the next hop is {kind} {} on {}", hop.address, hop.device_name)
}

/// What asks for a link-layer address in this family.
const fn questions(hop: &NextHop) -> &'static str {
    if hop.address.is_ipv4() { "ARP" } else { "neighbour solicitations" }
}

/// `ip` of the next hop's family.
const fn ip(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip -6" }
}

/// The state of the entry in words for the summary: ` (entry FAILED)`.
fn state(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Found(entry) if entry.is_unanswered() => format!(" (entry {})", entry.state),
        _ => String::new(),
    }
}

/// What the entry says now, or that there is none.
fn entry(explanation: &mut Explanation, state: &Neighbours, hop: &NextHop) {
    let NextHop { address, device_name: name, .. } = hop;
    match &state.entry {
        Lookup::Absent => {
            super::doubt(explanation, format!("the entry of {address} on {name} was gone when it was read"));
        }
        Lookup::Found(found) if found.is_unanswered() => {
            let who = if found.is_external { ", put there by another program (extern_learn)" } else { "" };
            explanation.evidence.push(format!("the neighbour entry of {address} on {name} is {}{who}", found.state));
        }
        Lookup::NotRead | Lookup::Found(_) => {}
    }
}

/// How many neighbours the namespace has, and how many of them do not answer.
fn counts(explanation: &mut Explanation, state: &Neighbours, hop: &NextHop) {
    let Some(counts) = &state.counts else { return };
    let family = if hop.address.is_ipv4() { "IPv4" } else { "IPv6" };
    explanation.evidence.push(format!(
        "the namespace has {} {family} neighbour entries: {} FAILED, {} INCOMPLETE",
        counts.all, counts.failed, counts.incomplete
    ));
}

/// Commands that show the entry and the way, safest first.
fn looks(hop: &NextHop, drop: &Observation<'_>) -> Vec<String> {
    let (ip, name) = (ip(hop.address), quoted(&hop.device_name));
    let mut looks = vec![command(drop, &format!("{ip} neigh show {} dev {name}", hop.address))];
    if let Some(destination) = drop.destination {
        let ip = self::ip(destination);
        looks.push(command(drop, &format!("{ip} route get {destination}")));
    }
    looks
}
