//! Why an attempt to talk was not answered, from its story and what was read of the node.
//!
//! Rule: what this node can't see is never claimed: what lies beyond an uplink is `inferred`, with the evidence, and the
//! suspects are ranked only by `diagnose`, which knows the other attempts ([`rank`]).

mod answer;
mod arrived;
mod ask;
mod between;
mod beyond;
mod dropped;
mod large;
mod rank;
mod refused;
#[cfg(test)]
mod tests;
mod unconfirmed;
mod words;

pub use crate::host::platform::Platform;
pub use ask::wanted;
pub use rank::{Around, is_allowance, rank};
pub(crate) use words::{counted, goal_of as goal};

use crate::event::{Cause, Confidence, Explanation};
use crate::flow::{Lost, Story};
use crate::node::{Facts, State};

/// Explains a story.
pub fn explain(story: &Story, state: Option<&State>) -> Explanation {
    let mut explanation = told(story, state);
    explanation.evidence.extend(words::seen(story));
    for open in state.iter().flat_map(|state| &state.unknown) {
        words::doubt(&mut explanation, open);
    }
    explanation
}

fn told(story: &Story, state: Option<&State>) -> Explanation {
    let silence = match state.map(|state| &state.facts) {
        Some(Facts::Silence(silence)) => Some(&**silence),
        _ => None,
    };
    if let Some(drop) = dropped::decisive(story) {
        return dropped::explain(story, drop);
    }
    if let Some(rejection) = &story.rejection {
        return refused::explain(story, rejection, silence);
    }
    match &story.lost {
        Some(Lost::AfterNode { at }) => beyond::explain(story, at),
        Some(Lost::InPod { at }) => arrived::in_pod(story, at, silence),
        Some(Lost::InNetns { at }) => arrived::in_netns(story, at, silence),
        Some(Lost::Between { from }) => between::explain(story, from, silence),
        Some(Lost::Answer { from }) => answer::lost(story, from, silence),
        Some(Lost::AnswerElsewhere { asked, answered }) => answer::elsewhere(story, asked, answered, silence),
        Some(Lost::Unconfirmed { at }) => unconfirmed::explain(story, at, silence),
        Some(Lost::LargeSegments { at }) => large::explain(story, at.as_deref()),
        None => nothing(story),
    }
}

/// Nothing tells where it stopped.
fn nothing(story: &Story) -> Explanation {
    let summary = format!("{} to {} had no answer", words::opens(story), words::goal(story));
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Unknown, summary);
    words::doubt(&mut explanation, "where they stopped: no interface that is watched tells");
    explanation.remedy = beyond::capture_everywhere(story);
    explanation
}
