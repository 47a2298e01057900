//! One transaction: what the devices saw of it, and what that makes of it.

use std::net::IpAddr;
use std::sync::Arc;

use super::query::{Query, outcome};
use super::{QuerySighting, Question};
use crate::event::QueryOutcome;
use crate::flow::{Lost, Point, Role, SightingId, Tuple};

/// Sightings of one transaction that are kept, some 400 bytes each: a packet passes few devices.
const MOST_SIGHTINGS: usize = 16;

pub(super) const fn is_truncated(answer: &QuerySighting) -> bool {
    answer.answer_flags & TC != 0
}

/// Truncation, of the answer's flags (RFC 1035, section 4.1.1).
const TC: u16 = 0x0200;
const RCODE: u16 = 0x000f;

/// Resolvers on the node itself (node-local-dns of Kubernetes; that of Kubespray).
pub(crate) const NODE_LOCAL: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 20, 10)), IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 25, 10))];

/// What devices saw of one transaction until now.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) question: Option<Question>,
    /// Both ends, by all the names that devices saw.
    pub(super) tuples: Vec<Tuple>,
    sightings: Vec<(Arc<Point>, QuerySighting)>,
    /// `CLOCK_MONOTONIC` ns at which it was decided, and how.
    pub(super) decided: Option<(u64, QueryOutcome)>,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self { question: None, tuples: Vec::new(), sightings: Vec::new(), decided: None }
    }

    /// Takes a sighting, or what it has become.
    pub(super) fn add(&mut self, at: &Arc<Point>, seen: &QuerySighting) {
        if self.question.as_ref().is_none_or(|question| !question.is_whole()) {
            self.question = super::decode(&seen.question).or(self.question.take());
        }
        for tuple in [Some(seen.tuple), seen.original].into_iter().flatten() {
            if !self.tuples.contains(&tuple) && self.tuples.len() < 2 * MOST_SIGHTINGS {
                self.tuples.push(tuple);
            }
        }
        let same = |(_, old): &&mut (Arc<Point>, QuerySighting)| {
            (old.device, old.tuple, old.first) == (seen.device, seen.tuple, seen.first)
        };
        if let Some((_, old)) = self.sightings.iter_mut().find(same) {
            old.clone_from(seen);
        } else if self.sightings.len() < MOST_SIGHTINGS {
            self.sightings.push((Arc::clone(at), seen.clone()));
        }
    }

    /// Takes all that another one saw, which is the same.
    pub(super) fn absorb(&mut self, other: &Self) {
        other.sightings.iter().for_each(|(at, seen)| self.add(at, seen));
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// Where it was seen first.
    pub(super) fn nearest(&self) -> Option<&(Arc<Point>, QuerySighting)> {
        self.asked().min_by_key(|(_, seen)| seen.first)
    }

    /// Whether its answer would be seen by this sighting, and none was so far.
    pub(super) fn is_watched_by(&self, id: &SightingId) -> bool {
        let is_it = |seen: &QuerySighting| (seen.device, seen.tuple, seen.first) == (id.device, id.tuple, id.first);
        !self.is_answered() && self.nearest().is_some_and(|(_, seen)| is_it(seen))
    }

    /// Where the query was seen last.
    fn farthest(&self) -> Option<&(Arc<Point>, QuerySighting)> {
        // A device that it was tried at again is not farther: each device counts by its first packet.
        let first = |device| self.asked().filter(|(_, seen)| seen.device == device).map(|(_, seen)| seen.first).min();
        self.asked().max_by_key(|(_, seen)| first(seen.device))
    }

    fn asked(&self) -> impl Iterator<Item = &(Arc<Point>, QuerySighting)> {
        self.sightings.iter().filter(|(_, seen)| seen.asked.any())
    }

    /// As the client names both ends.
    pub(super) fn tuple(&self) -> Option<Tuple> {
        self.nearest().map(|(_, seen)| seen.original.unwrap_or(seen.tuple))
    }

    pub(super) fn first(&self) -> u64 {
        self.nearest().map_or(0, |(_, seen)| seen.first)
    }

    /// The last packet of either side.
    pub(super) fn last(&self) -> u64 {
        self.sightings.iter().map(|(_, seen)| seen.last).max().unwrap_or(0)
    }

    /// The answer, where the client got it as far as can be seen: at the device that saw the query first, or at another one
    /// of its namespace, if the query began there.
    pub(super) fn answer(&self) -> Option<&QuerySighting> {
        let (_, nearest) = self.nearest()?;
        let is_local = nearest.asked.egress > 0 && nearest.asked.ingress == 0;
        let near = |seen: &QuerySighting| seen.device == nearest.device || is_local && seen.netns == nearest.netns;
        let answers = self.sightings.iter().map(|(_, seen)| seen).filter(|seen| seen.answered.is_some() && near(seen));
        answers.min_by_key(|seen| seen.answered)
    }

    /// An answer that was seen at another device only.
    pub(super) fn far_answer(&self) -> Option<&QuerySighting> {
        let answers = self.sightings.iter().map(|(_, seen)| seen).filter(|seen| seen.answered.is_some());
        answers.max_by_key(|seen| seen.answered)
    }

    /// Whether the client asked again after this time.
    pub(super) fn is_asked_after(&self, time: u64) -> bool {
        // Of the last packet at a device that saw no answer it is sure that it is a query.
        self.asked().any(|(_, seen)| seen.first > time || seen.answered.is_none() && seen.last > time)
    }

    /// Times that it was asked, at the device that saw most.
    pub(super) fn attempts(&self) -> u32 {
        let of = |device| {
            self.asked().filter(|(_, seen)| seen.device == device).map(|(_, seen)| seen.asked.most()).sum::<u32>()
        };
        self.asked().map(|(_, seen)| of(seen.device)).max().unwrap_or(0)
    }

    /// Where it went missing.
    pub(super) fn lost(&self) -> Option<Lost> {
        let answers = self.sightings.iter().filter(|(_, seen)| seen.answered.is_some());
        if let Some((from, _)) = answers.max_by_key(|(_, seen)| seen.answered) {
            return Some(Lost::Answer { from: Arc::clone(from) });
        }
        let (at, seen) = self.farthest()?;
        let at = Arc::clone(at);
        Some(match at.role {
            _ if seen.asked.egress == 0 && NODE_LOCAL.contains(&seen.tuple.server.ip()) => Lost::InNetns { at },
            _ if seen.asked.egress == 0 => Lost::Between { from: at },
            Role::Pod => Lost::InPod { at },
            Role::Uplink | Role::Tunnel => Lost::AfterNode { at },
        })
    }

    /// The query with this answer, as far as it can be told from this alone; `None` if it was never seen asked.
    pub(super) fn query(&self, answer: Option<&QuerySighting>) -> Option<Query> {
        let ((at, nearest), (_, farthest)) = (self.nearest()?, self.farthest()?);
        let tuple = self.tuple()?;
        let rcode = answer.map(|answer| answer.answer_flags & RCODE);
        let took = |seen: &QuerySighting| seen.answered.map(|answered| answered.saturating_sub(seen.first));
        Some(Query {
            tuple,
            translated: Some(farthest.tuple).filter(|last| last.server != tuple.server),
            question: self.question.clone().unwrap_or(Question { name: "?".into(), kind: String::new() }),
            at: Arc::clone(at),
            came_in: nearest.asked.ingress > 0,
            outcome: rcode.map_or(QueryOutcome::NoAnswer, outcome),
            rcode,
            answer_count: answer.map_or(0, |answer| answer.answer_count),
            latency: answer.and_then(|answer| answer.answered).map(|time| time.saturating_sub(nearest.first)),
            beyond: took(farthest).filter(|_| farthest.device != nearest.device),
            attempts: self.attempts(),
            first: nearest.first,
            last: self.last(),
            lost: None,
            rejection: None,
            drops: Vec::new(),
            tcp: None,
            sibling: None,
            search: None,
            answered_by: None,
        })
    }
}
