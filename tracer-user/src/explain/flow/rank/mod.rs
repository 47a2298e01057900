//! What may have become of attempts beyond this node, ranked by what the other attempts of the run tell.
//!
//! Rule: a suspect is never a fact. Each has its numbers, for and against; one that the numbers rule out is left out, and the
//! order is that of the strength of the numbers.

mod check;
mod judge;
mod numbers;
#[cfg(test)]
mod tests;

use crate::event::{Counter, Flow, Suspect};
use crate::flow::Census;
use crate::host::platform::Platform;

use numbers::Numbers;

/// Suspects told at most.
const MOST: usize = 4;

/// One that may be told.
struct Scored {
    /// How strongly the numbers speak for it; at 0 or less it is left out.
    score: i32,
    suspect: Suspect,
}

/// The suspects for these attempts, which have the same explanation; the likeliest first.
pub fn rank(flows: &[&Flow], census: &Census, platform: Platform) -> Vec<Suspect> {
    rank_with_counters(flows, census, platform, &[])
}

/// The same, with the counters that rose in the run: those of a cloud's allowances tell as well.
pub fn rank_with_counters(flows: &[&Flow], census: &Census, platform: Platform, counters: &[&Counter]) -> Vec<Suspect> {
    let Some(numbers) = Numbers::of(flows, census) else { return Vec::new() };
    let mut all: Vec<Scored> = judge::ALL.iter().map(|judge| judge(&numbers, platform)).collect();
    all.push(judge::allowance(&numbers, counters));
    all.retain(|scored| scored.score > 0);
    all.sort_by_key(|scored| std::cmp::Reverse(scored.score));
    all.into_iter().take(MOST).map(|scored| scored.suspect).collect()
}
