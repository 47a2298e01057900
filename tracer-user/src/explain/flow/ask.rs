//! What is to be read of the node about a story, and in which namespace.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use tracer_common::{FAMILY_IPV4, FAMILY_IPV6, FlowKey};

use super::{dropped, refused, unconfirmed, words};
use crate::event::Interface;
use crate::flow::{Lost, Point, Story, Tuple};
use crate::host::Netns;
use crate::inquiry::Case;
use crate::node::{Packet, Question, Topic};

/// A packet that came in somewhere and was not followed any further.
struct Arrival<'a> {
    netns: &'a Arc<Netns>,
    cookie: u64,
    /// The device that it came in by; `None` if only the namespace is known.
    device: Option<&'a Point>,
    tuple: Tuple,
    is_answer: bool,
}

/// What is to be read of the node's state about a story; `None` if nothing would tell more.
pub fn wanted(story: &Story) -> Option<Question> {
    if dropped::decisive(story).is_some() {
        return None;
    }
    if let Some(rejection) = &story.rejection {
        let netns = refused::refuser(story, rejection)?;
        return Some(question(story, &arrival(story, netns)));
    }
    let arrival = match story.lost.as_ref()? {
        Lost::InPod { at } => {
            let netns = at.leads_to.as_ref()?;
            Arrival { netns, cookie: 0, device: None, tuple: words::tuple_at(story, at), is_answer: false }
        }
        Lost::InNetns { at } | Lost::Between { from: at } => came_in(story, at, false),
        Lost::Answer { from: at } | Lost::AnswerElsewhere { answered: at, .. } => came_in(story, at, true),
        Lost::Unconfirmed { at } => arrival(story, unconfirmed::server(story, at)?),
        Lost::AfterNode { .. } | Lost::LargeSegments { .. } => return None,
    };
    Some(question(story, &arrival))
}

fn came_in<'a>(story: &Story, at: &'a Arc<Point>, is_answer: bool) -> Arrival<'a> {
    let seen = words::tuple_at(story, at);
    // Where the node took the client's place, the answer goes on to the client itself.
    let tuple = if is_answer { Tuple { client: story.tuple.client, ..seen } } else { seen };
    let cookie = words::sighting(story, at).map_or(0, |sighting| sighting.netns_cookie);
    Arrival { netns: &at.netns, cookie, device: Some(at), tuple, is_answer }
}

/// What came to the namespace that refused, as its last device saw it.
fn arrival<'a>(story: &Story, netns: &'a Arc<Netns>) -> Arrival<'a> {
    let handed = story.sightings.iter().rev().find(|(point, _)| {
        point.leads_to.as_ref().is_some_and(|to| to.inode == netns.inode) || point.netns.inode == netns.inode
    });
    let tuple = handed.map_or(story.translated.unwrap_or(story.tuple), |(_, sighting)| sighting.id.tuple);
    Arrival { netns, cookie: 0, device: None, tuple, is_answer: false }
}

fn question(story: &Story, arrival: &Arrival<'_>) -> Question {
    let Arrival { netns, cookie, device, tuple, is_answer } = arrival;
    let (from, to) = if *is_answer { (tuple.server, tuple.client) } else { (tuple.client, tuple.server) };
    let index = device.map_or(0, |device| device.index);
    let name = device.map(|device| device.name.clone());
    let packet = Packet {
        source: Some(from.ip()),
        destination: Some(to.ip()),
        protocol: Some(tuple.protocol),
        // Without ports it is an answer: nobody listens for it.
        source_port: (!is_answer).then_some(from.port()),
        destination_port: (!is_answer).then_some(to.port()),
        interface: Interface { index, name },
        came_in_by: index,
        ..Packet::default()
    };
    let flow = FlowKey {
        location: 0,
        netns: netns.inode,
        reason: tracer_common::NO_REASON,
        ifindex: index,
        port: tuple.server.port(),
        protocol: tuple.protocol,
        family: if from.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 },
        source: as_words(from.ip()),
        destination: as_words(to.ip()),
    };
    // An attempt is told from drops of the same packets.
    let mut hasher = DefaultHasher::new();
    ("attempt", is_answer).hash(&mut hasher);
    let case = Case { flow, fingerprint: hasher.finish(), netns_cookie: *cookie };
    let netns = Netns::clone(netns);
    Question { case, topic: Topic::Silence, netns, netns_cookie: *cookie, packet, time: story.last }
}

/// As the kernel's programs have addresses.
fn as_words(address: IpAddr) -> [u32; 4] {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(octets.chunks_exact(4)) {
        *word = bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    }
    words
}
