//! Why a packet was dropped: from the kernel event (reason, place, stack and packet) and from what was read beside it.
//!
//! Rule: everything here is a pure function of an [`Observation`]; it reads nothing from the machine. What the event and
//! the readers beside the line cannot tell is said in `unknown`.

pub mod catalogue;
pub mod cilium;
pub mod counter;
pub mod dns;
mod fill;
pub mod flow;
pub mod hook;
pub mod location;
mod netfilter;
#[cfg(test)]
mod no_reason;
mod node;
mod observation;
pub mod policy;
pub mod reference;
#[cfg(test)]
mod scenarios;
mod severity;
mod summary;

pub(crate) use fill::quoted;
pub use netfilter::{Firewall, firewall};
pub use observation::Observation;

use catalogue::ReasonEntry;
use location::{Derived, NOT_SPECIFIED, Place, UNKNOWN};

use crate::event::{Cause, Confidence, Explanation, Hook, Severity};
use crate::node::Topic;

/// Everything that is said about one drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub severity: Severity,
    pub severity_why: &'static str,
    pub hook: Hook,
    /// The reason that the place stands for, on a kernel that gives none.
    pub derived: Option<&'static str>,
    pub explanation: Explanation,
}

/// What would tell more about a drop than its event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The ruleset, asked at this place.
    Rule(Firewall),
    /// The node's own state.
    State(Topic),
}

/// What is to be read about a drop; `None` if nothing would tell more, or nobody has to look at it.
pub fn wanted(drop: &Observation<'_>) -> Option<Wanted> {
    if let Some(at) = firewall(drop) {
        return Some(Wanted::Rule(at));
    }
    let judged = judge(&Observation { ruling: None, state: None, ..*drop });
    let topic = node::topic(judged.explanation.cause, drop)?;
    // A setting that somebody chose is expected to work, and is named all the same.
    let is_worth_it = judged.severity == Severity::Problem || topic == Topic::Setting;
    is_worth_it.then_some(Wanted::State(topic))
}

/// Judges one drop.
pub fn judge(drop: &Observation<'_>) -> Judgement {
    let drop = &Observation { reason: drop.reason.and_then(plain_reason), ..*drop };
    let case = Case::of(drop);
    let hook = hook::hook(drop.stack, drop.symbol(), case.name());
    let (severity, severity_why) = severity::class(case.effective(), case.place, case.entry(), drop);
    let mut explanation = explain(&case, hook, drop);
    if case.entry().is_some_and(|entry| severity > entry.severity) && explanation.unknown.is_none() {
        // What to try against the reason is of no use for a packet that makes it harmless.
        explanation.remedy.clear();
    }
    Judgement { severity, severity_why, hook, derived: case.derived.map(|derived| derived.reason), explanation }
}

/// A reason without the enum's prefix; `None` if there is none.
fn plain_reason(name: &str) -> Option<&str> {
    let name = name.strip_prefix("SKB_DROP_REASON_").unwrap_or(name);
    (!name.is_empty() && name != UNKNOWN).then_some(name)
}

/// What the catalogue and the places say about a drop.
struct Case<'a> {
    /// The kernel's reason.
    reason: Option<&'a str>,
    derived: Option<Derived>,
    place: Option<&'static Place>,
}

impl<'a> Case<'a> {
    fn of(drop: &Observation<'a>) -> Self {
        let reason = drop.reason;
        if let Some(name) = reason {
            return Self { reason, derived: None, place: location::place(name, drop) };
        }
        let derived = location::derive(drop);
        let likely = derived.map_or(NOT_SPECIFIED, |derived| derived.reason);
        let place = location::place(UNKNOWN, drop).or_else(|| location::place(likely, drop));
        Self { reason, derived, place }
    }

