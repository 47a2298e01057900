//! The walk through one base chain and what it jumps to (`nft_do_chain`, `ipt_do_table`).
//!
//! Rule: ways that part at a rule of which it can't be told whether it matches are walked as one, and come together again
//! where the kernel's ways do: behind the jump, at the end of the chain, at the next base chain. What lies on only one of
//! them hangs on what parted them.

use std::borrow::Borrow;
use std::rc::Rc;

use super::View;
use super::action::{Action, Ran};
use super::candidates::{Drop, name};
use super::doubts::Doubts;
use super::frame::{Entry, Frame, Pending};
use super::marks::{Marks, meet};
use super::registers::Reason;
use super::rule::Run;
use super::rules::Looked;
use super::stops::Stop;
use super::trail::Trail;
use super::walker::{VISITS, Walker};
use crate::model::{Backend, Expression, Place, Policy};
use crate::packet::Mark;
use crate::walk::{End, Step};

/// `NFT_JUMP_STACK_SIZE`
const NFT_DEPTH: usize = 16;
/// More jumps and gotos in a row than any ruleset has that the kernel takes: it refuses loops.
const LONGEST: usize = 100_000;

pub(super) struct ChainWalk<'w, 'a, 'p> {
    walker: &'w mut Walker<'a>,
    view: View<'p>,
    stop: &'w Stop,
    /// The packet can have been dropped here.
    is_possible: bool,
    /// What it hangs on that the packet is still in the base chain: rules that may have accepted it.
    base: Doubts,
    frames: Vec<Frame>,
    trail: Vec<Trail>,
    /// What rules had done to packets that go on to the next base chain; `None` if no way leads there.
    exits: Option<Marks>,
}

impl<'w, 'a, 'p> ChainWalk<'w, 'a, 'p> {
    pub(super) fn new(walker: &'w mut Walker<'a>, view: View<'p>, stop: &'w Stop, doubt: Option<Reason>) -> Self {
        let exits = doubt.as_ref().map(|_| Marks::of(&view));
        let is_backend = walker.question.backend.is_none_or(|backend| backend == stop.backend);
        let is_possible = is_backend && walker.approach.can_end_at(stop);
        let frames = vec![Frame::new(stop.place.chain, Entry::Sure, None, 0)];
        Self { walker, view, stop, is_possible, base: doubt.into(), frames, trail: Vec::new(), exits }
    }

    /// How the packet goes on to the next base chain, surely or perhaps; `None` if it does not.
    pub(super) fn run(mut self) -> Option<Marks> {
        while let Some(frame) = self.frames.last_mut() {
            if let Some(pending) = frame.pending.pop_front() {
                self.act(pending);
                continue;
            }
            let place = Place { chain: frame.chain, number: frame.next, ..self.stop.place };
            frame.next = frame.next.saturating_add(1);
            self.walker.visits += 1;
            if self.walker.visits > VISITS {
                self.walker.notes.add("the rest of the rules, which are too many to look at".into());
                self.exit();
                break;
            }
            match self.walker.rules.get(place) {
                None => self.leave(Some(Marks::of(&self.view))),
                Some(Looked::Raw(expressions)) => self.rule(place, expressions),
                Some(Looked::Decoded(rule)) => match &*rule {
                    Ok(rule) => self.rule(place, rule.expressions.iter()),
                    Err(error) => {
                        let name = self.name(place);
                        self.unclear(format!("{name}, which can't be read: {error}").into());
                    }
                },
            }
        }
        self.exits
    }

    fn name(&self, place: Place) -> String {
        let chain = self.walker.ruleset.chain(place);
        chain.map_or_else(|| "a rule".to_owned(), |chain| name(self.view.table, chain, place.number))
    }

    fn is_sure(&self) -> bool {
        self.base.is_empty() && self.frames.iter().all(|frame| frame.doubts.is_empty())
    }

