//! `whydrop policy`: what the policies say about connections that were not seen: from the cluster, or from files.
//!
//! Rule: the answer is that of [`tracer_policy::evaluate`] and nothing else; here objects are found, ends are named and answers are
//! shown. What is not known is an error or an `unknown`, never "allowed".

mod attempt;
mod check;
mod end;
mod error;
mod manifests;
mod matrix;
mod report;
mod seen;
mod source;

pub use attempt::{Change, Effect, Trial, deleted};
pub use check::{Check, check};
pub use end::{Resolved, destinations, source_end};
pub use error::PolicyError;
pub use matrix::{Matrix, matrix};
pub use report::{Line, Word};
pub use seen::{Connections, Seen};
pub use source::{Objects, world};
