//! Whether a packet's destination was another one before: a Service's address, or a published port.
//!
//! Rule: what connection tracking has of this very connection comes first, that of the packet's own namespace before
//! that of others; then the rules that lead there. Namespaces are entered only within [`BUDGET`], and over time looking
//! is bounded by an allowance.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracer_netfilter::conntrack::{self, ConntrackError};
use tracer_netfilter::packet;

use super::ipvs;
use super::nat::{self, Lead};
use crate::decode::Tuple;
use crate::host::{Netns, enter};
use crate::node::recent::Allowance;
use crate::node::{Scene, sysctl};

/// How long one search may take.
const BUDGET: Duration = Duration::from_millis(200);
/// Namespaces that are asked at most; the host's is always the first.
const MOST_NAMESPACES: usize = 512;

/// Where a packet was sent before its destination was translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// What the client asked for; the address is absent for "any address of that machine".
    pub asked: Option<SocketAddr>,
    /// Who asked, where that is another than the packet's source.
    pub client: Option<SocketAddr>,
    pub seen: Seen,
    /// The namespace that translated it: its name; `None` for the packet's own.
    pub by: Option<String>,
    /// How a command is run there: `nsenter --net=PATH`; `None` where it needs no prefix.
    pub entry: Option<String>,
}

/// How a translation is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Connection tracking has this connection.
    Connection,
    /// A rule leads there; which packets took it is not known.
    Rule(Lead),
}

/// Bounds what searches cost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    allowance: Allowance,
    rules: nat::Cache,
}

/// Looks for the destination before translation; what could not be asked is noted in the scene.
pub(super) fn find(
    scene: &mut Scene<'_>,
    source: SocketAddr,
    destination: SocketAddr,
    memory: &mut Memory,
) -> Option<Translation> {
    if let Some(found) = of_packet(scene, source, destination) {
        return Some(found);
    }
    let Memory { allowance, rules } = memory;
    let found = allowance.spend(|| elsewhere(scene, source, destination, rules));
    found.unwrap_or_else(|| {
        scene.unknown.push("whether a Service leads there: many such packets are asked about already".to_owned());
        None
    })
}

/// What the packet itself carries: its own namespace translated it.
fn of_packet(scene: &Scene<'_>, source: SocketAddr, destination: SocketAddr) -> Option<Translation> {
    let connection = scene.question.packet.dropped.as_ref()?.connection()?;
    let (asked, client) = before(&connection.original, source, destination)?;
    Some(Translation { asked: Some(asked), client, seen: Seen::Connection, by: None, entry: None })
}

/// The destination and client of a connection's first packet, if its destination is another now.
fn before(original: &Tuple, source: SocketAddr, destination: SocketAddr) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let asked = SocketAddr::new(original.destination, original.destination_port);
    let client = SocketAddr::new(original.source, original.source_port);
    // A packet of the other direction is no request.
    let is_request = client.ip() == source.ip() || asked.ip() != source.ip();
    (asked != destination && is_request).then(|| (asked, (client != source).then_some(client)))
}

