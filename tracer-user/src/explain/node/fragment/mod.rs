//! To be explained.

use crate::event::Explanation;
use crate::explain::Observation;
use crate::node::fragment::Fragments;

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(_explanation: &mut Explanation, _state: &Fragments, _drop: &Observation<'_>) {}
