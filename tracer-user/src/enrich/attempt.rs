//! From stories and queries to `flow` and `dns` events, and from a `drop` event to the attempts that it is a packet of.

use std::net::SocketAddr;

use crate::decode::protocol;
use crate::event::{
    Conntrack, ConntrackEnd, Direction, Dns, Drop, Endpoint, Explanation, Flow, Interface, Netns, Packet, QueryOutcome,
    Seen, SeenPacket, Severity, Translated,
};
use crate::flow::{DropSeen, Pair, Story, Tuple, dns};
use crate::host::{self, Clock};

/// The event of an attempt; one that went well needs no explanation.
pub fn flow(story: &Story, clock: &Clock, explanation: impl Into<Option<Explanation>>) -> Flow {
    let time = |ns| rfc3339(clock, ns);
    Flow {
        time: time(story.last),
        outcome: story.outcome,
        protocol: protocol::name(story.tuple.protocol),
        source: end(story.tuple.client),
        destination: end(story.tuple.server),
        translated: story
            .translated
            .map(|tuple| Translated { source: end(tuple.client), destination: end(tuple.server) }),
        attempts: u64::from(story.attempts),
        first: time(story.first),
        last: time(story.last),
        rtt_us: story.rtt.map(|ns| ns / 1000),
        seen: seen(story, clock),
        explanation: explanation.into(),
    }
}

/// The event of a DNS transaction.
pub fn dns(query: &dns::Query, clock: &Clock, explanation: Option<Explanation>) -> Dns {
    let search = query.search.as_ref();
    Dns {
        time: rfc3339(clock, query.first),
        query: query.question.name.clone(),
        kind: query.question.kind.clone(),
        outcome: query.outcome,
        rcode: query.rcode.map(dns::rcode_name),
        no_answer: query.outcome == QueryOutcome::NoAnswer,
        latency_us: query.latency.map(|ns| ns / 1000),
        attempts: u64::from(query.attempts),
        protocol: protocol::name(query.tuple.protocol),
        client: end(query.tuple.client),
        server: end(query.tuple.server),
        translated: query.translated.map(|tuple| end(tuple.server)),
        netns: netns(&query.at.netns),
        client_netns: query.client_netns().map(netns),
        search: search.map(|search| search.base.clone()),
        wasted: search.map(|search| u64::from(search.wasted)),
        explanation,
    }
}

/// The attempts that a dropped packet may be of: as it was at the drop, and before translation; as a packet of the client, and
/// as one of the server. A port is 0 where it is not known: the client's also where the line comes from the counts or stands
/// for several packets, which need not be of one connection. `time` is `CLOCK_MONOTONIC`, ns; none for the counts.
pub fn drops_of_attempts(drop: &Drop, time: Option<u64>) -> Vec<(Tuple, DropSeen)> {
    let Some(packet) = ends(&drop.packet).filter(|_| drop.severity != Severity::Noise) else { return Vec::new() };
    let mut tuples = vec![(packet, false), (packet.reversed(), true)];
    tuples.extend(drop.conntrack.as_ref().and_then(|conntrack| original(conntrack, packet)));
    // Of a flow that was only counted one port is known: the service's.
    tuples.retain(|(tuple, _)| tuple.server.port() != 0);
    if drop.count > 1 || time.is_none() {
        let any_port = |(tuple, is_answer): &(Tuple, bool)| {
            let client = SocketAddr::new(tuple.client.ip(), 0);
            (Tuple { client, ..*tuple }, *is_answer)
        };
        let more: Vec<_> = tuples.iter().map(any_port).collect();
        tuples.extend(more);
    }
    let time = time.unwrap_or(0);
    let mut seen: Vec<(Tuple, DropSeen)> = Vec::with_capacity(tuples.len());
    for (tuple, is_answer) in tuples {
        if seen.iter().any(|(other, drop)| *other == tuple && drop.is_answer == is_answer) {
            continue;
        }
        let (netns, explanation) = (drop.netns.clone(), drop.explanation.clone());
        let at_drop = if is_answer { packet.reversed() } else { packet };
        seen.push((tuple, DropSeen { netns, time, count: drop.count, is_answer, tuple: at_drop, explanation }));
    }
    seen
}

