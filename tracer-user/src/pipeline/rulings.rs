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
    /// `None` if it could not be asked.
    question: Option<Question>,
    /// `None` until the first answer.
    ruling: Option<Arc<Ruling>>,
    asked: Instant,
    /// The last question is answered.
    is_current: bool,
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

    /// The ruling for a flow; asks for it if it is not there. A question that can't be asked yet (its namespace has no
    /// name so far) is `Ok(None)`; one that never can is an error that says why.
    pub(super) fn of(&mut self, flow: &FlowKey, question: impl FnOnce() -> Result<Option<Question>, String>) -> Ruled {
        if let Some(kept) = self.kept.get(flow) {
            return kept.ruling.clone().map_or(Ruled::Asked, Ruled::Is);
        }
        let unanswered = |why: String| Ruled::Is(Arc::new(Ruling::unreadable(why)));
        let question = match question() {
            Ok(Some(question)) => question,
            Ok(None) => return Ruled::Asked,
            Err(why) => return unanswered(why),
        };
        if !self.handle.ask(question.clone()) {
            return unanswered("which rule it was: too many other drops are being looked into".to_owned());
        }
        self.make_room();
        self.kept
            .insert(*flow, Kept { question: Some(question), ruling: None, asked: Instant::now(), is_current: false });
        Ruled::Asked
    }

    /// Whether the question about a flow was asked.
    pub(super) fn has(&self, flow: &FlowKey) -> bool {
        self.kept.contains_key(flow)
    }

    /// The flow goes on at `time` (`CLOCK_MONOTONIC`, ns): if the last answer is old it is asked for again, and the flow's
    /// line waits for it, because rules may have changed.
    pub(super) fn renew(&mut self, flow: &FlowKey, time: u64) {
        let Some(kept) = self.kept.get_mut(flow) else { return };
        if kept.ruling.is_none() || kept.asked.elapsed() < FRESH {
            return;
        }
        let Some(question) = &mut kept.question else {
            self.kept.remove(flow);
            return;
        };
        question.time = time;
        if self.handle.ask(question.clone()) {
            kept.asked = Instant::now();
            kept.is_current = false;
        }
    }

    /// Whether the flow's line is to wait.
    pub(super) fn is_awaited(&self, flow: &FlowKey) -> bool {
        self.kept.get(flow).is_some_and(|kept| !kept.is_current)
    }

    /// Waits for the next answer, for [`Self::take`].
    pub(super) async fn next(&mut self) -> Answer {
        self.handle.answer().await
    }

    /// Keeps an answer; true if it says something new.
    pub(super) fn take(&mut self, answer: &Answer) -> bool {
        let Some(kept) = self.kept.get_mut(&answer.flow) else { return false };
        kept.is_current = true;
        // What is worked out does not replace what the kernel said, as long as it does not contradict.
        let traced = kept.ruling.as_ref().is_some_and(|old| old.is_traced() && answer.ruling.suspects_rule_of(old));
        if traced && !answer.ruling.is_traced() {
            return false;
        }
        let is_new = kept.ruling.as_ref().is_none_or(|old| old.suspects != answer.ruling.suspects);
        kept.ruling = Some(Arc::clone(&answer.ruling));
        is_new
    }

    /// Does without the answer to the first question.
    pub(super) fn give_up(&mut self, flow: &FlowKey) {
        let (late, nowhere) = (
            "which rule it was: the ruleset of the namespace was not read in time",
            HostError::NoWayIn { netns: flow.netns }.to_string(),
        );
        let why = if self.has(flow) { late.to_owned() } else { nowhere };
        let kept = self.kept.entry(*flow).or_insert(Kept {
            question: None,
            ruling: None,
            asked: Instant::now(),
            is_current: true,
        });
        kept.is_current = true;
        kept.ruling.get_or_insert_with(|| Arc::new(Ruling::unreadable(why)));
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
