//! The stages behind the source, with what they remember: decode -> aggregate -> enrich and explain -> sink.

use std::time::Duration;

use tracer_common::{FlowKey, Tally};

use crate::aggregate::{Due, Flow, Flows, Mode, Totals};
use crate::decode::{self, Dropped};
use crate::enrich;
use crate::event::Severity;
use crate::inquiry::Case;
use crate::kubernetes::Selection;
use crate::sink::{self, Sink};
use crate::verdict::Ledger;

use super::answers::Finding;
use super::attempts::Attempts;
use super::counters::Counters;
use super::describe::{Describer, Known};
use super::pods::Pods;
use super::waiting::{self, Waiting};
use super::{PipelineError, Watch};

/// Whether a line has its place among those of a tick: one that waits has taken it, so that lines that are not looked into
/// don't take the places of those that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Wanted,
    Taken,
}

pub(super) struct Stages {
    pub(super) flows: Flows<Known>,
    pub(super) totals: Totals,
    pub(super) describer: Describer,
    pub(super) sink: Box<dyn Sink>,
    pub(super) counters: Counters,
    pub(super) attempts: Option<Attempts>,
    pub(super) pods: Option<Pods>,
    /// Where verdicts of network policies are asked for.
    pub(super) ledger: Option<Ledger>,
    /// Which pods the run is about.
    pub(super) selection: Selection,
    waiting: Waiting,
    all: bool,
    /// Lines until `--count` is reached.
    lines_left: Option<u64>,
    pub(super) lines_a_tick: u64,
    lines_this_tick: u64,
    pub(super) hidden: u64,
    pub(super) not_shown: u64,
    pub(super) undecodable: u64,
}

impl Stages {
    pub(super) fn new(watch: &Watch, describer: Describer, sink: Box<dyn Sink>) -> Result<Self, PipelineError> {
        let mode = if watch.every { Mode::Every } else { Mode::Flows };
        let pods = Pods::new(&watch.pods, &describer.directory)?;
        Ok(Self {
            flows: Flows::new(mode),
            totals: Totals::default(),
            describer,
            sink,
            counters: Counters::default(),
            attempts: None,
            pods,
            ledger: watch.verdicts.then(Ledger::default),
            selection: watch.pods.clone(),
            waiting: Waiting::new(mode),
            all: watch.all,
            lines_left: watch.count,
            lines_a_tick: if watch.every { u64::MAX } else { watch.lines },
            lines_this_tick: 0,
            hidden: 0,
            not_shown: 0,
            undecodable: 0,
        })
    }

    /// Whether `--count` is reached.
    pub(super) fn is_done(&self) -> bool {
        self.lines_left == Some(0)
    }

    /// Takes one event from the ring buffer.
    pub(super) fn event(&mut self, bytes: &[u8]) -> Result<(), PipelineError> {
        match decode::decode(bytes) {
            Ok(dropped) => match self.flows.seen(dropped) {
                Some(due) => self.print(&due),
                None => Ok(()),
            },
            Err(error) => {
                tracing::debug!("undecodable event: {error}");
                self.undecodable += 1;
                Ok(())
            }
        }
    }

    /// Takes one drained count; gives what is to be printed of it.
    pub(super) fn counted(&mut self, key: FlowKey, tally: Tally) -> Option<Due> {
        self.totals.add_flow(&key, tally);
        self.flows.counted(key, tally)
    }

    /// Starts the next tick: a new allowance of lines.
    pub(super) fn next_tick(&mut self) {
        self.lines_this_tick = 0;
        self.flows.next_tick();
    }

    /// Takes up new names and symbols.
    pub(super) fn refresh(&mut self) {
        if self.describer.refresh() {
            self.flows.forget_known();
        }
    }

    /// Enriches, explains and prints.
    pub(super) fn print(&mut self, due: &Due) -> Result<(), PipelineError> {
        let sample = self.flows.get_mut(&due.key).and_then(|flow| flow.parts().0);
        if self.waiting.add(due, sample) {
            return Ok(());
        }
        self.print_now(due, None, Place::Wanted)
    }

