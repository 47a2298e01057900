//! What the rulesets say about flows: asked for once, kept, and asked for again while the flow goes on.
//!
//! Rule: a line waits for the answer to its question, for at most [`PATIENCE`]; an answer holds for [`FRESH`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::FlowKey;

use crate::host::HostError;
use crate::netfilter::{Answer, NetfilterHandle, Question, Ruling};

/// How long a line may wait for the first answer: a ruleset of 100,000 rules is read in a fraction of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// After this time an answer is asked for again: rules and counters may have changed.
const FRESH: Duration = Duration::from_secs(1);
/// Answers kept, some 4 KiB each.
const MOST_KEPT: usize = 1024;

/// What is known of a flow's rule.
#[derive(Clone, Debug)]
pub(super) enum Ruled {
    /// The answer, or as much as there will be for now.
    Is(Arc<Ruling>),
    /// It was asked for: come again when [`Rulings::take`] or the deadline says so.
    Asked,
}

#[derive(Debug)]
struct Kept {
    /// What the packet was that was asked about.
    fingerprint: u64,
    /// The last answer, perhaps to an earlier question.
    ruling: Option<Arc<Ruling>>,
    asked: Instant,
    /// The question is answered.
    is_answered: bool,
}

impl Kept {
    fn holds_for(&self, fingerprint: u64) -> bool {
        self.fingerprint == fingerprint && self.is_answered && self.asked.elapsed() < FRESH
    }
}

/// The answers so far.
#[derive(Debug)]
pub(super) struct Rulings {
    handle: NetfilterHandle,
    kept: HashMap<FlowKey, Kept>,
}

impl Rulings {
    pub(super) fn new(handle: NetfilterHandle) -> Self {
        Self { handle, kept: HashMap::new() }
    }

    /// The ruling on such a packet of a flow; asks for it if it is not there, or old. A question that can't be asked yet (its
    /// namespace has no name so far) is `Ok(None)`; one that never can is an error that says why.
    pub(super) fn of(
        &mut self,
        flow: &FlowKey,
        fingerprint: u64,
        question: impl FnOnce() -> Result<Option<Question>, String>,
    ) -> Ruled {
        if let Some(kept) = self.kept.get(flow)
            && (kept.holds_for(fingerprint) || !kept.is_answered)
        {
            return kept.ruling.clone().filter(|_| kept.is_answered).map_or(Ruled::Asked, Ruled::Is);
        }
        let question = match question() {
            Ok(Some(question)) => question,
            Ok(None) => return Ruled::Asked,
            Err(why) => return Ruled::Is(Arc::new(Ruling::unreadable(why))),
        };
        if !self.handle.ask(question) {
            return Ruled::Is(Arc::new(self.without_looking(flow)));
        }
        self.make_room();
        let ruling = self.kept.remove(flow).and_then(|kept| kept.ruling);
        self.kept.insert(*flow, Kept { fingerprint, ruling, asked: Instant::now(), is_answered: false });
        Ruled::Asked
    }

    /// There are too many questions: what was said of another packet of the flow, if anything was.
    fn without_looking(&self, flow: &FlowKey) -> Ruling {
        let busy = "which rule it was: too many other drops are being looked into".to_owned();
        let other = self.kept.get(flow).and_then(|kept| kept.ruling.as_ref());
        other.map_or_else(|| Ruling::unreadable(busy), |ruling| ruling.of_another_packet())
    }

    /// Whether the question about a flow was asked.
    pub(super) fn has(&self, flow: &FlowKey) -> bool {
        self.kept.contains_key(flow)
    }

    /// Whether what was said of the flow does not hold for such a packet now.
    pub(super) fn is_stale(&self, flow: &FlowKey, fingerprint: u64) -> bool {
        self.kept.get(flow).is_some_and(|kept| !kept.holds_for(fingerprint))
    }

    /// Waits for the next answer, for [`Self::take`].
    pub(super) async fn next(&mut self) -> Answer {
        self.handle.answer().await
    }

    /// Keeps an answer; true if it says something new.
    pub(super) fn take(&mut self, answer: &Answer) -> bool {
        let Some(kept) = self.kept.get_mut(&answer.flow) else { return false };
        kept.is_answered |= kept.fingerprint == answer.fingerprint;
        // What is worked out does not replace what the kernel said, as long as it does not contradict.
        let traced = kept.ruling.as_ref().is_some_and(|old| old.is_traced() && answer.ruling.suspects_rule_of(old));
        if traced && !answer.ruling.is_traced() {
            return false;
        }
        let is_new = kept.ruling.as_ref().is_none_or(|old| old.suspects != answer.ruling.suspects);
        kept.ruling = Some(Arc::clone(&answer.ruling));
        is_new
    }

    /// Does without the answer to the question.
    pub(super) fn give_up(&mut self, flow: &FlowKey, fingerprint: u64) {
        let why = if self.has(flow) {
            "which rule it was: the ruleset of the namespace was not read in time".to_owned()
        } else {
            HostError::NoWayIn { netns: flow.netns }.to_string()
        };
        let ruling = Some(Arc::new(Ruling::unreadable(why)));
        self.kept.insert(*flow, Kept { fingerprint, ruling, asked: Instant::now(), is_answered: true });
    }

    fn make_room(&mut self) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.retain(|_, kept| kept.asked.elapsed() < PATIENCE);
        }
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
    }
}
