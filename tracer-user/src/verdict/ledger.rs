//! New connections of an interval, by ends and outcome: so that each pair of ends is named and judged once, not each connection.
//!
//! Rule: bounded, and every connection is counted: what does not fit is counted as not judged.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::event::{Cause, Flow, Outcome, PolicyVerdict, Verdict, VerdictTotals};
use crate::flow::Story;

/// Ends of an interval, one to two KiB each.
const MOST_ENDS: usize = 4096;
/// How long what failed is waited for until it is explained, ns: a little longer than an answer takes.
const PATIENCE: u64 = 6_000_000_000;

/// What is one line: the client's port does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends {
    protocol: u8,
    client: IpAddr,
    server: SocketAddr,
    translated: SocketAddr,
    outcome: Outcome,
    dropped: Option<Cause>,
}

impl Ends {
    fn of(story: &Story) -> Self {
        Self {
            protocol: story.tuple.protocol,
            client: story.tuple.client.ip(),
            server: story.tuple.server,
            translated: story.translated.unwrap_or(story.tuple).server,
            outcome: story.outcome,
            dropped: story.drops.first().map(|drop| drop.explanation.cause),
        }
    }
}

/// Connections that are to be judged.
#[derive(Clone, Debug)]
pub struct Due {
    /// One of them, from the first packet of all to the last.
    pub story: Story,
    /// Named and explained, if it was told.
    pub flow: Option<Box<Flow>>,
    pub attempts: u64,
    since: u64,
}

/// The connections that are not judged yet, and the totals of those that are.
#[derive(Debug, Default)]
pub struct Ledger {
    ends: HashMap<Ends, Due>,
    totals: VerdictTotals,
}

impl Ledger {
    /// Takes a connection that is decided; `now` is `CLOCK_MONOTONIC`, ns.
    pub fn add(&mut self, story: &Story, now: u64) {
        let ends = Ends::of(story);
        if let Some(due) = self.ends.get_mut(&ends) {
            due.attempts += 1;
            due.story.first = due.story.first.min(story.first);
            due.story.last = due.story.last.max(story.last);
        } else if self.ends.len() < MOST_ENDS {
            self.ends.insert(ends, Due { story: story.clone(), flow: None, attempts: 1, since: now });
        } else {
            self.totals.not_judged += 1;
        }
    }

    /// One of them has its line, named and explained.
    pub fn told(&mut self, story: &Story, flow: &Flow) {
        if let Some(due) = self.ends.get_mut(&Ends::of(story)) {
            due.flow.get_or_insert_with(|| Box::new(flow.clone()));
        }
    }

    /// Takes out what can be judged: what went well, what was explained, and what has waited; the most frequent first.
    pub fn due(&mut self, now: u64, is_end: bool) -> Vec<Due> {
        let is_due = |due: &Due| {
            let is_late = due.since.saturating_add(PATIENCE) <= now;
            is_end || is_late || due.flow.is_some() || due.story.outcome == Outcome::Established
        };
        let mut all: Vec<Due> = self.ends.extract_if(|_, due| is_due(due)).map(|(_, due)| due).collect();
        all.sort_by_key(|due| (std::cmp::Reverse(due.attempts), due.story.first));
        all
    }

    /// Counts a verdict, with a line or without.
    pub fn count(&mut self, verdict: &Verdict, is_shown: bool) {
        let total = match verdict.verdict {
            PolicyVerdict::Allowed => &mut self.totals.allowed,
            PolicyVerdict::Denied => &mut self.totals.denied,
        };
        *total += verdict.attempts;
        if !is_shown {
            self.totals.not_shown += verdict.attempts;
        }
    }

    pub fn undecided(&mut self, attempts: u64) {
        self.totals.undecided += attempts;
    }

    pub fn totals(&self) -> VerdictTotals {
        self.totals
    }
}
