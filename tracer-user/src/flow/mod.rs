//! Attempts to talk, as the tc programs see them pass: what was sent, what came back, and where it stopped.
//!
//! ```text
//!  watch: attach to devices, follow them, read the maps  --batches-->  Book: join by tuple -> Story -> explain::flow -> Flow
//! ```
//!
//! Rules: nothing is attached unless it is asked for, and all of it goes with the [`FlowHandle`]; a verdict is never changed;
//! what was seen ([`Sighting`]) is kept apart from what is concluded ([`Story`]). Joining and concluding do no input or
//! output.

mod book;
mod census;
pub mod dns;
mod point;
mod sighting;
mod story;
mod watch;

pub use book::Book;
pub use census::{Census, Few, Rtt, Service, Side, SourceTally, Tally};
pub use point::{Point, Points, Role};
pub use sighting::{Icmp, Pair, Resent, Sighting, SightingId, Tunnel, Tuple};
pub use story::{DropSeen, Lost, Rejection, Story, Way};
pub(crate) use watch::try_clsact;
pub use watch::{Batch, FlowHandle, Hooks, Kept, Plan, spawn, spawn_with_filters};
