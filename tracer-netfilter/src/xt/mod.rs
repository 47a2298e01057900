//! Matches and targets of x_tables, which iptables-legacy and iptables-nft share.
//!
//! Rule: one file an extension, with all there is to it: reading its revisions, what it says of a packet, and how
//! `iptables -S` prints it.

mod address;
mod blob;
mod header;
mod interface;
mod matches;
pub(crate) mod protocol;
mod targets;

pub use header::Header;
pub use matches::Match;
pub use targets::{Effect, Target};
