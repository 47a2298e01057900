//! `whydrop diagnose`: watches for a bounded time, then says what is wrong, the worst first.
//!
//! Rules: it is a sink: what it says comes from the same events that `-o json` prints, and from the census of all attempts.
//! Nothing is reported that traffic did not show failing; silence is a finding only where it was expected otherwise.

mod expect;
mod finding;
mod report;

pub use expect::{Expectation, Expected};
pub use report::{Diagnosis, Health};
