//! What the rulesets say about flows: asked for once, kept, and asked for again while the flow goes on.
//!
//! Rule: a line waits for the answer to its question, for at most [`PATIENCE`]; an answer holds for [`FRESH`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::FlowKey;

use crate::host::HostError;
use crate::netfilter::{Answer, Case, NetfilterHandle, Question, Ruling};

/// How long a line may wait for the first answer: a ruleset of 100,000 rules is read in a fraction of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// After this time an answer is asked for again: rules and counters may have changed.
const FRESH: Duration = Duration::from_secs(1);
/// Answers kept, some 4 KiB each.
const MOST_KEPT: usize = 4096;

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
    /// `None` until it is answered.
    ruling: Option<Arc<Ruling>>,
    asked: Instant,
}

impl Kept {
    fn is_old(&self) -> bool {
        self.ruling.is_some() && self.asked.elapsed() >= FRESH
    }
}

/// The answers so far.
#[derive(Debug)]
pub(super) struct Rulings {
    handle: NetfilterHandle,
    kept: HashMap<Case, Kept>,
    /// The last answer about any packet of a flow, or what the kernel's trace said.
    of_flows: HashMap<FlowKey, Arc<Ruling>>,
}

impl Rulings {
    pub(super) fn new(handle: NetfilterHandle) -> Self {
        Self { handle, kept: HashMap::new(), of_flows: HashMap::new() }
    }

    /// The ruling on such packets; asks for it if it is not there, or old. A question that can't be asked yet (its namespace
    /// has no name so far) is `Ok(None)`; one that never can is an error that says why.
    pub(super) fn of(&mut self, case: Case, question: impl FnOnce() -> Result<Option<Question>, String>) -> Ruled {
        if let Some(kept) = self.kept.get(&case).filter(|kept| !kept.is_old()) {
            return kept.ruling.clone().map_or(Ruled::Asked, Ruled::Is);
        }
        let question = match question() {
            Ok(Some(question)) => question,
            Ok(None) => return Ruled::Asked,
            Err(why) => return Ruled::Is(Arc::new(Ruling::unreadable(why))),
        };
        if !self.handle.ask(question) {
            return Ruled::Is(Arc::new(self.without_looking(&case.flow)));
        }
        self.keep(case, None);
        Ruled::Asked
    }

    /// There are too many questions: what was said of another packet of the flow, if anything was.
    fn without_looking(&self, flow: &FlowKey) -> Ruling {
        let busy = "which rule it was: too many other drops are being looked into".to_owned();
        let other = self.of_flows.get(flow);
        other.map_or_else(|| Ruling::unreadable(busy), |ruling| ruling.of_another_packet())
    }

    /// Whether the question was asked.
    pub(super) fn has(&self, case: &Case) -> bool {
        self.kept.contains_key(case)
    }

    /// Whether what was said is to be asked for again.
    pub(super) fn is_old(&self, case: &Case) -> bool {
        self.kept.get(case).is_some_and(Kept::is_old)
    }

    /// Waits for the next answer, for [`Self::take`].
    pub(super) async fn next(&mut self) -> Answer {
        self.handle.answer().await
    }

    /// Keeps an answer. What is worked out does not replace what the kernel's trace said of the flow, as long as it does not
    /// contradict.
    pub(super) fn take(&mut self, answer: &Answer) {
        if answer.ruling.is_traced() && !self.may_have_traced(answer) {
            return;
        }
        let flow = answer.case.flow;
        let traced = self.of_flows.get(&flow).filter(|old| old.is_traced() && answer.ruling.suspects_rule_of(old));
        let ruling = Arc::clone(traced.unwrap_or(&answer.ruling));
        self.keep(answer.case, Some(Arc::clone(&ruling)));
        if self.of_flows.len() >= MOST_KEPT {
            self.of_flows.clear();
        }
        self.of_flows.insert(flow, ruling);
    }

    /// A trace is of the flow: the packet that it saw dropped may be another one, dropped by a rule that can't have dropped
    /// this one.
    fn may_have_traced(&self, answer: &Answer) -> bool {
        let worked_out = self.kept.get(&answer.case).and_then(|kept| kept.ruling.as_ref());
        worked_out.is_none_or(|ruling| ruling.suspects.is_empty() || ruling.suspects_rule_of(&answer.ruling))
    }

    /// Does without the answer to the question.
    pub(super) fn give_up(&mut self, case: Case) {
        let why = if self.has(&case) {
            "which rule it was: the ruleset of the namespace was not read in time".to_owned()
        } else {
            HostError::NoWayIn { netns: case.flow.netns }.to_string()
        };
        self.keep(case, Some(Arc::new(Ruling::unreadable(why))));
    }

    fn keep(&mut self, case: Case, ruling: Option<Arc<Ruling>>) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.retain(|_, kept| !kept.is_old());
        }
        if self.kept.len() >= MOST_KEPT {
            // What waits is asked for again.
            self.kept.clear();
        }
        self.kept.insert(case, Kept { ruling, asked: Instant::now() });
    }
}
