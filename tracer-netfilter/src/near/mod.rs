//! The rule of a policy's chain that almost let a packet through, and what kept it from doing so.
//!
//! Rule: the chains are those that the owner of the drop found to be the policies'; a rule is near by what surely does not hold of
//! it, and one of which something can't be told in words is told by its own text. Nothing of it is a guess at the policy's
//! object: it is what the engine made of it.

mod words;

use crate::evaluate::{Failing, failing};
use crate::model::{Expression, Hook, MetaKey, Place, Rule, Ruleset, Verdict};
use crate::owner::{Enforced, PolicyDirection, PolicyRef};
use crate::packet::Packet;
use crate::world::World;
use words::Wanted;

/// Rules of a chain that are looked at.
const MOST_RULES: u32 = 2000;

/// The rule that came closest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Absent: the ruleset does not name the policy of the chain.
    pub policy: Option<PolicyRef>,
    /// Where it stands; number 0 if the chain has no rule that allows anything.
    pub place: Place,
    /// What failed: `the source 10.244.1.5 is not in the set azure-npm-123 (podlabel-app:client)`.
    pub mismatch: String,
}

/// What the packet is asked by.
pub struct Asked<'a> {
    pub ruleset: &'a Ruleset,
    /// Index of the table of the drop.
    pub table: usize,
    pub packet: &'a Packet,
    pub hook: Hook,
    pub world: &'a dyn World,
}

/// The rule that lets the packet through if the fewest of its conditions were different; `None` where no chain of a policy is known,
/// or where it can't be told what kept its rules from it.
pub fn nearest(asked: &Asked<'_>, enforced: &Enforced) -> Option<Near> {
    let mut best: Option<(usize, Near)> = None;
    for found in &enforced.chains {
        let place = Place { table: asked.table, chain: found.chain, number: 0 };
        let mut has_rule = false;
        for number in 1..=MOST_RULES {
            let place = Place { number, ..place };
            let Some(rule) = asked.ruleset.rule(place) else { break };
            let Ok(rule) = rule else { continue };
            if !allows(&rule) {
                continue;
            }
            has_rule = true;
            let failing = failing(asked.ruleset, (place, &rule), (asked.packet, asked.hook), asked.world);
            let Some((count, mismatch)) = told(asked, &rule, &failing, enforced.direction) else { continue };
            if best.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
                best = Some((count, Near { policy: found.policy.clone(), place, mismatch }));
            }
        }
        if !has_rule && best.is_none() {
            let mismatch = format!("it has no rule that allows any {}", enforced.direction.as_str());
            best = Some((usize::MAX, Near { policy: found.policy.clone(), place, mismatch }));
        }
    }
    best.map(|(_, near)| near)
}

/// How many conditions do not hold, and which; `None` if the rule lets the packet through, or what fails is only a mark that another
/// rule was to set.
fn told(asked: &Asked<'_>, rule: &Rule, failing: &[Failing], direction: PolicyDirection) -> Option<(usize, String)> {
    let mut wanted = Wanted::new(asked, rule, direction);
    for failing in failing {
        wanted.add(failing);
    }
    wanted.told()
}

/// Whether the rule lets packets through: it accepts, goes to a chain that does, or sets the mark by which a later rule does.
fn allows(rule: &Rule) -> bool {
    let is_denial = rule.comment.as_deref().is_some_and(|comment| comment.starts_with("DROP"));
    !is_denial
        && rule.expressions.iter().any(|expression| match expression {
            Expression::Verdict(Verdict::Accept) => true,
            Expression::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => {
                chain.contains("ACCEPT") || chain.contains("ALLOW")
            }
            Expression::MetaSet { key, .. } => *key == MetaKey::Mark,
            Expression::Target(target) => target.text(crate::model::Family::Ip).starts_with("-j MARK"),
            _ => false,
        })
}
