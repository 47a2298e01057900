//! Runs the expressions of one rule (`nft_do_chain`, `net/netfilter/nf_tables_core.c`; `ipt_do_table`).
//!
//! Rule: expressions run in order until one does not match. Behind one that may match, the others still run: a later "no"
//! decides, and what they change is changed only perhaps.

use std::borrow::Borrow;

use super::action::{Action, Ran, Target, Translation};
use super::load::Loaded;
use super::lookup::{Held, Sets, lookup};
use super::registers::{Reason, Registers};
use super::{View, compare, conntrack, effect, ending, fib, header, meta, payload};
use crate::model::{ChainKind, ElementData, Expression, Family, MapTarget, PayloadBase, Register, Verdict};
use crate::packet::Mark;
use crate::truth::Truth;
use crate::xt::Effect;

/// What one expression comes to.
pub(super) enum Flow {
    Next,
    No(Reason),
    Maybe(Reason),
    /// It ends the rule.
    Ends(Action),
    /// As one of these, or not at all.
    EndsPerhaps(Reason, Vec<Action>),
}

impl Flow {
    pub(super) fn from_truth(truth: Truth, what: impl Into<Reason>) -> Self {
        match truth {
            Truth::Yes => Self::Next,
            Truth::No => Self::No(what.into()),
            Truth::Unknown(reason) => Self::Maybe(reason),
        }
    }
}

/// One rule on its way.
pub(super) struct Run<'e, 'p, 'r> {
    pub view: &'e mut View<'p>,
    pub registers: &'e mut Registers,
    pub sets: &'e mut Sets<'r>,
    /// Index of the table.
    pub table: usize,
    pub kind: ChainKind,
    /// Whether the packet surely comes to this expression and all before matched.
    pub sure: bool,
    pub doubt: Option<Reason>,
    pub sentences: Vec<String>,
    /// Bytes of the packet that rules have changed, as ranges.
    pub changed: &'e mut Vec<(usize, usize)>,
    /// What does not match is told in full.
    pub verbose: bool,
}

