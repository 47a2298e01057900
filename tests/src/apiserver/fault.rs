//! What the API server does wrong.

use std::collections::HashMap;
use std::time::Duration;

/// In the place of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// This text, with status 200.
    Text(String),
    /// A list whose one object never ends.
    Endless,
    /// A list that stops in the middle; the connection stays.
    Stalled,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// By resource; true: only without a field selector.
    pub(super) denied: HashMap<String, bool>,
    pub(super) garbage: HashMap<String, Garbage>,
    pub(super) delay: Duration,
    pub(super) unauthorized: bool,
    pub(super) close_watches: bool,
}

impl Faults {
    pub(super) fn denies(&self, resource: &str, has_field_selector: bool) -> bool {
        self.denied.get(resource).is_some_and(|only_cluster_wide| !(*only_cluster_wide && has_field_selector))
    }
}
