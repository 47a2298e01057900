//! What was found out about flows beside the line: asked for once, kept, and asked for again while the flow goes on.
//!
//! Rule: a line waits for the answer to its question, for at most [`PATIENCE`]; an answer holds for [`FRESH`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::FlowKey;

use crate::host::HostError;
use crate::inquiry::Case;
use crate::netfilter::{self, NetfilterHandle, Ruling};
use crate::node::{self, NodeHandle, State};

/// How long a line may wait for the first answer: a ruleset of 100,000 rules is read in a fraction of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// After this time an answer is asked for again: rules, counters and settings may have changed.
const FRESH: Duration = Duration::from_secs(1);
/// Answers kept, some 4 KiB each.
const MOST_KEPT: usize = 4096;

/// A question to one of the readers beside the line.
#[derive(Debug)]
pub(super) enum Question {
    Rule(netfilter::Question),
    State(node::Question),
}

/// What one of them found out.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    Rule(Arc<Ruling>),
    State(Arc<State>),
}

impl Finding {
    pub(super) fn ruling(&self) -> Option<&Ruling> {
        match self {
            Self::Rule(ruling) => Some(ruling),
            Self::State(_) => None,
        }
    }

    pub(super) fn state(&self) -> Option<&State> {
        match self {
            Self::State(state) => Some(state),
            Self::Rule(_) => None,
        }
    }
}

/// Which of the two is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rule,
    State,
}

impl Kind {
    /// There is no answer, and why.
    fn unknown(self, why: String) -> Finding {
        match self {
            Self::Rule => Finding::Rule(Arc::new(Ruling::unreadable(why))),
            Self::State => Finding::State(Arc::new(State::unreadable(why))),
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Rule => "which rule it was",
            Self::State => "what on the node decided it",
        }
    }
}

/// What is known of a flow's case.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// The answer, or as much as there will be for now.
    Is(Finding),
    /// It was asked for: come again when [`Answers::take`] or the deadline says so.
    Asked,
}

#[derive(Debug)]
struct Kept {
    /// `None` until it is answered; why there is no answer, once it was given up.
    finding: Option<Result<Finding, String>>,
    asked: Instant,
}

impl Kept {
    fn is_old(&self) -> bool {
        self.finding.is_some() && self.asked.elapsed() >= FRESH
    }
}

/// The answers so far.
#[derive(Debug)]
pub(super) struct Answers {
    netfilter: NetfilterHandle,
    node: NodeHandle,
    kept: HashMap<Case, Kept>,
    /// The last ruling on any packet of a flow, or what the kernel's trace said.
    of_flows: HashMap<FlowKey, Arc<Ruling>>,
}

impl Answers {
    pub(super) fn new(netfilter: NetfilterHandle, node: NodeHandle) -> Self {
        Self { netfilter, node, kept: HashMap::new(), of_flows: HashMap::new() }
    }

    /// What is known of such packets; asks for it if it is not there, or old. A question that can't be asked yet (its
    /// namespace has no name so far) is `Ok(None)`; one that never can is an error that says why.
    pub(super) fn of(
        &mut self,
        case: Case,
        kind: Kind,
        question: impl FnOnce() -> Result<Option<Question>, String>,
    ) -> Known {
        if let Some(kept) = self.kept.get(&case).filter(|kept| !kept.is_old()) {
            return match &kept.finding {
                Some(Ok(finding)) => Known::Is(finding.clone()),
                Some(Err(why)) => Known::Is(kind.unknown(format!("{}: {why}", kind.noun()))),
                None => Known::Asked,
            };
        }
        let asked = match question() {
            Ok(Some(Question::Rule(question))) => self.netfilter.inquiry.ask(question),
            Ok(Some(Question::State(question))) => self.node.ask(question),
            Ok(None) => return Known::Asked,
            Err(why) => return Known::Is(kind.unknown(why)),
        };
        if !asked {
            return Known::Is(self.without_looking(&case.flow, kind));
        }
        self.keep(case, None);
        Known::Asked
    }

    /// There are too many questions: what was said of another packet of the flow, if anything was.
    fn without_looking(&self, flow: &FlowKey, kind: Kind) -> Finding {
        match self.of_flows.get(flow).filter(|_| kind == Kind::Rule) {
            Some(ruling) => Finding::Rule(Arc::new(ruling.of_another_packet())),
            None => kind.unknown(format!("{}: too many other drops are being looked into", kind.noun())),
        }
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
    pub(super) async fn next(&mut self) -> (Case, Finding) {
        tokio::select! {
            answer = self.netfilter.inquiry.answer() => (answer.case, Finding::Rule(answer.finding)),
            answer = self.node.answer() => (answer.case, Finding::State(answer.finding)),
        }
    }

    /// The next answer, for [`Self::take`], if it is there already.
    pub(super) fn next_now(&mut self) -> Option<(Case, Finding)> {
        let ruling = self.netfilter.inquiry.answer_now().map(|answer| (answer.case, Finding::Rule(answer.finding)));
        ruling.or_else(|| self.node.answer_now().map(|answer| (answer.case, Finding::State(answer.finding))))
    }

    /// Keeps an answer.
    pub(super) fn take(&mut self, case: Case, finding: Finding) {
        match finding {
            Finding::Rule(ruling) => self.take_ruling(case, ruling),
            Finding::State(_) => self.keep(case, Some(Ok(finding))),
        }
    }

    /// Keeps a ruling. What is worked out does not replace what the kernel's trace said of the flow, as long as it does not
    /// contradict.
    fn take_ruling(&mut self, case: Case, ruling: Arc<Ruling>) {
        if ruling.is_traced() && !self.may_have_traced(&case, &ruling) {
            return;
        }
        let traced = self.of_flows.get(&case.flow).filter(|old| old.is_traced() && ruling.suspects_rule_of(old));
        let ruling = traced.map_or(ruling, Arc::clone);
        self.keep(case, Some(Ok(Finding::Rule(Arc::clone(&ruling)))));
        if self.of_flows.len() >= MOST_KEPT {
            self.of_flows.clear();
        }
        self.of_flows.insert(case.flow, ruling);
    }

    /// A trace is of the flow: the packet that it saw dropped may be another one, dropped by a rule that can't have dropped
    /// this one.
    fn may_have_traced(&self, case: &Case, traced: &Ruling) -> bool {
        let kept = self.kept.get(case).and_then(|kept| kept.finding.as_ref()?.as_ref().ok());
        let worked_out = kept.and_then(Finding::ruling);
        worked_out.is_none_or(|ruling| ruling.suspects.is_empty() || ruling.suspects_rule_of(traced))
    }

    /// Does without the answer to the question, whose namespace is known or not.
    pub(super) fn give_up(&mut self, case: Case, is_known: bool) {
        let why = if is_known || self.has(&case) {
            "the namespace was not read in time".to_owned()
        } else {
            HostError::NoWayIn { netns: case.flow.netns }.to_string()
        };
        self.keep(case, Some(Err(why)));
    }

    fn keep(&mut self, case: Case, finding: Option<Result<Finding, String>>) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.retain(|_, kept| !kept.is_old());
        }
        if self.kept.len() >= MOST_KEPT {
            // What was asked and not answered yet would be asked for again.
            self.kept.retain(|_, kept| kept.finding.is_none());
        }
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        self.kept.insert(case, Kept { finding, asked: Instant::now() });
    }
}
