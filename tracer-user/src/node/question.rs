//! What the event line wants to know about one drop.

use std::net::IpAddr;

use super::Topic;
use crate::decode::Dropped;
use crate::event::Interface;
use crate::explain::Observation;
use crate::host::Netns;
use crate::inquiry::Case;

/// One question. It owns all it needs: the line goes on meanwhile.
#[derive(Clone, Debug)]
pub struct Question {
    pub case: Case,
    pub topic: Topic,
    pub netns: Netns,
    /// Tells it from another one with the same number; 0 if unknown.
    pub netns_cookie: u64,
    pub packet: Packet,
    /// When it was dropped, `CLOCK_MONOTONIC` ns; 0 for packets that were only counted, whose flow goes on.
    pub time: u64,
}

/// The packet as far as the event tells. Unknown is `None`, empty or 0.
#[derive(Clone, Debug, Default)]
pub struct Packet {
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub protocol: Option<u8>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    /// The device that it was on when it was dropped (`skb->dev`).
    pub interface: Interface,
    /// Index of the device it came in by; 0 for a local packet.
    pub came_in_by: u32,
    /// Index of the device that its route leads to; 0 before it has a route.
    pub goes_out_by: u32,
    pub mark: u32,
    /// `skb->len`, bytes.
    pub length: u32,
    /// The function that freed it, without suffixes.
    pub symbol: String,
    /// The kernel's drop reason, if it gives any.
    pub reason: Option<String>,
    /// The event itself; `None` for packets that were only counted.
    pub dropped: Option<Box<Dropped>>,
}

impl Packet {
    pub fn new(drop: &Observation<'_>, interface: &Interface, dropped: Option<&Dropped>) -> Self {
        let event = dropped.map(|dropped| &dropped.event);
        Self {
            source: drop.source,
            destination: drop.destination,
            protocol: drop.protocol,
            source_port: drop.source_port,
            destination_port: drop.destination_port,
            interface: interface.clone(),
            came_in_by: event.map_or(0, |event| event.in_ifindex),
            goes_out_by: event.map_or(0, |event| event.out_ifindex),
            mark: event.map_or(0, |event| event.mark),
            length: event.map_or(0, |event| event.length),
            symbol: drop.symbol().to_owned(),
            reason: drop.reason.map(str::to_owned),
            dropped: dropped.cloned().map(Box::new),
        }
    }

    /// Whether it is an IPv6 packet.
    pub const fn is_ipv6(&self) -> bool {
        matches!((self.destination, self.source), (Some(IpAddr::V6(_)), _) | (None, Some(IpAddr::V6(_))))
    }
}