/// Asks other namespaces, the host's first.
fn elsewhere(
    scene: &mut Scene<'_>,
    source: SocketAddr,
    destination: SocketAddr,
    rules: &mut nat::Cache,
) -> Option<Translation> {
    let protocol = scene.question.packet.protocol?;
    let own = scene.question.netns.inode;
    let facts = scene.host;
    let host = facts.host().map(|host| host.inode);
    let mut others: Vec<&Netns> = facts.namespaces().filter(|netns| netns.inode != own).collect();
    others.sort_by_key(|netns| (Some(netns.inode) != host, netns.inode));
    let left = others.len().saturating_sub(MOST_NAMESPACES);
    others.truncate(MOST_NAMESPACES);

    // Answers come from where the packet goes to: so the connection is found although its first packet was another.
    let reply = packet::Tuple {
        source: destination.ip(),
        destination: source.ip(),
        protocol,
        source_port: destination.port(),
        destination_port: source.port(),
    };
    let deadline = Instant::now() + BUDGET;
    let asked = enter::each(&others, deadline, |_| Ok((original(&reply), forwards(destination))));
    let cut = others.len().saturating_sub(asked.len()) + left;
    let hit = asked.iter().find_map(|(inode, answer)| {
        let original = answer.as_ref().ok()?.0.as_ref().ok()?.as_ref()?;
        Some((*inode, before(original, source, destination)?))
    });
    let found = |inode: u32, asked: Option<SocketAddr>, client: Option<SocketAddr>, seen: Seen| {
        let netns = facts.netns(inode);
        let (by, entry) = (netns.map(|netns| netns.name.to_string()), netns.and_then(Netns::entry_command));
        Translation { asked, client, seen, by, entry }
    };
    if let Some((inode, (asked, client))) = hit {
        return Some(found(inode, Some(asked), client, Seen::Connection));
    }
    // A connection that was refused is forgotten at once, so what would have sent it there is asked.
    // Only a namespace that forwards can have done it.
    let forwarders: Vec<u32> = asked
        .iter()
        .filter(|(_, answer)| answer.as_ref().is_ok_and(|answer| answer.1))
        .map(|(inode, _)| *inode)
        .collect();
    others.retain(|netns| forwarders.contains(&netns.inode));
    let deadline = Instant::now() + BUDGET;
    let lead = ipvs::find(&others, deadline, protocol, destination)
        .or_else(|| rules.find(scene, &others, deadline, protocol, destination));
    let translation = lead.map(|(inode, lead)| found(inode, lead.asked, None, Seen::Rule(lead)));
    if translation.is_none() && cut > 0 {
        scene.unknown.push(format!("whether {cut} other namespaces lead there: there are too many to ask at once"));
    }
    translation
}

/// The first packet's tuple of the connection that has such answers, in the calling thread's namespace.
fn original(reply: &packet::Tuple) -> Result<Option<Tuple>, ConntrackError> {
    let entry = conntrack::find(reply, None)?;
    Ok(entry.map(|entry| {
        let packet::Tuple { source, destination, source_port, destination_port, protocol } = entry.original;
        Tuple { source, destination, protocol, source_port, destination_port }
    }))
}

/// Whether the calling thread's namespace forwards packets of the destination's family.
fn forwards(destination: SocketAddr) -> bool {
    let setting = if destination.is_ipv4() { "net/ipv4/ip_forward" } else { "net/ipv6/conf/all/forwarding" };
    sysctl::read(setting).is_ok_and(|value| value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str) -> Tuple {
        let (source, destination): (SocketAddr, SocketAddr) = (source.parse().unwrap(), destination.parse().unwrap());
        Tuple {
            source: source.ip(),
            destination: destination.ip(),
            protocol: 6,
            source_port: source.port(),
            destination_port: destination.port(),
        }
    }

    #[test]
    fn only_another_destination_is_a_translation() {
        let (source, destination) = ("10.0.0.1:999".parse().unwrap(), "10.244.1.5:6443".parse().unwrap());
        let through = |original: &Tuple| before(original, source, destination);
        assert_eq!(through(&tuple("10.0.0.1:999", "10.244.1.5:6443")), None);
        let service = through(&tuple("10.0.0.1:999", "10.96.0.1:443"));
        assert_eq!(service, Some(("10.96.0.1:443".parse().unwrap(), None)));
        let hidden = through(&tuple("192.0.2.7:5555", "203.0.113.1:30443"));
        let client = Some("192.0.2.7:5555".parse().unwrap());
        assert_eq!(hidden, Some(("203.0.113.1:30443".parse().unwrap(), client)), "the node took the client's place");
        let answer = through(&tuple("10.244.1.5:6443", "10.0.0.1:999"));
        assert_eq!(answer, None, "an answer of a connection the other way");
    }
}
