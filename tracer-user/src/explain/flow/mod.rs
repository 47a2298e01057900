//! Why an attempt to talk was not answered, from its story and what was read of the node.
//!
//! Rule: what this node can't see is never claimed: what lies beyond an uplink is `inferred`, with the evidence, and the
//! suspects are ranked only by `diagnose`, which knows the other attempts ([`rank`]).

mod rank;

pub use rank::{Platform, rank};

use crate::event::{Cause, Confidence, Explanation};
use crate::flow::Story;
use crate::node::{Question, State};

/// What is to be read of the node's state about a story; `None` if nothing would tell more.
pub fn wanted(_story: &Story) -> Option<Question> {
    None
}

/// Explains a story.
pub fn explain(_story: &Story, _state: Option<&State>) -> Explanation {
    Explanation::new(Cause::Unknown, Confidence::Unknown, "not decided")
}
