//! What is harm, and which harm is worse.
//!
//! Rules: a healthy node under load gives no finding: a packet that was sent again, one refused connection and a scan of ports
//! are no harm. `docs/diagnose.md` says the numbers that stand here.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::event::{Cause, Outcome};
use crate::flow::{Census, Service, Tally};

use super::Expectation;
use super::group::{Failure, Group, Kind};
use super::service;
use super::talk::Talk;

/// SYNs or requests without an answer: one alone may be lost anywhere.
const TRIES: u64 = 2;
/// Connections that were refused, queries that were answered with an error, and packets to a neighbour or queue that takes
/// others.
const REFUSED: u64 = 3;
/// Queries that were answered late.
const SLOW: u64 = 5;
/// Packets that a rule, setting or route dropped, without an attempt that is known to have failed by it.
const PACKETS: u64 = 2;
/// Packets lost by load, which are sent again.
const LOAD_PACKETS: u64 = 10;
/// Where others were answered: one failure in so many attempts is harm, if there are two of them,
const SHARE: u64 = 20;
/// and so many failures are harm however many were answered;
const FAILED: u64 = 10;
/// but silence, which is only reasoned, must then be one attempt in so many, or tried so often each: a port that is used again
/// within seconds looks like an attempt that is tried twice or three times.
const SHARE_OF_SILENCE: u64 = 100;
const TRIES_OF_SILENCE: u64 = 4;
/// Destinations of a scan: more than this, with fewer than so many tries each.
const SCAN_DESTINATIONS: usize = 16;
const SCAN_TRIES: u64 = 3;
/// Pairs of ends beyond which more of them are no worse.
const MOST_PAIRS: u64 = 100;

/// How bad a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Harm {
    /// Attempts for the same services that were answered.
    pub(super) answered: u64,
    pub(super) is_complete: bool,
    /// The highest comes first.
    pub(super) score: u64,
}

/// All attempts for a service, by whom they were for.
#[derive(Debug, Default)]
pub(super) struct Background(HashMap<(u8, SocketAddr), Vec<(Service, Tally)>>);

impl Background {
    pub(super) fn new(census: &Census) -> Self {
        let mut services: HashMap<_, Vec<_>> = HashMap::new();
        for (service, tally) in &census.services {
            let server = SocketAddr::new(service.server.ip().to_canonical(), service.server.port());
            services.entry((service.protocol, server)).or_default().push((*service, tally.clone()));
        }
        Self(services)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, protocol: u8, server: SocketAddr) -> &[(Service, Tally)] {
        self.0.get(&(protocol, server)).map_or(&[], Vec::as_slice)
    }

    /// Attempts for these services that were answered.
    fn answered(&self, group: &Group) -> u64 {
        let all = group.servers().into_iter().flat_map(|(protocol, server)| self.of(protocol, server));
        all.map(|(_, tally)| tally.established).sum()
    }

    /// Whether a failure is one of what is expected: by the way that attempts for it went, so far as they were seen.
    pub(super) fn is_expected(&self, expectation: &Expectation, talk: &Talk) -> bool {
        match self.of(talk.protocol, talk.server()) {
            [] => expectation.is_of(talk),
            seen => seen.iter().any(|(service, _)| expectation.takes(service)),
        }
    }

    /// What became of the attempts that are expected, and how many there were.
    pub(super) fn expected(&self, expectation: &Expectation) -> (Tally, u64) {
        let mut sum = Tally::default();
        let all = self.0.values().flatten().filter(|(service, _)| expectation.takes(service));
        for (_, tally) in all {
            sum.established += tally.established;
            sum.rejected += tally.rejected;
            sum.dropped += tally.dropped;
            sum.no_answer += tally.no_answer;
            sum.pending += tally.pending;
        }
        let all = sum.established + sum.rejected + sum.dropped + sum.no_answer + sum.pending;
        (sum, all)
    }
}

/// By what it is judged.
pub(super) struct Judge<'a> {
    pub(super) background: &'a Background,
    pub(super) expectations: &'a [Expectation],
    /// The traffic is that of a command that is run to see it fail: one try is enough.
    pub(super) one_is_enough: bool,
}