    fn rule(&mut self, place: Place, expressions: impl Iterator<Item: Borrow<Expression>>) {
        let run = Run {
            view: &mut self.view,
            registers: &mut self.walker.registers,
            sets: &mut self.walker.sets,
            table: place.table,
            kind: self.stop.kind,
            sure: true,
            doubt: None,
            sentences: Vec::new(),
            changed: &mut self.walker.changed,
            verbose: self.walker.question.verbose,
        };
        let ran = run.rule(expressions);
        if self.walker.question.verbose {
            self.step(place, &ran);
        }
        self.walker.relied |= self.view.mark.relied_bits() | self.view.connection_mark.relied_bits() != 0;
        let mut trail = self.walker.history.rule(place, &mut self.view.mark, &mut self.view.connection_mark);
        let Ran::Matches { doubt, actions, sets } = ran else { return };
        if *actions == [Action::Continue] {
            return;
        }
        trail.sets = sets;
        let trail = Rc::new(trail);
        if let Some(frame) = self.frames.last_mut() {
            let pending = |action| Pending { action, doubt: doubt.clone(), trail: Rc::clone(&trail) };
            frame.pending.extend(actions.into_iter().map(pending));
        }
    }

    fn step(&mut self, place: Place, ran: &Ran) {
        let depth = u8::try_from(self.frames.len().saturating_sub(1)).unwrap_or(u8::MAX);
        let says = super::says::says(ran, self.view.table);
        self.walker.steps.push(Step { place, depth, says });
    }

    fn act(&mut self, pending: Pending) {
        let Pending { action, doubt, trail } = pending;
        match action {
            Action::Continue => {}
            Action::Accept => self.accept(doubt),
            Action::Return => self.back(doubt),
            Action::Jump(chain) => self.jump(chain, doubt, &trail),
            Action::Goto(chain) => self.go(chain, doubt, &trail),
            Action::Drop(end) => {
                if self.drop(end, doubt, trail.place, Some(&trail)) {
                    self.leave(None);
                }
            }
            Action::MayDrop { end, reason, accepts } => {
                let mut unknown = self.doubts(doubt.clone());
                unknown.add(reason);
                self.candidate(end, unknown, trail.place, Some(&trail));
                if accepts {
                    self.accept(doubt);
                }
            }
            Action::Stolen => self.stolen(doubt),
            Action::Unclear(reason) => self.unclear(reason),
            Action::Translate(translation) => {
                let is_sure = doubt.is_none() && self.is_sure();
                self.walker.translate(&translation, is_sure, trail.place);
                self.accept(doubt);
            }
        }
    }

    /// All that it hangs on that the packet is here.
    fn doubts(&self, more: Option<Reason>) -> Doubts {
        let mut doubts = self.walker.story.clone();
        doubts.extend(&self.base);
        self.frames.iter().for_each(|frame| doubts.extend(&frame.doubts));
        doubts.extend(&more.into());
        doubts
    }

    /// A way leads on to the next base chain.
    fn exit(&mut self) {
        self.exits = meet(self.exits, Some(Marks::of(&self.view)));
    }

    fn accept(&mut self, doubt: Option<Reason>) {
        self.exit();
        let is_sure = doubt.is_none();
        // What is still in the base chain behind has not come by here, or was not matched.
        for frame in &self.frames {
            self.base.extend(&frame.doubts);
        }
        self.base.extend(&doubt.into());
        if is_sure {
            self.leave(None);
        }
    }

    fn back(&mut self, doubt: Option<Reason>) {
        match (doubt, self.frames.last_mut()) {
            (Some(doubt), Some(frame)) => {
                frame.doubts.add(doubt);
                frame.returns = meet(frame.returns, Some(Marks::of(&self.view)));
            }
            _ => self.leave(Some(Marks::of(&self.view))),
        }
    }

    fn stolen(&mut self, doubt: Option<Reason>) {
        self.walker.is_stolen = true;
        match doubt {
            None if self.is_sure() => self.leave(None),
            None => {
                let doubts = self.doubts(None);
                self.walker.story.extend(&doubts);
                self.leave(None);
            }
            Some(doubt) => self.walker.story.add(doubt),
        }
    }

    /// A rule of which it can't be told what it does.
    fn unclear(&mut self, reason: Reason) {
        self.exit();
        self.base.add(reason.clone());
        self.walker.notes.add(reason);
    }

