//! What may have become of attempts beyond this node, ranked by what the other attempts of the run tell.
//!
//! Rule: a suspect is never a fact. Each has its numbers, for and against; one that the numbers refute is left out, and the
//! order is that of the strength of the numbers. How many of the attempts failed is said with the finding, not here again.

mod check;
mod judge;
mod numbers;
#[cfg(test)]
mod tests;

use crate::event::{Counter, Flow, Suspect};
use crate::flow::Census;
use crate::host::platform::Platform;

pub use judge::is_allowance;
use numbers::{Fate, Numbers};

/// Suspects told at most.
const MOST: usize = 4;

/// What is known of the run beside the attempts themselves.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    pub census: &'a Census,
    pub platform: Platform,
    /// Counters that rose: those of a cloud's allowances tell.
    pub counters: &'a [Counter],
}

/// One that may be told.
struct Scored {
    /// How strongly the numbers speak for it.
    score: i32,
    suspect: Suspect,
}

/// The suspects for these attempts, which have the same explanation; the likeliest first.
pub fn rank(flows: &[&Flow], around: Around<'_>) -> Vec<Suspect> {
    let Some(numbers) = Numbers::of(flows, around.census) else { return Vec::new() };
    let platform = around.platform;
    let judged = match numbers.fate {
        Fate::Silent => vec![
            judge::firewall(&numbers, platform),
            judge::translation(&numbers, platform),
            judge::dead_host(&numbers, platform),
            judge::routing(&numbers, platform),
            judge::allowance(&numbers, around.counters),
        ],
        Fate::Refused => vec![judge::prohibited(&numbers, platform), judge::some_refuse(&numbers, platform)],
        Fate::Large => vec![judge::mtu(&numbers, platform)],
    };
    let mut all: Vec<Scored> = judged.into_iter().flatten().collect();
    all.sort_by_key(|scored| std::cmp::Reverse(scored.score));
    all.into_iter().take(MOST).map(|scored| scored.suspect).collect()
}
