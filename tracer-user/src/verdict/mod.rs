//! The policy verdict of each new connection that a pod of this node makes or takes.
//!
//! Rule: what was seen (the outcome, the rule that dropped it) decides; what the policies say is told beside it, and where the two
//! differ that is the news.

use crate::event::{Drop, Flow, Verdict};
use crate::kubernetes::{Index, Span};

/// The verdicts of a named attempt: one for each end that is a pod of this node; `drop` is the drop that ended it, if one did.
pub fn verdicts(_flow: &Flow, _drop: Option<&Drop>, _index: &Index, _span: Span) -> Vec<Verdict> {
    Vec::new()
}
