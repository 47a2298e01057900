//! The thread that attaches the tc programs to devices, follows devices as they come and go, and reads the maps.
//!
//! Rules: the line never waits for it but at its start and end, for a bounded time; each device is attached to once in each
//! direction, before all other programs there; what can't be attached to is said, not passed over; everything is detached
//! when the thread ends.

mod attach;
mod convert;
mod events;
mod follow;
mod handle;
mod hidden;
mod look;
mod notes;
mod ports;
mod read;
mod select;
mod worker;

pub(crate) use attach::try_clsact;
pub use handle::{Batch, FlowHandle, Hooks, Kept, Plan, spawn, spawn_with_filters};
