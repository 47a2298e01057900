//! The policy verdict of each new connection that a pod of this node makes or takes.
//!
//! Rule: what was seen (the outcome, the rule that dropped it) decides; what the policies say is told beside it, and where the two
//! differ that is the news.

mod judge;
mod ledger;
mod seen;
mod side;
#[cfg(test)]
mod tests;

pub use judge::{Judged, judge};
pub use ledger::{Due, Ledger};
