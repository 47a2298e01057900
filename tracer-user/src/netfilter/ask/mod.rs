//! `whydrop explain --packet`: what a namespace's firewall would do with a packet that was not seen.
//!
//! Rule: the same ruleset, walk and words as for a packet that was dropped; nothing is sent and nothing is changed. What
//! only the kernel can know beforehand (a rate, a random number, an address after translation) stays open.

mod report;
mod spec;
mod way;

pub use report::Report;
pub use spec::{Spec, SpecError};
pub use way::{AskError, Stop, ask};