    /// The kernel's reason, or the one that the place stands for.
    fn name(&self) -> Option<&'a str> {
        self.reason.or(self.derived.map(|derived| derived.reason))
    }

    /// The reason in whose way the drop is to be judged.
    fn effective(&self) -> Option<&'a str> {
        self.place.and_then(|place| place.like).or(self.name())
    }

    fn entry(&self) -> Option<&'static ReasonEntry> {
        self.effective().and_then(catalogue::reason)
    }

    /// What to try; a row that is like no reason has only its own.
    fn remedy(&self) -> &'static [&'static str] {
        let own = self.place.and_then(|place| place.remedy);
        let inherits = self.place.is_none_or(|place| place.like.is_some());
        own.or(self.entry().filter(|_| inherits).map(|entry| entry.remedy)).unwrap_or_default()
    }

    /// How sure the reason is, where the kernel did not give it.
    fn confidence(&self) -> Confidence {
        self.derived.map_or(Confidence::Derived, |derived| derived.confidence)
    }
}

fn explain(case: &Case<'_>, hook: Hook, drop: &Observation<'_>) -> Explanation {
    let mut explanation = match hook::netfilter(drop.symbol(), case.name()) {
        Some(part) => netfilter::explanation(part, hook, drop),
        None => from_catalogue(case, drop),
    };
    if let Some(state) = drop.state {
        node::refine(&mut explanation, state, drop);
    }
    explanation.evidence.splice(0..0, evidence(case, drop));
    explanation
}

fn from_catalogue(case: &Case<'_>, drop: &Observation<'_>) -> Explanation {
    let entry = case.entry();
    let summary = match (case.place, case.name()) {
        (Some(place), _) => fill::sentence(place.says, drop),
        (None, Some(name)) if name != NOT_SPECIFIED => summary::of_reason(name, entry.map(|entry| entry.meaning), drop),
        _ => summary::of_place(drop.symbol()),
    };
    let by_place = case.place.and_then(|place| place.cause);
    let cause_of = by_place.or(entry.map(|entry| entry.cause)).unwrap_or(Cause::Unknown);
    let decided = case.place.is_some() || entry.is_some_and(|entry| entry.name != NOT_SPECIFIED);
    let confidence = match case.place {
        Some(place) => place.confidence.max(case.confidence()),
        None if decided => case.confidence(),
        None => Confidence::Unknown,
    };
    let mut explanation = Explanation::new(cause_of, confidence, summary);
    explanation.remedy = filled(case.remedy().iter().copied(), drop);
    explanation.unknown = (!decided).then(|| undecided(case));
    explanation
}

fn undecided(case: &Case<'_>) -> String {
    match case.reason {
        Some(NOT_SPECIFIED) => {
            "the kernel gives no reason at this place; --stack shows how the packet got there".to_owned()
        }
        Some(name) => format!("what {name} means: this version has no description of it"),
        None => "this kernel gives no drop reasons, and the place alone does not tell".to_owned(),
    }
}

fn filled<'a>(templates: impl Iterator<Item = &'a str>, drop: &Observation<'_>) -> Vec<String> {
    templates.filter_map(|template| fill::remedy(template, drop)).collect()
}

/// The facts of the event, one a sentence.
fn evidence(case: &Case<'_>, drop: &Observation<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let symbol = drop.symbol();
    match (case.reason, case.derived) {
        (Some(name), _) => facts.push(format!("the kernel's drop reason is {name}")),
        (None, Some(derived)) => {
            facts.push(format!("this kernel gives no drop reason; {symbol} stands for {}", derived.reason));
        }
        (None, None) => facts.push("this kernel gives no drop reason".to_owned()),
    }
    if !symbol.is_empty() {
        facts.push(format!("it was freed in {symbol}"));
    }
    if hook::netfilter(symbol, case.name()).is_some()
        && let Some((hook, frame)) = hook::netfilter_hook(drop.stack.iter().copied())
    {
        facts.push(format!("{frame} ran the {hook} hook"));
    }
    if let Some(ttl) = drop.ttl.filter(|_| case.place.is_some_and(|place| place.cause == Some(Cause::Ttl))) {
        facts.push(format!("its TTL or hop limit is {ttl}"));
    }
    facts
}
