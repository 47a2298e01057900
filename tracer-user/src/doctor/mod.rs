//! `whydrop doctor`: what works here, what does not, and how to get it.
//!
//! Rules: a capability is decided by trying it, never by a version number; every row that is not `ok` says what is lost
//! without it, why it is refused, and the exact fix. Nothing on the host is changed: what a trial makes
//! is gone when the trial ends.

mod bpf;
mod capability;
mod check;
mod cluster;
mod context;
mod fix;
mod host;
mod report;
mod ruleset;
mod trial;

pub use check::{CHECKS, Check, Finding, Group, Status};
pub use report::{Report, Row, render_text};

/// Runs all checks; takes less than a second on a node with hundreds of pods.
pub fn run() -> Report {
    let context = context::Context::read();
    let rows = CHECKS.iter().map(|check| Row::of(check, (check.run)(&context))).collect();
    Report::new(&context.kernel, rows)
}
