//! Who listens, with which queue and buffer, and whose program it is.

mod cgroup;
pub mod diag;
pub mod owner;

pub use cgroup::Place;
pub use owner::Owner;

use super::Scene;
use crate::host::HostError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {}

/// Reads it.
pub(super) fn read(_scene: &mut Scene<'_>, _memory: &mut Memory) -> Result<Sockets, HostError> {
    Ok(Sockets::default())
}
