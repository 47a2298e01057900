//! The stages behind the source, with what they remember: decode -> aggregate -> enrich and explain -> sink.

use std::time::Duration;

use tracer_common::{FlowKey, Tally};

use crate::aggregate::{Due, Flows, Mode, Totals};
use crate::decode;
use crate::event::{Drop, Severity};
use crate::netfilter::Answer;
use crate::sink::{Line, Sink};

use super::describe::Describer;
use super::waiting::Waiting;
use super::{PipelineError, Watch};

pub(super) struct Stages {
    pub(super) flows: Flows<Drop>,
    pub(super) totals: Totals,
    pub(super) describer: Describer,
    pub(super) sink: Box<dyn Sink>,
    waiting: Waiting,
    all: bool,
    /// Lines until `--count` is reached.
    lines_left: Option<u64>,
    lines_a_tick: u64,
    lines_this_tick: u64,
    pub(super) hidden: u64,
    pub(super) not_shown: u64,
    pub(super) undecodable: u64,
}

impl Stages {
    pub(super) fn new(watch: &Watch, describer: Describer, sink: Box<dyn Sink>) -> Self {
        let mode = if watch.every { Mode::Every } else { Mode::Flows };
        Self {
            flows: Flows::new(mode),
            totals: Totals::default(),
            describer,
            sink,
            waiting: Waiting::new(mode),
            all: watch.all,
            lines_left: watch.count,
            lines_a_tick: if watch.every { u64::MAX } else { watch.lines },
            lines_this_tick: 0,
            hidden: 0,
            not_shown: 0,
            undecodable: 0,
        }
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
        let packets = due.since_last.packets;
        if self.waiting.add(due) {
            return Ok(());
        }
        if self.lines_this_tick >= self.lines_a_tick || self.is_done() {
            self.not_shown += packets;
            return Ok(());
        }
        let mut forgotten = None;
        let flow = self.flows.get_mut(&due.key);
        let total = flow.as_ref().map_or(due.since_last, |flow| flow.printed());
        let drop = match flow {
            Some(flow) => {
                let (sample, known) = flow.parts();
                self.describer.describe(due, sample, known)
            }
            None => self.describer.describe(due, None, &mut forgotten),
        };
        let Some(drop) = drop else {
            self.waiting.begin(due);
            return Ok(());
        };
        if drop.severity != Severity::Problem && !self.all {
            self.hidden += packets;
            return Ok(());
        }
        self.sink.line(&Line { key: &due.key, drop, total }).map_err(PipelineError::Sink)?;
        self.lines_this_tick += 1;
        self.lines_left = self.lines_left.map(|left| left.saturating_sub(1));
        Ok(())
    }

    /// Takes an answer: prints the line that waited for it, or has the flow's next line say it.
    pub(super) fn answered(&mut self, answer: &Answer) -> Result<(), PipelineError> {
        let is_new = self.describer.rulings.take(answer);
        if is_new && let Some(flow) = self.flows.get_mut(&answer.flow) {
            *flow.parts().1 = None;
        }
        let waited = self.waiting.take(&answer.flow);
        waited.iter().try_for_each(|due| self.print(due))
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Prints the lines that have waited for so long, without what they waited for; and asks what could not be asked so
    /// far.
    pub(super) fn print_waiting(&mut self, patience: Duration) -> Result<(), PipelineError> {
        for due in self.waiting.take_older(patience) {
            self.describer.rulings.give_up(&due.key);
            self.print(&due)?;
        }
        for due in self.waiting.retry(|flow| self.describer.can_ask(flow)) {
            self.print(&due)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), PipelineError> {
        self.sink.flush().map_err(PipelineError::Sink)
    }
}
