//! To be read: see the module's page of the documentation.

pub(in crate::node) mod head;

use super::Scene;
use crate::host::HostError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksum {}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {}

/// Reads it.
pub(super) fn read(_scene: &mut Scene<'_>, _memory: &mut Memory) -> Result<Checksum, HostError> {
    Ok(Checksum::default())
}
