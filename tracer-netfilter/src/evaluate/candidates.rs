//! The rules that drop the packet, surely or perhaps, and those that can't have been.

use super::MarkState;
use super::doubts::Doubts;
use super::trail::Trail;
use crate::model::{Chain, Place, Table};
use crate::walk::{Candidate, End};

pub(super) const MARK: &str = "the packet's mark on the way";

/// A candidate, with what it rests on.
pub(super) struct Found {
    pub candidate: Candidate,
    /// It drops the packet for sure if the mark was before as it was at the end.
    pub is_assumed: bool,
    /// Bits of both marks that were taken from the end and written on the way to it.
    pub broken: (u32, u32),
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
    /// Bits of the packet's mark that were taken from the end on the way there.
    pub(super) fn relied(&self) -> u32 {
        self.trail.iter().chain(self.rule).fold(0, |bits, trail| bits | trail.relied)
    }

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
    pub(super) fn push(&mut self, drop: Drop<'_>, is_assumed: bool) {
        let broken = (drop.marks.0.broken_bits(), drop.marks.1.broken_bits());
        let candidate = drop.candidate();
        // A chain that is passed more than once may end the packet at the same rule again.
        if let Some(same) = self.found.iter_mut().find(|found| found.candidate.place == candidate.place) {
            if !same.candidate.unknown.is_empty() && candidate.unknown.is_empty() {
                *same = Found { candidate, is_assumed, broken };
            }
            return;
        }
        self.found.push(Found { candidate, is_assumed, broken });
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

    /// Bits of both marks that candidates were wrong to take from the end.
    pub(super) fn broken(&self) -> (u32, u32) {
        self.found.iter().fold((0, 0), |all, found| (all.0 | found.broken.0, all.1 | found.broken.1))
    }

    /// Whether the last candidate is one that assumed the mark, with no other one that does not.
    pub(super) fn ends_assumed(&self) -> bool {
        self.found.last().is_some_and(|found| found.is_assumed)
    }

    pub(super) fn into_candidates(mut self) -> Vec<Candidate> {
        let last = self.found.len().saturating_sub(1);
        for (index, found) in self.found.iter_mut().enumerate() {
            if found.is_assumed && index < last {
                found.candidate.unknown.push(MARK.to_owned());
            }
        }
        self.found.into_iter().map(|found| found.candidate).collect()
    }
}

/// `rule 3 of chain INPUT in table ip filter`, or its policy.
pub(super) fn name(table: &Table, chain: &Chain, number: u32) -> String {
    let place = format!("chain {} in table {} {}", chain.name, table.family.as_str(), table.name);
    if number == 0 { format!("the policy of {place}") } else { format!("rule {number} of {place}") }
}
