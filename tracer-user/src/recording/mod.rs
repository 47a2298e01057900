//! What a running `watch` has explained so far, for whoever asks later: `whydrop explain` without a packet.
//!
//! Rules: the recording is two files in memory that only the watching process holds ([`Recorder`]), so nothing is left
//! behind when it ends, and the kernel lets only those read them who may trace that process. Its lines are a part of
//! the `drop` line's keys, so that a saved `watch -o json` is read in the same way ([`List`]).

mod connection;
mod error;
mod find;
mod line;
mod list;
mod write;

pub use connection::{Connection, ConnectionEnd};
pub use error::RecordingError;
pub use find::{Found, find};
pub use list::{List, Only};
pub use write::Recorder;
