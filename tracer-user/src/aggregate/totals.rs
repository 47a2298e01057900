//! Exact totals by place: namespace, interface, reason, location.

use std::collections::HashMap;

use tracer_common::{FlowKey, Tally, TotalKey};

use super::add;

/// Places remembered at most: 100 bytes each. What comes on top is added up in one row.
const MOST_PLACES: usize = 16_384;

/// Drops at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceTally {
    /// In flows that the kernel told apart.
    pub flows: Tally,
    /// In flows that did not fit.
    pub other: Tally,
}

impl PlaceTally {
    pub fn all(&self) -> Tally {
        add(self.flows, self.other)
    }
}

/// All places.
#[derive(Debug, Default)]
pub struct Totals {
    places: HashMap<TotalKey, PlaceTally>,
    elsewhere: Tally,
}

impl Totals {
    /// Adds what was drained of a flow.
    pub fn add_flow(&mut self, flow: &FlowKey, tally: Tally) {
        match self.place(flow.total()) {
            Some(place) => place.flows = add(place.flows, tally),
            None => self.elsewhere = add(self.elsewhere, tally),
        }
    }

    /// Sets what the kernel has counted among "other flows" since the start.
    pub fn set_other(&mut self, key: TotalKey, tally: Tally) {
        if let Some(place) = self.place(key) {
            place.other = tally;
        }
    }

    fn place(&mut self, key: TotalKey) -> Option<&mut PlaceTally> {
        if self.places.len() >= MOST_PLACES && !self.places.contains_key(&key) {
            return None;
        }
        Some(self.places.entry(key).or_default())
    }

    /// Places with their drops, largest first.
    pub fn largest_first(&self) -> Vec<(TotalKey, PlaceTally)> {
        let mut places: Vec<_> = self.places.iter().map(|(key, place)| (*key, *place)).collect();
        places.sort_unstable_by_key(|(key, place)| {
            (std::cmp::Reverse(place.all().packets), key.location, key.netns, key.ifindex)
        });
        places
    }

    /// All drops.
    pub fn all(&self) -> Tally {
        self.places.values().fold(self.elsewhere, |sum, place| add(sum, place.all()))
    }

    /// Drops among "other flows".
    pub fn other(&self) -> Tally {
        self.places.values().fold(Tally::default(), |sum, place| add(sum, place.other))
    }
}