impl Judge<'_> {
    /// `None` if it is no harm.
    pub(super) fn harm(&self, group: &Group) -> Option<Harm> {
        let is_expected = group.hits.keys().any(|talk| self.is_expected(talk));
        let answered = self.background.answered(group);
        let is_enough = is_enough(group, if is_expected || self.one_is_enough { 1 } else { u64::MAX });
        if !is_enough || (!is_expected && looks_like_scan(group)) || !outweighs(group, answered) {
            return None;
        }
        // Packets that are lost by load are sent again, and some of them arrive.
        let is_certain = group.failed() > 0 || packets(group.cause()) < LOAD_PACKETS;
        let is_complete = answered == 0 && is_certain && group.outcome() != Outcome::Established;
        let is_known = group.hits.iter().any(|(talk, hit)| service::known(talk, hit.translated.as_ref()).is_some());
        let pairs = (group.hits.len() as u64).clamp(1, MOST_PAIRS);
        let factor = |is_so, factor| if is_so { factor } else { 1 };
        let score = pairs * factor(is_complete, 4) * factor(is_known, 8) * factor(is_expected, 64);
        Some(Harm { answered, is_complete, score })
    }

    fn is_expected(&self, talk: &Talk) -> bool {
        self.expectations.iter().any(|expectation| self.background.is_expected(expectation, talk))
    }
}

/// Whether it happened often enough to be no accident; `least` is enough in any case.
fn is_enough(group: &Group, least: u64) -> bool {
    let (failed, cause) = (group.failed(), group.cause());
    let is = |count: u64, needed: u64| count >= needed.min(least);
    match group.kind {
        Kind::Flow(Outcome::Rejected) | Kind::Dns(Failure::Error) => is(failed, REFUSED),
        Kind::Dns(Failure::Slow) => is(failed, SLOW),
        // It was answered, and told because it stalled for long.
        Kind::Flow(Outcome::Established) => true,
        Kind::Flow(_) | Kind::Dns(Failure::NoAnswer) => is(group.tries.max(failed), TRIES),
        Kind::Drop if failed > 0 && cause == Cause::NoSocket => is(failed, REFUSED),
        Kind::Drop if failed > 0 => is(group.tries.max(failed), TRIES),
        // What load does to single packets is no harm, whoever sent them.
        Kind::Drop | Kind::Counter if packets(cause) == LOAD_PACKETS => group.count() >= LOAD_PACKETS,
        Kind::Drop | Kind::Counter => is(group.count(), packets(cause)),
    }
}

const fn packets(cause: Cause) -> u64 {
    match cause {
        Cause::SocketBuffer
        | Cause::Qdisc
        | Cause::Device
        | Cause::Checksum
        | Cause::Ttl
        | Cause::ConntrackInvalid
        | Cause::Unknown => LOAD_PACKETS,
        Cause::NoSocket | Cause::ListenOverflow | Cause::Neighbour => REFUSED,
        _ => PACKETS,
    }
}

/// Whether it is harm where others were answered.
fn outweighs(group: &Group, answered: u64) -> bool {
    let failed = group.failed();
    if answered == 0 || group.outcome() == Outcome::Established {
        return true;
    }
    if failed == 0 {
        // No attempt is known to have failed by it: what was lost was sent again.
        return group.packets() >= LOAD_PACKETS && group.packets() * SHARE >= answered;
    }
    let tried = failed.saturating_add(answered);
    let is_clear = group.kind != Kind::Flow(Outcome::NoAnswer)
        || failed.saturating_mul(SHARE_OF_SILENCE) >= tried
        || group.tries >= failed.saturating_mul(TRIES_OF_SILENCE);
    (failed >= FAILED && is_clear) || (failed >= 2 && failed.saturating_mul(SHARE) >= tried)
}

/// Whether somebody tries ports or addresses, one after the other, that nobody is meant to reach.
fn looks_like_scan(group: &Group) -> bool {
    let refused = matches!(
        group.cause(),
        Cause::NetfilterRule
            | Cause::NetfilterPolicy
            | Cause::NetworkPolicy
            | Cause::NoSocket
            | Cause::RouteReject
            | Cause::BpfProgram
    );
    let servers = group.servers().len();
    refused && servers > SCAN_DESTINATIONS && group.tries.max(group.packets()) < SCAN_TRIES * servers as u64
}
