//! What may have become of attempts beyond this node, ranked by what the other attempts of the run tell.

use crate::event::{Flow, Suspect};
use crate::flow::Census;
use crate::host::platform::Platform;

/// The suspects for these attempts, which have the same explanation; the likeliest first.
pub fn rank(_flows: &[&Flow], _census: &Census, _platform: Platform) -> Vec<Suspect> {
    Vec::new()
}
