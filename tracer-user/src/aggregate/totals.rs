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
    /// What came when there was no room for another place.
    elsewhere: PlaceTally,
}

impl Totals {
    /// Adds what was drained of a flow.
    pub fn add_flow(&mut self, flow: &FlowKey, tally: Tally) {
        match self.place(flow.total()) {
            Some(place) => place.flows = add(place.flows, tally),
            None => self.elsewhere.flows = add(self.elsewhere.flows, tally),
        }
    }

    /// Begins a reading of what the kernel has counted among "other flows" since the start.
    pub fn clear_other(&mut self) {
        self.elsewhere.other = Tally::default();
        self.places.values_mut().for_each(|place| place.other = Tally::default());
    }

    /// Adds one place of that reading.
    pub fn add_other(&mut self, key: TotalKey, tally: Tally) {
        let elsewhere = self.elsewhere.other;
        match self.place(key) {
            Some(place) => place.other = tally,
            None => self.elsewhere.other = add(elsewhere, tally),
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
        self.places.values().fold(self.elsewhere.all(), |sum, place| add(sum, place.all()))
    }

    /// Drops among "other flows".
    pub fn other(&self) -> Tally {
        self.places.values().fold(self.elsewhere.other, |sum, place| add(sum, place.other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::read_plain;

    fn flow(location: u64) -> FlowKey {
        let mut flow: FlowKey = read_plain(&[0; size_of::<FlowKey>()]).unwrap();
        flow.location = location;
        flow
    }

    #[test]
    fn nothing_is_lost_when_there_are_too_many_places() {
        let mut totals = Totals::default();
        let (one, all) = (Tally { packets: 1, bytes: 60 }, MOST_PLACES as u64 + 10);
        (0..all).for_each(|place| totals.add_flow(&flow(place), one));
        for _ in 0..2 {
            // Read twice, as each tick does: the kernel's figures are since the start.
            totals.clear_other();
            (0..all).for_each(|place| totals.add_other(flow(place).total(), one));
        }
        assert_eq!(totals.largest_first().len(), MOST_PLACES);
        assert_eq!(totals.other(), Tally { packets: all, bytes: 60 * all });
        assert_eq!(totals.all(), Tally { packets: 2 * all, bytes: 120 * all });
    }
}