impl Run<'_, '_, '_> {
    pub(super) fn rule(mut self, expressions: impl Iterator<Item: Borrow<Expression>>) -> Ran {
        for expression in expressions {
            match self.expression(expression.borrow()) {
                Flow::Next => {}
                Flow::No(what) => return Ran::No(what),
                Flow::Maybe(reason) => self.hang(reason),
                Flow::Ends(action) => return self.done(vec![action]),
                Flow::EndsPerhaps(reason, actions) => {
                    self.hang(reason);
                    return self.done(actions);
                }
            }
        }
        self.done(vec![Action::Continue])
    }

    /// That of the packet, in a table of both.
    const fn family(&self) -> Family {
        match self.view.family() {
            Family::Inet if self.view.packet.is_ipv6() => Family::Ip6,
            Family::Inet => Family::Ip,
            family => family,
        }
    }

    fn hang(&mut self, reason: Reason) {
        self.sure = false;
        self.doubt.get_or_insert(reason);
    }

    fn done(self, actions: Vec<Action>) -> Ran {
        Ran::Matches { doubt: self.doubt, actions, sets: self.sentences }
    }

    pub(super) fn expression(&mut self, expression: &Expression) -> Flow {
        match expression {
            Expression::Payload { .. }
            | Expression::Meta { .. }
            | Expression::Conntrack { .. }
            | Expression::Fib { .. }
            | Expression::ExtensionHeader { .. } => self.load(expression),
            Expression::Immediate { data, register } => {
                self.registers.store(*register, data, "a value");
                Flow::Next
            }
            Expression::Bitwise { source, destination, length, operation } => {
                self.registers.bitwise(*source, *destination, *length as usize, operation);
                Flow::Next
            }
            Expression::ByteOrder { source, destination, length, size, .. } => {
                self.registers.swap(*source, *destination, *length as usize, *size);
                Flow::Next
            }
            Expression::Compare { register, operator, data } => {
                let what = self.registers.name(*register);
                Flow::from_truth(compare::compare(self.view, self.registers, (*register, *operator), data), what)
            }
            Expression::Range { register, negated, from, to } => {
                let what = self.registers.name(*register);
                let truth = compare::range(self.view, self.registers, *register, (from, to));
                Flow::from_truth(truth.invert_if(*negated), what)
            }
            Expression::Lookup { set, register, map, negated } => self.lookup(set, *register, *map, *negated),
            Expression::Match(extension) => {
                let truth = extension.matches(self.view);
                if truth == Truth::Yes {
                    self.sentences.extend(extension.evidence(self.view));
                }
                let is_told = self.verbose && truth == Truth::No;
                Flow::from_truth(truth, if is_told { extension.text(self.family()).into() } else { Reason::default() })
            }
            Expression::Target(target) => {
                let effect = target.apply(self.view, self.sure);
                self.target(effect)
            }
            Expression::Verdict(verdict) => self.verdict(verdict),
            other => effect::run(self, other).unwrap_or_else(|| ending::run(self, other)),
        }
    }

    fn load(&mut self, expression: &Expression) -> Flow {
        let (loaded, register, name) = match expression {
            Expression::Payload { base, offset, length, register } => {
                let name = payload::name(self.view.packet, *base, *offset, *length);
                let loaded = if self.is_changed(*base, *offset, *length) {
                    Loaded::unknown(*length as usize, "bytes that a rule on the way has changed")
                } else {
                    payload::load(self.view, *base, *offset, *length)
                };
                (loaded, *register, name)
            }
            Expression::Meta { key, register } => (meta::load(self.view, *key), *register, meta::name(*key)),
            Expression::Conntrack { key, direction, register } => {
                (conntrack::load(self.view, *key, *direction), *register, conntrack::name(*key))
            }
            Expression::Fib { result, flags, register } => (fib::load(self.view, *result, *flags), *register, "fib"),
            Expression::ExtensionHeader { header, kind, offset, length, present, register } => {
                let wanted = header::Wanted {
                    header: *header,
                    kind: *kind,
                    offset: *offset,
                    length: *length,
                    present: *present,
                };
                (header::load(self.view, &wanted), *register, "exthdr")
            }
            _ => return Flow::Next,
        };
        if loaded.store(self.registers, register, name, self.view) { Flow::Next } else { Flow::No(name.into()) }
    }

    /// A rule writes to the packet. One that was seen when it was dropped is shown as it was then.
    pub(super) fn change(&mut self, base: PayloadBase, offset: u32, length: u32) {
        if let (Mark::Before(_), Some(range)) = (self.view.packet.mark, payload::place(self.view, base, offset, length))
            && !self.changed.contains(&range)
        {
            self.changed.push(range);
        }
    }

    fn is_changed(&self, base: PayloadBase, offset: u32, length: u32) -> bool {
        !self.changed.is_empty()
            && payload::place(self.view, base, offset, length)
                .is_some_and(|(from, to)| self.changed.iter().any(|(start, end)| from < *end && *start < to))
    }

    /// Loads something that can't be known.
    pub(super) fn load_unknown(&mut self, register: Register, length: usize, reason: &'static str) -> Flow {
        self.registers.store_unknown(register, (&[], length), &Reason::Borrowed(reason), reason);
        Flow::Next
    }

    fn lookup(&mut self, name: &str, register: Register, map: Option<MapTarget>, negated: bool) -> Flow {
        let what = self.registers.name(register);
        let Some(set) = self.sets.find(self.table, name) else {
            return Flow::Maybe(format!("the set {name}, which was not read").into());
        };
        match (lookup(self.view, self.registers, set, register), map) {
            (Held::Yes(..), None) if negated => Flow::No(what.into()),
            (Held::No(sentence), None) if negated => {
                self.sentences.extend(sentence);
                Flow::Next
            }
            (Held::No(_), _) => Flow::No(what.into()),
            (Held::Yes(data, sentence), map) => {
                self.sentences.extend(sentence);
                self.found(data, map)
            }
            (Held::Unknown(reason, _), None) => Flow::Maybe(reason),
            (Held::Unknown(reason, data), Some(MapTarget::Verdict)) => self.verdicts(reason, &data),
            (Held::Unknown(reason, _), Some(MapTarget::Register(register))) => {
                let length = set.data_length.unwrap_or(16) as usize;
                self.registers.store_unknown(register, (&[], length), &reason, what);
                Flow::Maybe(reason)
            }
        }
    }

    fn found(&mut self, data: Option<ElementData>, map: Option<MapTarget>) -> Flow {
        match (map, data) {
            (None, _) => Flow::Next,
            (Some(MapTarget::Register(register)), Some(ElementData::Value(value))) => {
                self.registers.store(register, &value, "a map's value");
                Flow::Next
            }
            (Some(MapTarget::Verdict), Some(ElementData::Verdict(verdict))) => self.verdict(&verdict),
            (Some(_), _) => Flow::Maybe("what a map holds, which was not read".into()),
        }
    }

    fn verdicts(&self, reason: Reason, data: &[ElementData]) -> Flow {
        if data.is_empty() {
            return Flow::EndsPerhaps(reason.clone(), vec![Action::Unclear(reason)]);
        }
        let verdicts = data.iter().filter_map(|data| match data {
            ElementData::Verdict(verdict) => Some(self.action(verdict)),
            _ => None,
        });
        Flow::EndsPerhaps(reason, verdicts.collect())
    }

    fn verdict(&self, verdict: &Verdict) -> Flow {
        match verdict {
            // Only the register is set: the next expression runs.
            Verdict::Continue => Flow::Next,
            verdict => Flow::Ends(self.action(verdict)),
        }
    }

    fn action(&self, verdict: &Verdict) -> Action {
        let chain = |name: &str, action: fn(usize) -> Action| match self.view.table.find(name) {
            Some(index) => action(index),
            None => Action::Unclear(format!("the chain {name}, which was not read").into()),
        };
        match verdict {
            Verdict::Accept => Action::Accept,
            Verdict::Drop => Action::Drop(crate::walk::End::Drop),
            Verdict::Continue => Action::Continue,
            Verdict::Return => Action::Return,
            Verdict::Jump(name) => chain(name, Action::Jump),
            Verdict::Goto(name) => chain(name, Action::Goto),
            Verdict::Queue(number) => ending::queue(*number, false),
            Verdict::Stolen => Action::Stolen,
        }
    }

    fn target(&self, effect: Effect) -> Flow {
        match effect {
            Effect::Continue => Flow::Next,
            // Nothing but address translation accepts in a chain of that kind.
            Effect::Accept if self.kind == ChainKind::Nat => {
                let kind = ending::nat_kind(self.view.hook);
                let translation = Translation { kind, address: Target::Unknown, port: Target::Unknown };
                Flow::Ends(Action::Translate(translation))
            }
            Effect::Accept => Flow::Ends(Action::Accept),
            Effect::Stolen => Flow::Ends(Action::Stolen),
            Effect::Ends(end) => Flow::Ends(ending::of(end)),
            Effect::Unknown(reason) => Flow::Ends(Action::Unclear(reason.into())),
        }
    }
}
