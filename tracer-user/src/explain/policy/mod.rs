//! Network policies: which one denied it, by what the engine in the kernel did and by what the API's objects say.
//!
//! Rule: "policy" is said only with proof: an engine's own rule or program dropped it, or nothing else explains it and a policy that
//! selects one of the pods denies it. Where the engine and the objects disagree, both are told.

use crate::event::{Drop, Flow};
use crate::kubernetes::{Index, Span};

/// Adds what the policies say to the explanation of a drop whose ends are named.
pub fn refine_drop(_drop: &mut Drop, _index: &Index, _span: Span) {}

/// The same of an attempt.
pub fn refine_flow(_flow: &mut Flow, _index: &Index, _span: Span) {}
