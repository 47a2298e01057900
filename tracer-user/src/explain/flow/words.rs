//! Attempts, devices and namespaces in words, and commands with the namespace entered.

use std::net::{IpAddr, SocketAddr};

use crate::event::{Endpoint, Explanation, Flow};
use crate::explain::quoted;
use crate::flow::{Icmp, Pair, Point, Sighting, Story, Tuple};
use crate::host::{Netns, NetnsName};
use crate::node::socket::diag::TCP;

/// Devices that are told of in the evidence.
const MOST_SEEN: usize = 8;

pub(super) use crate::explain::node::socket::words::protocol;

pub(super) const fn is_tcp(story: &Story) -> bool {
    story.tuple.protocol == TCP
}

/// `6 SYNs`, `1 request`.
pub(super) fn opens(story: &Story) -> String {
    counted(story.attempts.max(1), opener(story))
}

pub(super) const fn opener(story: &Story) -> &'static str {
    if is_tcp(story) { "SYN" } else { "request" }
}

pub(super) const fn reply(story: &Story) -> &'static str {
    if is_tcp(story) { "SYN-ACK" } else { "reply" }
}

pub(crate) fn counted(count: u32, noun: &str) -> String {
    match (count, noun) {
        (1, noun) => format!("1 {noun}"),
        (count, "reply") => format!("{count} replies"),
        (count, noun) => format!("{count} {noun}s"),
    }
}

/// Whom it was for: `tcp 10.96.0.10:53 (translated to 10.244.3.7:5353)`.
pub(super) fn goal(story: &Story) -> String {
    whom(&protocol(story.tuple.protocol), story.tuple.server, real_server(story))
}

/// The same of an event: its place in the summary.
pub(crate) fn goal_of(flow: &Flow) -> Option<String> {
    let end = |end: &Endpoint| Some(SocketAddr::new(end.address?, end.port?));
    let server = end(&flow.destination)?;
    let translated = flow.translated.as_ref().and_then(|translated| end(&translated.destination));
    Some(whom(&flow.protocol, server, translated.unwrap_or(server)))
}

fn whom(protocol: &str, server: SocketAddr, real: SocketAddr) -> String {
    if real == server { format!("{protocol} {server}") } else { format!("{protocol} {server} (translated to {real})") }
}

/// The server after the last translation that was seen.
pub(super) fn real_server(story: &Story) -> SocketAddr {
    story.translated.map_or(story.tuple.server, |translated| translated.server)
}

/// `eth0 of the host`, `eth0 of namespace web`.
pub(super) fn device(point: &Point) -> String {
    format!("{} of {}", point.name, namespace(&point.netns))
}

pub(super) fn namespace(netns: &Netns) -> String {
    match &netns.name {
        NetnsName::Host => "the host".to_owned(),
        name => format!("namespace {name}"),
    }
}

/// A complete command for a namespace.
pub(super) fn within(netns: &Netns, command: &str) -> String {
    match netns.entry_command() {
        Some(entry) => format!("{entry} {command}"),
        None => command.to_owned(),
    }
}

/// The command that shows the packets of an attempt on a device.
pub(super) fn capture(point: &Point, tuple: &Tuple, peer: IpAddr) -> String {
    let icmp = if peer.is_ipv6() { "icmp6" } else { "icmp" };
    let (protocol, port) = (protocol(tuple.protocol), tuple.server.port());
    let command = format!("tcpdump -ni {} 'host {peer} and ({protocol} port {port} or {icmp})'", quoted(&point.name));
    within(&point.netns, &command)
}

pub(super) fn same(one: &Point, other: &Point) -> bool {
    (one.netns.inode, one.index) == (other.netns.inode, other.index)
}

/// What a device saw of it.
pub(super) fn sighting<'a>(story: &'a Story, at: &Point) -> Option<&'a Sighting> {
    story.sightings.iter().find(|(point, _)| same(point, at)).map(|(_, sighting)| sighting)
}

/// The ends as a device saw them.
pub(super) fn tuple_at(story: &Story, at: &Point) -> Tuple {
    sighting(story, at).map_or(story.translated.unwrap_or(story.tuple), |sighting| sighting.id.tuple)
}

/// The ICMP error that was seen first, with its device.
pub(super) fn icmp(story: &Story) -> Option<(&Point, Icmp)> {
    story.sightings.iter().find_map(|(point, sighting)| Some((&**point, sighting.icmp?)))
}

/// Who it was between and what each device saw of it, in the order of time.
pub(super) fn seen(story: &Story) -> Vec<String> {
    let mut facts = vec![format!("the client is {}", story.tuple.client)];
    if let Some(translated) = story.translated.filter(|translated| translated.client != story.tuple.client) {
        facts.push(format!("its source was translated to {}", translated.client));
    }
    facts.extend(story.sightings.iter().take(MOST_SEEN).map(|(point, sighting)| passed(story, point, sighting)));
    let left = story.sightings.len().saturating_sub(MOST_SEEN);
    facts.extend((left > 0).then(|| format!("{left} more interfaces saw it")));
    facts
}

/// `eth0 of the host: 6 SYNs left, no answer (from 0.0 s to 31.2 s)`.
fn passed(story: &Story, point: &Point, sighting: &Sighting) -> String {
    let mut parts = Vec::new();
    moved(&mut parts, sighting.opened, opener(story));
    moved(&mut parts, sighting.answers, reply(story));
    moved(&mut parts, sighting.server_resets, "RST of the server");
    moved(&mut parts, sighting.client_resets, "RST of the client");
    if let Some(icmp) = sighting.icmp {
        let way = if icmp.is_ingress { "came in" } else { "left" };
        parts.push(format!("{} of {} {way}", counted(icmp.count, "ICMP error"), icmp.from));
    } else if !sighting.answers.any() && !sighting.server_resets.any() {
        parts.push("no answer".to_owned());
    }
    let tunnel = sighting.tunnel.map(|tunnel| format!(" in {}", tunnel.as_str())).unwrap_or_default();
    let since = |time: u64| seconds(time.saturating_sub(story.first));
    let (first, last) = (since(sighting.id.first), since(sighting.last));
    let time = if first == last { format!("at {first}") } else { format!("from {first} to {last}") };
    format!("{}{tunnel}: {} ({time})", device(point), parts.join(", "))
}

fn moved(parts: &mut Vec<String>, pair: Pair, noun: &str) {
    let noun_of = |count: u32| match noun.split_once(" of ") {
        Some((what, whose)) => format!("{} of {whose}", counted(count, what)),
        None => counted(count, noun),
    };
    parts.extend((pair.ingress > 0).then(|| format!("{} came in", noun_of(pair.ingress))));
    parts.extend((pair.egress > 0).then(|| format!("{} left", noun_of(pair.egress))));
}

/// Nanoseconds as seconds.
pub(super) fn seconds(ns: u64) -> String {
    let tenths = ns / 100_000_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Adds what is not known, once.
pub(super) fn doubt(explanation: &mut Explanation, open: &str) {
    match &mut explanation.unknown {
        Some(known) if known.contains(open) => {}
        Some(known) => {
            known.push_str("; ");
            known.push_str(open);
        }
        none => *none = Some(open.to_owned()),
    }
}

/// Routers that a packet passed, if its TTL began at the next usual value (64, 128, 255).
pub(super) fn hops(ttl: u8) -> Option<u8> {
    let first = match ttl {
        0 => return None,
        1..=64 => 64,
        65..=128 => 128,
        _ => 255,
    };
    Some(first - ttl)
}
