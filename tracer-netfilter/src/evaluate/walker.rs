//! One walk past all base chains of a hook.

use super::action::Translation;
use super::approach::Approach;
use super::candidates::Candidates;
use super::chain::ChainWalk;
use super::doubts::Doubts;
use super::lookup::Sets;
use super::registers::{Reason, Registers};
use super::rules::Rules;
use super::stops::{Stop, passes_nat, stops};
use super::trail::History;
use super::{MarkState, View};
use crate::model::{ChainKind, Ruleset};
use crate::packet::{Known, Mark};
use crate::truth::Truth;
use crate::walk::{Outcome, Question, Step, Walk};
use crate::world::World;

/// Rules that are looked at in one walk: chains that may be jumped to from many places can be passed many times.
pub(super) const VISITS: usize = 2_000_000;

const ORDER: &str = "which of the chains of the same priority runs first";

/// Bits of the packet's and of the connection's mark that may be taken from the end at once, and after a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    pub packet: (u32, u32),
    pub connection: (u32, u32),
}

impl Trust {
    pub(super) const ALL: Self = Self { packet: (u32::MAX, 0), connection: (u32::MAX, 0) };
    pub(super) const NONE: Self = Self { packet: (0, 0), connection: (0, 0) };

    /// Takes trust from bits that broke it; `false` if there are none. Each bit can do so twice.
    pub(super) fn learn(&mut self, broken: (u32, u32)) -> bool {
        let mut has_changed = false;
        for ((at_once, late), broken) in [(&mut self.packet, broken.0), (&mut self.connection, broken.1)] {
            let first = broken & *at_once;
            let again = broken & *late & !*at_once;
            *at_once &= !first;
            *late = (*late | first) & !again;
            has_changed |= first | again != 0;
        }
        has_changed
    }
}

pub(super) struct Walker<'a> {
    pub ruleset: &'a Ruleset,
    pub question: &'a Question<'a>,
    pub world: &'a dyn World,
    pub rules: &'a Rules<'a>,
    pub sets: Sets<'a>,
    pub registers: Registers,
    /// Bytes of the packet that rules have changed.
    pub changed: Vec<(usize, usize)>,
    pub approach: Approach,
    pub history: History,
    pub mark: MarkState,
    pub connection_mark: MarkState,
    pub no_track: bool,
    pub candidates: Candidates,
    /// Why the packet may not be on its way at all, or went otherwise.
    pub story: Doubts,
    /// What could not be told and changed nothing, or kept rules from being read.
    pub notes: Doubts,
    /// Rules that can't have dropped it as they would have, with the priority of their chains: what comes behind hangs on it.
    pending: Vec<(i32, Reason)>,
    /// Whether a nat chain has translated the packet.
    translated: Truth,
    pub is_stolen: bool,
    /// The mark as the packet surely ended, which is not that of what comes behind.
    end: Option<MarkState>,
    pub visits: usize,
    pub steps: Vec<Step>,
}

/// Where the packet surely ended.
struct Ended {
    priority: i32,
    table: usize,
    /// Index of the first candidate of that chain.
    first: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(
        ruleset: &'a Ruleset,
        question: &'a Question<'a>,
        world: &'a dyn World,
        rules: &'a Rules<'a>,
        trust: &Trust,
    ) -> Self {
        let mark = MarkState::trusting(question.packet.mark, trust.packet.0, trust.packet.1);
        Self {
            ruleset,
            question,
            world,
            rules,
            sets: Sets::new(ruleset),
            registers: Registers::default(),
            changed: Vec::new(),
            approach: Approach::new(question),
            history: History::new(),
            mark,
            connection_mark: connection_mark(question, trust.connection),
            no_track: false,
            candidates: Candidates::default(),
            story: Doubts::default(),
            notes: Doubts::default(),
            pending: Vec::new(),
            translated: Truth::No,
            is_stolen: false,
            end: None,
            visits: 0,
            steps: Vec::new(),
        }
    }

    /// Walks, and gives the bits of both marks that were wrongly taken from the end.
    pub(super) fn run(mut self) -> (Walk, (u32, u32)) {
        let mut ended: Option<Ended> = None;
        for stop in stops(self.ruleset, self.question) {
            if let Some(ended) = &ended
                && (stop.priority != ended.priority || stop.place.table == ended.table)
            {
                continue;
            }
            let first = self.candidates.len();
            let passes = self.chain(&stop, ended.is_some());
            match &ended {
                // It may have been the other way round.
                Some(ended) if self.candidates.len() > first => self.candidates.doubt_from(ended.first, ORDER),
                None if !passes => {
                    ended = Some(Ended { priority: stop.priority, table: stop.place.table, first });
                }
                _ => {}
            }
        }
        self.finish(ended.is_some())
    }

