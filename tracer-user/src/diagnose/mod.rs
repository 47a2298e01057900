//! `whydrop diagnose`: watches for a bounded time, then says what is wrong, the worst first.
//!
//! ```text
//!  drop, counter, flow, dns --> Gathered: groups by what decided --> Judge: harm? --> title, suspects --> Finding --> Render
//! ```
//!
//! Rules: it is a sink: what it says comes from the same events that `-o json` prints, and from the census of all attempts.
//! Nothing is reported that traffic did not show failing; silence is a finding only where it was expected otherwise.

mod expect;
mod finding;
mod gather;
mod group;
mod harm;
mod missing;
mod names;
mod progress;
mod report;
mod resolve;
mod said;
mod same;
mod service;
mod talk;
#[cfg(test)]
mod tests;
mod text;
mod title;

pub use expect::{ExpectError, Expectation, Expected, Host};
pub use report::{Diagnosis, Health, Notes, Render, Settings};
pub use resolve::resolve;
pub use text::Text;
