//! One walk past all base chains of a hook.

use super::action::Translation;
use super::approach::Approach;
use super::candidates::{Candidates, Found};
use super::chain::ChainWalk;
use super::doubts::Doubts;
use super::lookup::Sets;
use super::marks::Marks;
use super::registers::{Reason, Registers};
use super::rules::Rules;
use super::stops::{Stop, passes_nat, stops};
use super::trail::History;
use super::{MarkState, View};
use crate::model::{ChainKind, NatKind, Place, Ruleset};
use crate::packet::{Known, Mark};
use crate::truth::Truth;
use crate::walk::{Destination, Outcome, Question, Step, Walk};
use crate::world::World;

/// Rules that are looked at in one walk: chains that may be jumped to from many places can be passed many times.
pub(super) const VISITS: usize = 2_000_000;

const ORDER: &str = "which of the chains of the same priority runs first";

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
    pub marks: Marks,
    /// The packet's mark where it surely ended first.
    pub end: Option<MarkState>,
    pub candidates: Candidates,
    /// Why the packet may not be on its way at all, or went otherwise.
    pub story: Doubts,
    /// What could not be told and changed nothing, or kept rules from being read.
    pub notes: Doubts,
    /// Rules that can't have dropped it as they would have, with the priority of their chains: what comes behind hangs on it.
    pending: Vec<(i32, Reason)>,
    /// Whether a nat chain has translated the packet.
    translated: Truth,
    translators: Vec<Place>,
    destination: Destination,
    pub is_stolen: bool,
    /// Something was taken from a mark at the end.
    pub relied: bool,
    pub visits: usize,
    pub steps: Vec<Step>,
}

/// What one walk came to.
pub(super) struct Walked {
    pub outcome: Outcome,
    pub found: Vec<Found>,
    pub mark: Option<u32>,
    destination: Destination,
    translators: Vec<Place>,
    pub unknown: Vec<String>,
    pub steps: Vec<Step>,
    /// Something was taken from a mark at the end.
    pub relied: bool,
}

impl Walked {
    pub(super) fn has(&self, place: Place) -> bool {
        self.found.iter().any(|found| found.candidate.place == place)
    }

    pub(super) fn into_walk(self) -> Walk {
        let candidates = self.found.into_iter().map(|found| found.candidate).collect();
        let Self { outcome, mark, destination, translators, unknown, steps, .. } = self;
        Walk { outcome, candidates, mark, destination, translators, unknown, steps }
    }
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
        relying: bool,
    ) -> Self {
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
            marks: Marks {
                packet: MarkState::new(question.packet.mark, relying),
                connection: connection_mark(question, relying),
                no_track: false,
            },
            end: None,
            candidates: Candidates::default(),
            story: Doubts::default(),
            notes: Doubts::default(),
            pending: Vec::new(),
            translated: Truth::No,
            translators: Vec::new(),
            destination: Destination::Stays,
            is_stolen: false,
            relied: false,
            visits: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Walked {
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
            mark: self.marks.packet,
            connection_mark: self.marks.connection,
            no_track: self.marks.no_track,
        };
        let exits = ChainWalk::new(self, view, stop, doubt).run();
        if let Some(marks) = exits.filter(|_| !is_aside) {
            self.marks = marks;
        }
        exits.is_some()
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
        if self.marks.no_track {
            return Truth::No;
        }
        passes_nat(self.question.packet, self.question.hook).and(self.translated.clone().negate())
    }

    /// A nat chain gives the packet another address.
    pub(super) fn translate(&mut self, translation: &Translation, sure: bool, by: Place) {
        self.translators.push(by);
        self.translated = if sure { Truth::Yes } else { Truth::unknown("whether another chain has translated it") };
        if !matches!(self.question.packet.mark, Mark::Before(_)) {
            return;
        }
        let is_known = self.approach.translate(translation, sure);
        // What looks at another source later hangs on it by itself; another destination leads another way.
        if translation.kind == NatKind::Source {
            return;
        }
        self.destination = if is_known {
            Destination::Becomes(Box::new(self.approach.packet()))
        } else {
            self.notes.add("the address after NAT".into());
            Destination::Unknown
        };
    }

    /// A rule would surely drop the packet, but that can't be how it was dropped.
    pub(super) fn contradict(&mut self, priority: i32, why: Reason) {
        self.notes.add(why.clone());
        self.pending.push((priority, why));
    }

    fn finish(mut self, has_ended: bool) -> Walked {
        let is_clear = self.notes.is_empty() && self.candidates.contradictions.is_empty();
        let outcome = match (self.candidates.is_empty(), has_ended) {
            (false, true) if !self.is_stolen => Outcome::Dropped,
            (true, false) if is_clear => Outcome::Accepted,
            (true, true) if is_clear && self.is_stolen => Outcome::Accepted,
            _ => Outcome::Open,
        };
        if self.candidates.is_empty() {
            self.notes.extend(&self.candidates.contradictions);
        }
        let (value, known) = self.end.unwrap_or(self.marks.packet).bits();
        let mark = match self.question.packet.mark {
            Mark::After(end) => Some(end),
            Mark::Before(_) => (known == u32::MAX).then_some(value),
        };
        Walked {
            outcome,
            found: self.candidates.into_found(),
            mark,
            destination: self.destination,
            translators: self.translators,
            unknown: self.notes.into_strings(),
            steps: self.steps,
            relied: self.relied,
        }
    }
}

/// The connection's mark was read where the packet's was.
fn connection_mark(question: &Question<'_>, relying: bool) -> MarkState {
    let Known::Is(connection) = &question.packet.connection else { return MarkState::unknown() };
    match (connection.mark, question.packet.mark) {
        (None, _) => MarkState::unknown(),
        (Some(mark), Mark::Before(_)) => MarkState::new(Mark::Before(mark), relying),
        (Some(mark), Mark::After(_)) => MarkState::new(Mark::After(mark), relying),
    }
}
