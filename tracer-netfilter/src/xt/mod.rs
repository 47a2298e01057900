//! Matches and targets of x_tables, which iptables-legacy and iptables-nft share.
//!
//! Rule: one file an extension, with all there is to it: reading its revisions, what it says of a packet, and how
//! `iptables -S` prints it.

mod matches;
mod targets;

pub use matches::Match;
pub use targets::{Effect, Target};