    fn jump(&mut self, chain: usize, doubt: Option<Reason>, trail: &Trail) {
        let deepest = match self.stop.backend {
            Backend::Nft => NFT_DEPTH,
            Backend::Legacy => self.view.table.chains.len(),
        };
        if self.frames.len() > deepest {
            return self.unclear("chains that jump to each other deeper than the kernel allows".into());
        }
        let entry = if doubt.is_some() { Entry::Perhaps(Marks::of(&self.view)) } else { Entry::Sure };
        self.frames.push(Frame::new(chain, entry, doubt, self.trail.len()));
        self.trail.push(trail.clone());
    }

    fn go(&mut self, chain: usize, doubt: Option<Reason>, trail: &Trail) {
        match (doubt, self.frames.last_mut()) {
            (Some(doubt), _) => {
                let entry = Entry::PerhapsGoto(Marks::of(&self.view), doubt.clone());
                self.frames.push(Frame::new(chain, entry, Some(doubt), self.trail.len()));
            }
            (None, Some(frame)) => {
                frame.chain = chain;
                frame.next = 1;
                frame.pending.clear();
            }
            (None, None) => {}
        }
        if self.trail.len() > LONGEST {
            return self.unclear("chains that go to each other without an end".into());
        }
        self.trail.push(trail.clone());
    }

    /// The packet leaves the chain; to go on behind the jump that led here, if there is a way.
    fn leave(&mut self, mut way: Option<Marks>) {
        while let Some(frame) = self.frames.pop() {
            way = meet(frame.returns, way);
            self.trail.truncate(frame.trail);
            let Some(parent) = self.frames.last_mut() else {
                if let Some(marks) = way {
                    marks.put(&mut self.view);
                    self.policy();
                }
                return;
            };
            let goes_on = match frame.entry {
                Entry::Sure => way,
                Entry::Perhaps(without) => meet(Some(without), way),
                Entry::PerhapsGoto(without, doubt) => {
                    parent.returns = meet(parent.returns, way);
                    parent.doubts.add(doubt);
                    Some(without)
                }
            };
            if let Some(marks) = goes_on {
                return marks.put(&mut self.view);
            }
            parent.pending.clear();
        }
    }

    fn policy(&mut self) {
        let is_end = match self.stop.policy {
            Policy::Accept => false,
            Policy::Drop => self.drop(End::Policy, None, self.stop.place, None),
        };
        if !is_end {
            self.exit();
        }
    }

    /// A rule or policy drops the packet; `false` if it goes on, as far as can be told.
    fn drop(&mut self, end: End, doubt: Option<Reason>, place: Place, rule: Option<&Trail>) -> bool {
        let is_matched = doubt.is_none();
        let unknown = self.doubts(doubt);
        let is_sure = unknown.is_empty();
        if !self.is_possible {
            if is_sure {
                self.contradict(place);
            }
            return is_matched && !is_sure;
        }
        if let Mark::After(end) = self.walker.question.packet.mark
            && !self.view.mark.agrees(end)
        {
            if is_sure {
                let why = format!("{} would drop it, but with another mark", self.name(place));
                self.walker.story.add(why.clone().into());
                self.walker.candidates.contradictions.add(why.into());
            }
            return is_matched && !is_sure;
        }
        if is_sure {
            self.walker.end.get_or_insert(self.view.mark);
        }
        self.candidate(end, unknown, place, rule);
        is_matched
    }

    fn candidate(&mut self, end: End, unknown: Doubts, place: Place, rule: Option<&Trail>) {
        if self.is_possible {
            let marks = (&self.view.mark, &self.view.connection_mark);
            self.walker.candidates.push(Drop { place, end, trail: &self.trail, rule, unknown, marks });
        }
    }

    /// What surely drops the packet can't have been it.
    fn contradict(&mut self, place: Place) {
        let why = if self.walker.approach.can_end_at(self.stop) {
            format!("{} would drop it before, but the drop was not in its part of the kernel", self.name(place))
        } else {
            format!("{} would drop it, but with other addresses", self.name(place))
        };
        self.walker.contradict(self.stop.priority, why.into());
    }
}
