//! The rules that drop the packet, surely or perhaps, and those that can't have been.

use super::MarkState;
use super::doubts::Doubts;
use super::trail::Trail;
use crate::model::{Chain, Place, Table};
use crate::walk::{Candidate, End};

/// A candidate, with what it rests on.
pub(super) struct Found {
    pub candidate: Candidate,
    /// A bit of a mark was written after it was asked for without being known.
    pub is_broken: bool,
}

/// A drop on its way to become a candidate.
pub(super) struct Drop<'a> {
    pub place: Place,
    pub end: End,
    /// The jumps that led there.
    pub trail: &'a [Trail],
    /// The rule itself; a policy has none.
    pub rule: Option<&'a Trail>,
    pub unknown: Doubts,
    pub marks: (&'a MarkState, &'a MarkState),
}

impl Drop<'_> {
    fn candidate(self) -> Candidate {
        let mut path: Vec<Place> = self.trail.iter().map(|trail| trail.place).collect();
        path.push(self.place);
        let (mut marks, mut sets): (Vec<Place>, Vec<String>) = (Vec::new(), Vec::new());
        for trail in self.trail.iter().chain(self.rule) {
            for place in &trail.marks {
                if !marks.contains(place) {
                    marks.push(*place);
                }
            }
            sets.extend(trail.sets.iter().cloned());
        }
        Candidate { place: self.place, end: self.end, path, unknown: self.unknown.into_strings(), marks, sets }
    }
}

#[derive(Default)]
pub(super) struct Candidates {
    found: Vec<Found>,
    /// Rules that would have dropped it and can't have, a phrase each.
    pub contradictions: Doubts,
}

impl Candidates {
    pub(super) fn push(&mut self, drop: Drop<'_>) {
        let is_broken = drop.marks.0.is_broken() || drop.marks.1.is_broken();
        let candidate = drop.candidate();
        // A chain that is passed more than once may end the packet at the same rule again.
        let same = self.found.iter().position(|found| found.candidate.place == candidate.place);
        if let Some(index) = same
            && let Some(found) = self.found.get_mut(index)
        {
            found.is_broken |= is_broken;
            if !candidate.unknown.is_empty() || found.candidate.unknown.is_empty() {
                return;
            }
            self.found.remove(index);
        }
        self.found.push(Found { candidate, is_broken });
    }

    pub(super) const fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All from the one before `from` on hang on this as well.
    pub(super) fn doubt_from(&mut self, from: usize, reason: &str) {
        for found in self.found.iter_mut().skip(from) {
            if !found.candidate.unknown.iter().any(|phrase| phrase == reason) {
                found.candidate.unknown.push(reason.to_owned());
            }
        }
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found
    }
}

/// `rule 3 of chain INPUT in table ip filter`, or its policy.
pub(super) fn name(table: &Table, chain: &Chain, number: u32) -> String {
    let place = format!("chain {} in table {} {}", chain.name, table.family.as_str(), table.name);
    if number == 0 { format!("the policy of {place}") } else { format!("rule {number} of {place}") }
}