    /// One base chain; whether the packet goes on behind. `is_aside`: what the chain changes does not count.
    fn chain(&mut self, stop: &Stop, is_aside: bool) -> bool {
        self.catch_up(stop);
        let Some(table) = self.ruleset.tables.get(stop.place.table) else { return true };
        let doubt = match self.comes_by(stop) {
            Truth::No => return true,
            Truth::Yes => stop.doubt.clone(),
            Truth::Unknown(reason) => Some(reason),
        };
        let packet = self.approach.at(stop);
        let view = View {
            packet: &packet,
            world: self.world,
            hook: self.question.hook,
            table,
            mark: self.mark,
            connection_mark: self.connection_mark,
            no_track: self.no_track,
        };
        let (passes, view) = ChainWalk::new(self, view, stop, doubt).run();
        let (mark, connection_mark, no_track) = (view.mark, view.connection_mark, view.no_track);
        match (is_aside, passes) {
            (false, true) => (self.mark, self.connection_mark, self.no_track) = (mark, connection_mark, no_track),
            (false, false) => self.end = Some(mark),
            (true, _) => {}
        }
        passes
    }

    /// Contradictions met in chains before this one are now part of the story.
    fn catch_up(&mut self, stop: &Stop) {
        let story = &mut self.story;
        self.pending.retain(|(priority, reason)| {
            let is_behind = *priority < stop.priority;
            if is_behind {
                story.add(reason.clone());
            }
            !is_behind
        });
    }

    fn comes_by(&self, stop: &Stop) -> Truth {
        if stop.kind != ChainKind::Nat {
            return Truth::Yes;
        }
        if self.no_track {
            return Truth::No;
        }
        passes_nat(self.question.packet, self.question.hook).and(self.translated.clone().negate())
    }

    /// A nat chain gives the packet another address.
    pub(super) fn translate(&mut self, translation: &Translation, sure: bool) {
        self.translated = if sure { Truth::Yes } else { Truth::unknown("whether another chain has translated it") };
        if matches!(self.question.packet.mark, Mark::Before(_)) && !self.approach.translate(translation, sure) {
            self.notes.add("the address after NAT".into());
        }
    }

    /// A rule would surely drop the packet, but that can't be how it was dropped.
    pub(super) fn contradict(&mut self, priority: i32, why: Reason) {
        self.notes.add(why.clone());
        self.pending.push((priority, why));
    }

    fn finish(mut self, has_ended: bool) -> (Walk, (u32, u32)) {
        let mut broken = self.candidates.broken();
        if !has_ended {
            broken = (broken.0 | self.mark.broken_bits(), broken.1 | self.connection_mark.broken_bits());
        }
        let is_dropped = has_ended || self.candidates.ends_assumed();
        let is_clear = self.notes.is_empty() && self.candidates.contradictions.is_empty();
        let outcome = match (self.candidates.is_empty(), is_dropped) {
            (false, true) if !self.is_stolen => Outcome::Dropped,
            (true, false) if is_clear => Outcome::Accepted,
            (true, true) if is_clear && self.is_stolen => Outcome::Accepted,
            _ => Outcome::Open,
        };
        if self.candidates.is_empty() {
            self.notes.extend(&self.candidates.contradictions);
        }
        let (value, known) = self.end.unwrap_or(self.mark).bits();
        let mark = match self.question.packet.mark {
            Mark::After(end) => Some(end),
            Mark::Before(_) => (known == u32::MAX).then_some(value),
        };
        let candidates = self.candidates.into_candidates();
        (Walk { outcome, candidates, mark, unknown: self.notes.into_strings(), steps: self.steps }, broken)
    }
}

/// The connection's mark was read where the packet's was.
fn connection_mark(question: &Question<'_>, (trusted, late): (u32, u32)) -> MarkState {
    let Known::Is(connection) = &question.packet.connection else { return MarkState::unknown() };
    match (connection.mark, question.packet.mark) {
        (None, _) => MarkState::unknown(),
        (Some(mark), Mark::Before(_)) => MarkState::new(Mark::Before(mark), true),
        (Some(mark), Mark::After(_)) => MarkState::trusting(Mark::After(mark), trusted, late),
    }
}
