//! What failed for the same reason: whom it hit, how often, and what was said of it.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use crate::event::{Cause, Flow, Netns, Outcome};

use super::names::Names;
use super::said::{AllSaid, Said};
use super::talk::Talk;

/// Attempts kept of a group, to judge what lies beyond this node.
const MOST_SAMPLES: usize = 64;

/// What it was told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines of drops, and attempts that these drops ended.
    Drop,
    Counter,
    /// Attempts.
    Flow(Outcome),
    Dns(Failure),
}

/// What was wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failure {
    NoAnswer,
    Error,
    /// It was told because it took long; the answer was good.
    Slow,
}

/// What two ends suffered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) netns: Netns,
    pub(super) packets: u64,
    /// Attempts that failed.
    pub(super) attempts: u64,
    pub(super) queries: u64,
    /// The same ends after translation, where they were seen.
    pub(super) translated: Option<Talk>,
    /// Who the ends are, where that is known. No part of what tells hits apart.
    pub(super) names: Option<Box<Names>>,
}

impl Hit {
    /// In what it is best counted in: a query is an attempt too, and its packets are no more than their attempt.
    pub(super) fn count(&self) -> u64 {
        match self.attempts.max(self.queries) {
            0 => self.packets,
            count => count,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.attempts += other.attempts;
        self.queries += other.queries;
        self.translated = self.translated.or(other.translated);
        match (&mut self.names, &other.names) {
            (Some(names), Some(others)) => names.add(others),
            (names @ None, others) => names.clone_from(others),
            (Some(_), None) => {}
        }
        if self.netns.inode == other.netns.inode && other.netns.pod.is_some() {
            self.netns.pod.clone_from(&other.netns.pod);
        }
    }
}

/// Failures of one kind with one reason.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) kind: Kind,
    /// It is in a namespace that was asked for, or hit an attempt that was seen there.
    pub(super) in_scope: bool,
    pub(super) said: AllSaid,
    pub(super) hits: HashMap<Talk, Hit>,
    /// Packets, attempts or queries whose ends are not known, or did not fit.
    pub(super) unnamed: u64,
    /// SYNs or requests of the attempts.
    pub(super) tries: u64,
    /// Attempts whose client was told that it is refused.
    pub(super) refused: u64,
    pub(super) samples: Vec<Flow>,
    /// RFC 3339 of the last.
    pub(super) last: String,
    /// `eth0 in host`.
    pub(super) place: String,
}

impl Group {
    pub(super) fn new(kind: Kind, place: String) -> Self {
        Self {
            kind,
            in_scope: false,
            said: AllSaid::default(),
            hits: HashMap::new(),
            unnamed: 0,
            tries: 0,
            refused: 0,
            samples: Vec::new(),
            last: String::new(),
            place,
        }
    }

    /// Notes when one of them was.
    pub(super) fn at(&mut self, time: &str) {
        if self.last.as_str() < time {
            time.clone_into(&mut self.last);
        }
    }

    pub(super) fn sample(&mut self, flow: &Flow) -> bool {
        let has_room = self.samples.len() < MOST_SAMPLES;
        if has_room {
            self.samples.push(flow.clone());
        }
        has_room
    }

    /// Takes in another one that turned out to be about the same.
    pub(super) fn absorb(&mut self, other: Self) {
        self.in_scope |= other.in_scope;
        self.unnamed += other.unnamed;
        self.tries += other.tries;
        self.refused += other.refused;
        self.last = std::mem::take(&mut self.last).max(other.last);
        for (talk, hit) in other.hits {
            match self.hits.entry(talk) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut().add(&hit),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(hit);
                }
            }
        }
        let room = MOST_SAMPLES.saturating_sub(self.samples.len());
        self.samples.extend(other.samples.into_iter().take(room));
        // What a drop was explained with is the reason; what its attempt was explained with only repeats it. That nobody has
        // the port is true as well where another drop keeps the refusal back.
        let is_other_drop =
            other.kind == Kind::Drop && other.said.iter().all(|said| said.explanation.cause == Cause::NoSocket);
        if self.kind != Kind::Drop || is_other_drop {
            self.said.absorb(other.said);
        }
    }

    /// Counts what was seen after translation with the ends that the client knows.
    pub(super) fn fold_translated(&mut self) {
        let pairs: Vec<(Talk, Talk)> =
            self.hits.iter().filter_map(|(talk, hit)| Some((*talk, hit.translated?))).collect();
        for (talk, translated) in pairs.into_iter().filter(|(talk, translated)| talk != translated) {
            // Attempts for the translated ends are somebody's own.
            let is_only_packets = |hit: &Hit| hit.attempts == 0 && hit.queries == 0;
            if !self.hits.get(&translated).is_some_and(is_only_packets) {
                continue;
            }
            if let (Some(same), Some(hit)) = (self.hits.remove(&translated), self.hits.get_mut(&talk)) {
                hit.packets += same.packets;
            }
        }
    }

    /// What was said of most; of a name that is not resolved, rather why the query was not answered.
    pub(super) fn best(&self) -> Option<&Said> {
        let rank = |cause| match cause {
            Cause::Unknown => 0,
            Cause::Dns => 1,
            // Who finds no socket is told so, unless something else keeps that back.
            Cause::NoSocket => 2,
            _ => 3,
        };
        let key = |said: &Said| (rank(said.explanation.cause), said.count);
        self.said
            .iter()
            .max_by(|a, b| key(a).cmp(&key(b)).then_with(|| b.explanation.summary.cmp(&a.explanation.summary)))
    }

    pub(super) fn cause(&self) -> Cause {
        self.best().map_or(Cause::Unknown, |said| said.explanation.cause)
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.kind {
            Kind::Flow(outcome) => outcome,
            Kind::Drop | Kind::Counter => Outcome::Dropped,
            Kind::Dns(Failure::NoAnswer) => Outcome::NoAnswer,
            Kind::Dns(Failure::Error) => Outcome::Rejected,
            Kind::Dns(Failure::Slow) => Outcome::Established,
        }
    }

    /// Attempts or queries that failed.
    pub(super) fn failed(&self) -> u64 {
        self.hits.values().map(|hit| hit.attempts.max(hit.queries)).sum()
    }

    pub(super) fn packets(&self) -> u64 {
        self.hits.values().map(|hit| hit.packets).sum()
    }

    pub(super) fn count(&self) -> u64 {
        self.hits.values().map(Hit::count).sum::<u64>() + self.unnamed
    }

    /// Whom the attempts were for.
    pub(super) fn servers(&self) -> BTreeSet<(u8, SocketAddr)> {
        self.hits.keys().map(|talk| (talk.protocol, talk.server())).collect()
    }

    /// The two ends, the most frequent first.
    pub(super) fn by_count(&self) -> Vec<(&Talk, &Hit)> {
        let mut hits: Vec<_> = self.hits.iter().collect();
        hits.sort_by(|a, b| b.1.count().cmp(&a.1.count()).then_with(|| a.0.cmp(b.0)));
        hits
    }
}
