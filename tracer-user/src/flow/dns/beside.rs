//! What is seen beside the transactions and belongs to them: ICMP errors, TCP connections to resolvers, drops.
//!
//! Rule: bounded in number and time; the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::query::TcpFailure;
use crate::flow::{DropSeen, Icmp, Rejection, Sighting, Tuple};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Resolvers listen there.
const PORT: u16 = 53;

/// Of each kind, some 200 bytes each; a drop with its explanation some KiB.
const MOST: usize = 4096;
const MOST_DROPS: usize = 512;

/// How long something may belong to a query, ns.
const KEPT: u64 = 60_000_000_000;

/// How long an answer over TCP may take to begin, ns: a SYN is sent again after one second and after three.
const TCP_PATIENCE: u64 = 4_000_000_000;

/// A drop may have been noted before the first device saw the query, ns.
const BEFORE: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Beside {
    icmp: HashMap<Tuple, (u64, Icmp)>,
    tcp: HashMap<(IpAddr, SocketAddr), Tcp>,
    drops: VecDeque<(u64, Tuple, DropSeen)>,
}

/// Connections of one client to one resolver: the last packets of each kind, `CLOCK_MONOTONIC` ns.
#[derive(Clone, Copy, Debug, Default)]
struct Tcp {
    last: u64,
    answered: Option<u64>,
    reset: Option<u64>,
}

impl Beside {
    /// Takes what was seen of an attempt, if it is one to a resolver.
    pub(super) fn add(&mut self, seen: &Sighting) {
        let tuple = seen.original.unwrap_or(seen.id.tuple);
        if tuple.server.port() != PORT && seen.id.tuple.server.port() != PORT {
            return;
        }
        match tuple.protocol {
            UDP => {
                let Some(icmp) = seen.icmp.filter(|icmp| !icmp.quotes_server) else { return };
                for tuple in [tuple, seen.id.tuple] {
                    if self.icmp.len() < MOST {
                        self.icmp.insert(tuple, (seen.last, icmp));
                    }
                }
            }
            TCP => self.add_tcp(tuple, seen),
            _ => {}
        }
    }

    fn add_tcp(&mut self, tuple: Tuple, seen: &Sighting) {
        let key = (tuple.client.ip(), tuple.server);
        if self.tcp.len() >= MOST && !self.tcp.contains_key(&key) {
            return;
        }
        let tcp = self.tcp.entry(key).or_default();
        tcp.last = tcp.last.max(seen.last);
        tcp.answered = tcp.answered.max(seen.answered);
        if seen.server_resets.any() || seen.icmp.is_some_and(|icmp| !icmp.quotes_server) {
            tcp.reset = tcp.reset.max(Some(seen.last));
        }
    }

    pub(super) fn add_drop(&mut self, now: u64, tuple: &Tuple, drop: DropSeen) {
        if tuple.server.port() != PORT && tuple.client.port() != PORT && tuple.server.port() != 0 {
            return;
        }
        if self.drops.len() >= MOST_DROPS {
            self.drops.pop_front();
        }
        self.drops.push_back((now, *tuple, drop));
    }

    /// Who refused packets between these ends at or after `first`.
    pub(super) fn rejection(&self, tuples: &[Tuple], first: u64) -> Option<Rejection> {
        let (_, icmp) = tuples.iter().filter_map(|tuple| self.icmp.get(tuple)).find(|(last, _)| *last >= first)?;
        Some(Rejection::Icmp { from: icmp.from, kind: icmp.kind, code: icmp.code })
    }

    /// The drops of packets between these ends, each explanation once.
    pub(super) fn drops(&self, tuples: &[Tuple], first: u64) -> Vec<DropSeen> {
        let mut found: Vec<DropSeen> = Vec::new();
        let is_due = |time: u64| time == 0 || time.saturating_add(BEFORE) >= first;
        for (_, tuple, drop) in self.drops.iter().filter(|(_, _, drop)| is_due(drop.time)) {
            if !tuples.iter().any(|own| is_of(own, tuple)) {
                continue;
            }
            let same = |seen: &&mut DropSeen| {
                (seen.is_answer, &seen.explanation.summary) == (drop.is_answer, &drop.explanation.summary)
            };
            match found.iter_mut().find(same) {
                // The line of a flow says what came since the last one.
                Some(seen) if seen.time != drop.time => seen.count += drop.count,
                Some(_) => {}
                None => found.push(drop.clone()),
            }
        }
        found
    }

    /// What became of asking over TCP after an answer at `since` that was cut: failed, or went well or was not tried (`None`);
    /// `Err` if that is open yet.
    pub(super) fn tcp(&self, tuple: &Tuple, since: u64, now: u64) -> Result<Option<TcpFailure>, ()> {
        let is_early = now < since.saturating_add(TCP_PATIENCE);
        let Some(tcp) = self.tcp.get(&(tuple.client.ip(), tuple.server)).filter(|tcp| tcp.last >= since) else {
            return if is_early { Err(()) } else { Ok(None) };
        };
        if tcp.reset.is_some_and(|reset| reset >= since) {
            return Ok(Some(TcpFailure::Reset));
        }
        if tcp.answered.is_some_and(|answered| answered >= since) {
            return Ok(None);
        }
        if is_early { Err(()) } else { Ok(Some(TcpFailure::Silent)) }
    }

    pub(super) fn forget(&mut self, now: u64) {
        let is_new = |time: u64| now < time.saturating_add(KEPT);
        self.icmp.retain(|_, (last, _)| is_new(*last));
        self.tcp.retain(|_, tcp| is_new(tcp.last));
        self.drops.retain(|(time, _, _)| is_new(*time));
    }
}

/// Whether a drop between `ends` is one of `own` packets; a port of 0 is not known.
fn is_of(own: &Tuple, ends: &Tuple) -> bool {
    let same = |a: SocketAddr, b: SocketAddr| a.ip() == b.ip() && (a.port() == b.port() || b.port() == 0);
    own.protocol == ends.protocol && same(own.client, ends.client) && same(own.server, ends.server)
}