/// The tuple of the packet's connection before translation, and whether the packet is one of the server's. `None` for an error
/// message about a connection.
fn original(conntrack: &Conntrack, packet: Tuple) -> Option<(Tuple, bool)> {
    let (original, reply) = (conntrack.original.as_ref()?, conntrack.reply.as_ref()?);
    if number(&original.protocol)? != packet.protocol {
        return None;
    }
    let end = |end: &ConntrackEnd| SocketAddr::new(end.address, end.port.unwrap_or(0));
    let tuple = Tuple { protocol: packet.protocol, client: end(&original.source), server: end(&original.destination) };
    let is_same = |one: SocketAddr, other: SocketAddr| {
        one.ip() == other.ip() && (one.port() == other.port() || one.port() == 0 || other.port() == 0)
    };
    // The server's side, as it is and as the client knows it; and the client's.
    let is_servers = is_same(packet.client, end(&reply.source)) || is_same(packet.client, tuple.server);
    let is_clients = is_same(packet.client, tuple.client) || is_same(packet.client, end(&reply.destination));
    Some((tuple, is_servers && !is_clients))
}

/// Both ends of a packet as if its sender had begun; a port is 0 where it is not known. `None` if there is no attempt that it
/// could be of.
pub fn ends(packet: &Packet) -> Option<Tuple> {
    let end = |end: &Endpoint| Some(SocketAddr::new(end.address?, end.port.unwrap_or(0)));
    let protocol = number(&packet.protocol)?;
    Some(Tuple { protocol, client: end(&packet.source)?, server: end(&packet.destination)? })
}

/// The protocols that attempts are watched of.
fn number(name: &str) -> Option<u8> {
    [protocol::TCP, protocol::UDP].into_iter().find(|number| protocol::name(*number) == name)
}

/// What the devices saw, in the order of time.
fn seen(story: &Story, clock: &Clock) -> Vec<Seen> {
    let mut all: Vec<(u64, Seen)> = Vec::new();
    for (point, sighting) in &story.sightings {
        let answered = sighting.answered.unwrap_or(sighting.last);
        let icmp = sighting.icmp.map_or_else(Pair::default, |icmp| {
            let (ingress, egress) = if icmp.is_ingress { (icmp.count, 0) } else { (0, icmp.count) };
            Pair { ingress, egress }
        });
        let kinds = [
            (SeenPacket::Open, sighting.opened, sighting.id.first),
            (SeenPacket::Answer, sighting.answers, answered),
            (SeenPacket::ClientReset, sighting.client_resets, sighting.last),
            (SeenPacket::ServerReset, sighting.server_resets, sighting.last),
            (SeenPacket::Icmp, icmp, sighting.last),
        ];
        for (packet, pair, time) in kinds {
            for (direction, count) in [(Direction::Ingress, pair.ingress), (Direction::Egress, pair.egress)] {
                if count > 0 {
                    let seen = Seen {
                        netns: netns(&point.netns),
                        interface: Interface { index: point.index, name: Some(point.name.clone()) },
                        direction,
                        packet,
                        count: u64::from(count),
                        time: rfc3339(clock, time),
                        tunnel: sighting.tunnel.map(|tunnel| tunnel.as_str().to_owned()),
                    };
                    all.push((time, seen));
                }
            }
        }
    }
    all.sort_by_key(|(time, _)| *time);
    all.into_iter().map(|(_, seen)| seen).collect()
}

fn rfc3339(clock: &Clock, monotonic: u64) -> String {
    humantime::format_rfc3339_nanos(clock.wall(monotonic)).to_string()
}

fn netns(netns: &host::Netns) -> Netns {
    Netns { inode: netns.inode, name: Some(netns.name.to_string()), pod: None }
}

fn end(address: SocketAddr) -> Endpoint {
    Endpoint::at(address.ip(), Some(address.port()))
}

#[cfg(test)]
mod tests;
