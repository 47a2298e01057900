//! Runs a packet through a ruleset as the kernel would, with what is not known kept apart.
//!
//! ```text
//!  stops: the base chains of the hook, in the kernel's order          approach: the packet as each of them sees it
//!    walker -> chain: jumps, verdicts, what hangs on what -> rule: expressions on registers, matches, targets
//!                 |                                            meta, payload, conntrack, fib, header, lookup, compare
//!                 +-> candidates: who drops it, by which way, and who can't have been
//! ```
//!
//! Rule: a candidate without anything unknown is one that the kernel would surely run into. Whatever could not be told on
//! the way stands with the candidate that hangs on it, or in the walk.

mod action;
mod approach;
mod candidates;
mod chain;
mod compare;
mod conntrack;
mod describe;
mod doubts;
mod effect;
mod ending;
mod failing;
mod fib;
mod frame;
mod header;
mod load;
mod lookup;
mod mark;
mod marks;
mod meta;
mod payload;
mod registers;
mod reject;
mod rule;
mod rules;
mod says;
mod stops;
#[cfg(test)]
mod tests;
mod trail;
mod view;
mod walker;

pub use failing::{Failing, failing};
pub use mark::MarkState;
pub use view::View;

use crate::model::Ruleset;
use crate::walk::{Outcome, Question, Walk};
use crate::world::World;

use candidates::Found;
#[cfg(test)]
use rules::Provider;
use rules::Rules;
use walker::{Walked, Walker};

/// Runs the packet through the base chains of the question's hook.
pub fn walk(ruleset: &Ruleset, question: &Question<'_>, world: &dyn World) -> Walk {
    run(ruleset, question, world, &Rules::new(&|place| ruleset.rule(place), Some(ruleset)))
}

/// As [`walk`], with the rules from `provider`.
#[cfg(test)]
fn walk_with(ruleset: &Ruleset, question: &Question<'_>, world: &dyn World, provider: &Provider<'_>) -> Walk {
    run(ruleset, question, world, &Rules::new(provider, None))
}

fn run(ruleset: &Ruleset, question: &Question<'_>, world: &dyn World, rules: &Rules<'_>) -> Walk {
    let first = Walker::new(ruleset, question, world, rules, true).run();
    if !first.relied {
        return first.into_walk();
    }
    let second = Walker::new(ruleset, question, world, rules, false).run();
    join(first, second).into_walk()
}

/// The first walk took bits of marks to be as they are at the end. That was wrong only if a rule has written one of them
/// later, and then the packet was dropped behind that rule: if the second walk, which knows nothing of the end, finds such
/// a drop, both are told.
fn join(first: Walked, mut second: Walked) -> Walked {
    let is_other = |found: &Found| found.is_broken && !first.has(found.candidate.place);
    if !second.found.iter().any(is_other) {
        return first;
    }
    second.found.retain(|found| is_other(found) || first.has(found.candidate.place));
    if first.outcome != second.outcome {
        second.outcome = Outcome::Open;
    }
    second
}
