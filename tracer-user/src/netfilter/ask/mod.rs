//! `whydrop explain --packet`: what a namespace's firewall would do with a packet that was not seen.
//!
//! Rule: the same ruleset, walk and words as for a packet that was dropped; nothing is sent and nothing is changed. What
//! only the kernel can know beforehand (a rate, a random number, which address a translation picks) stays open.

mod follow;
mod report;
mod spec;
mod way;

pub use follow::{Answer, AskError, Step, Stop, ask};
pub use report::Report;
pub use spec::{Spec, SpecError};
