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
mod fib;
mod frame;
mod header;
mod load;
mod lookup;
mod mark;
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

pub use mark::MarkState;
pub use view::View;

use crate::model::Ruleset;
use crate::walk::{Question, Walk};
use crate::world::World;

use rules::{Provider, Rules};
use walker::{Trust, Walker};

/// Walks that are made at most, each with less taken from the mark at the end; the last one with nothing.
const ROUNDS: usize = 6;

/// Runs the packet through the base chains of the question's hook.
pub fn walk(ruleset: &Ruleset, question: &Question<'_>, world: &dyn World) -> Walk {
    walk_with(ruleset, question, world, &|place| ruleset.rule(place))
}

/// As [`walk`], with the rules from `provider`.
fn walk_with(ruleset: &Ruleset, question: &Question<'_>, world: &dyn World, provider: &Provider<'_>) -> Walk {
    let rules = Rules::new(provider);
    let mut trust = Trust::ALL;
    for _ in 1..ROUNDS {
        let (walk, broken) = Walker::new(ruleset, question, world, &rules, &trust).run();
        if !trust.learn(broken) {
            return walk;
        }
    }
    Walker::new(ruleset, question, world, &rules, &Trust::NONE).run().0
}