    /// Prints what has not to wait for an answer. `packet` is the line's own; the flow's last one otherwise.
    fn print_now(&mut self, due: &Due, packet: Option<&Dropped>, place: Place) -> Result<(), PipelineError> {
        let packets = due.since_last.packets;
        if !self.concerns(due.key.netns) {
            self.hidden += packets;
            return Ok(());
        }
        let is_full = place == Place::Wanted && self.lines_this_tick >= self.lines_a_tick && !self.is_of_attempt(due);
        if is_full || self.is_done() {
            self.not_shown += packets;
            return Ok(());
        }
        let mut forgotten = None;
        let flow = self.flows.get_mut(&due.key);
        let total = flow.as_ref().map_or(due.since_last, |flow| flow.printed());
        let (sample, known) = flow.map_or((None, &mut forgotten), Flow::parts);
        let sample = packet.or(sample);
        let Some(drop) = self.describer.describe(due, sample, known) else {
            self.waiting.begin(due, sample);
            self.lines_this_tick += u64::from(place == Place::Wanted);
            return Ok(());
        };
        if let Some(attempts) = &mut self.attempts {
            attempts.dropped(drop, due.time);
        }
        if drop.severity != Severity::Problem && !self.all {
            self.hidden += packets;
            return Ok(());
        }
        self.sink.line(&sink::Line { key: &due.key, drop, total }).map_err(PipelineError::Sink)?;
        self.lines_this_tick += u64::from(place == Place::Wanted);
        self.lines_left = self.lines_left.map(|left| left.saturating_sub(1));
        Ok(())
    }

    /// Whether a line beyond the limit is looked into all the same, for an attempt waits for what became of its packets. There are
    /// no more of these than of the others.
    fn is_of_attempt(&mut self, due: &Due) -> bool {
        let Some(attempts) = &self.attempts else { return false };
        let sample = self.flows.get_mut(&due.key).and_then(|flow| flow.parts().0);
        self.lines_this_tick < self.lines_a_tick.saturating_mul(2)
            && attempts.is_about(&enrich::packet(&due.key, sample))
    }

    /// Takes an answer: prints the lines that waited for it, or has the flow's next line say it.
    pub(super) fn answered(&mut self, case: Case, finding: Finding) -> Result<(), PipelineError> {
        self.tell_answered(&case, &finding)?;
        self.describer.answers.take(case, finding);
        if let Some(flow) = self.flows.get_mut(&case.flow) {
            *flow.parts().1 = None;
        }
        let waited = self.waiting.take(&case);
        self.print_waited(&waited)
    }

    /// Prints lines that waited; the first of a flow that has to wait on has the rest of them wait as well.
    fn print_waited(&mut self, lines: &[waiting::Line]) -> Result<(), PipelineError> {
        lines.iter().try_for_each(|line| {
            let packet = line.packet.as_deref();
            if self.waiting.add(&line.due, packet) { Ok(()) } else { self.print_now(&line.due, packet, Place::Taken) }
        })
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Prints the lines that have waited for so long, without what they waited for; and asks what could not be asked so
    /// far.
    pub(super) fn print_waiting(&mut self, patience: Duration) -> Result<(), PipelineError> {
        for line in self.waiting.take_older(patience) {
            let sample = self.flows.get_mut(&line.due.key).and_then(|flow| flow.parts().0);
            self.describer.give_up(Case::new(line.due.key, line.packet.as_deref().or(sample)));
            self.print_now(&line.due, line.packet.as_deref(), Place::Taken)?;
        }
        let retried = self.waiting.retry(|case| self.describer.can_ask(case));
        self.print_waited(&retried)
    }

    pub(super) fn flush(&mut self) -> Result<(), PipelineError> {
        self.sink.flush().map_err(PipelineError::Sink)
    }
}
