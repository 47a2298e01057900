//! Who should have answered a packet that arrived in a namespace: its listeners and their queues, and whether the program behind
//! them runs.
//!
//! Rule: asked about attempts that nobody answered, of which no packet was dropped; so what is read is a state, not a verdict.

use super::Scene;
use crate::host::HostError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {}

#[expect(clippy::unnecessary_wraps, reason = "reading may fail")]
pub(super) fn read(_scene: &mut Scene<'_>, _memory: &mut Memory) -> Result<Silence, HostError> {
    Ok(Silence {})
}
