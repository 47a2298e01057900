//! What of one rule does not hold for a packet: all of it, not only the first.
//!
//! Rule: what can't be told is no failure. Only conditions are looked at; what the rule would do is not done.

use super::lookup::{Held, Sets, lookup};
use super::registers::Registers;
use super::rule::{Flow, Run};
use super::{MarkState, View};
use crate::model::{ChainKind, Expression, Hook, Place, Rule, Ruleset};
use crate::packet::Packet;
use crate::world::World;

/// A condition of a rule that surely does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which of [`Rule::expressions`].
    pub expression: usize,
    /// What it looks at, in nft's words (`ip saddr`, `th dport`); empty for a match of `x_tables`.
    pub what: String,
    /// Of a set that has a name: `10.0.0.1 is not in set bl`.
    pub sentence: Option<String>,
}

/// The conditions of a rule that do not hold, in their order; empty if all may.
pub fn failing(
    ruleset: &Ruleset,
    (place, rule): (Place, &Rule),
    (packet, hook): (&Packet, Hook),
    world: &dyn World,
) -> Vec<Failing> {
    let Some(table) = ruleset.table(place) else { return Vec::new() };
    let mark = MarkState::new(packet.mark, false);
    let connection_mark = MarkState::unknown();
    let mut view = View { packet, world, hook, table, mark, connection_mark, no_track: false };
    let (mut registers, mut sets, mut changed) = (Registers::default(), Sets::new(ruleset), Vec::new());
    let mut run = Run {
        view: &mut view,
        registers: &mut registers,
        sets: &mut sets,
        table: place.table,
        kind: ChainKind::Filter,
        sure: true,
        doubt: None,
        sentences: Vec::new(),
        changed: &mut changed,
        verbose: false,
    };
    let conditions = rule.expressions.iter().enumerate().filter(|(_, expression)| is_condition(expression));
    conditions.filter_map(|(index, expression)| run.fails(index, expression)).collect()
}

/// A load, a change of registers or a match.
const fn is_condition(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Payload { .. }
            | Expression::Meta { .. }
            | Expression::Conntrack { .. }
            | Expression::Fib { .. }
            | Expression::ExtensionHeader { .. }
            | Expression::Immediate { .. }
            | Expression::Bitwise { .. }
            | Expression::ByteOrder { .. }
            | Expression::Compare { .. }
            | Expression::Range { .. }
            | Expression::Lookup { map: None, .. }
            | Expression::Match(_)
    )
}

impl Run<'_, '_, '_> {
    fn fails(&mut self, index: usize, expression: &Expression) -> Option<Failing> {
        if let Expression::Lookup { set, register, negated: false, .. } = expression {
            let what = self.registers.name(*register).to_owned();
            let set = self.sets.find(self.table, set)?;
            let Held::No(sentence) = lookup(self.view, self.registers, set, *register) else { return None };
            return Some(Failing { expression: index, what, sentence });
        }
        match self.expression(expression) {
            Flow::No(what) => Some(Failing { expression: index, what: what.into_owned(), sentence: None }),
            Flow::Next | Flow::Maybe(_) | Flow::Ends(_) | Flow::EndsPerhaps(..) => None,
        }
    }
}
