//! From stories and queries to `flow` and `dns` events, and from a `drop` event to the attempts that it is a packet of.

use std::net::SocketAddr;

use crate::decode::protocol;
use crate::event::{Dns, Drop, Endpoint, Explanation, Flow, Netns, QueryOutcome};
use crate::flow::{DropSeen, Story, Tuple, dns};
use crate::host::{self, Clock};

/// The event of an attempt.
pub fn flow(story: &Story, clock: &Clock, explanation: Explanation) -> Flow {
    let time = |ns| humantime::format_rfc3339_nanos(clock.wall(ns)).to_string();
    Flow {
        time: time(story.last),
        outcome: story.outcome,
        protocol: protocol::name(story.tuple.protocol),
        source: end(story.tuple.client),
        destination: end(story.tuple.server),
        translated: None,
        attempts: u64::from(story.attempts),
        first: time(story.first),
        last: time(story.last),
        rtt_us: story.rtt.map(|ns| ns / 1000),
        seen: Vec::new(),
        explanation: Some(explanation),
    }
}

/// The event of a DNS transaction.
pub fn dns(query: &dns::Query, clock: &Clock, explanation: Option<Explanation>) -> Dns {
    let search = query.search.as_ref();
    Dns {
        time: humantime::format_rfc3339_nanos(clock.wall(query.first)).to_string(),
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

/// The attempts that a dropped packet may be of: as it was at the drop, and before translation.
pub fn drops_of_attempts(_drop: &Drop, _time: u64) -> Vec<(Tuple, DropSeen)> {
    Vec::new()
}

fn netns(netns: &host::Netns) -> Netns {
    Netns { inode: netns.inode, name: Some(netns.name.to_string()) }
}

fn end(address: SocketAddr) -> Endpoint {
    Endpoint { address: Some(address.ip()), port: Some(address.port()), unknown_why: None }
}
