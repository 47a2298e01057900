//! The line, top to bottom: source -> decode -> aggregate -> enrich -> explain -> sink.
//!
//! Rule: one task runs it; nothing here waits for anything but the ring buffer, the clock, a signal or the command.

mod answers;
mod attempts;
mod child;
mod counters;
mod describe;
mod error;
mod names;
mod pods;
mod signals;
mod stages;
mod stats;
mod symbols;
mod verdicts;
mod waiting;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use crate::counter::Scope;
use crate::flow::{self, Batch};
use crate::host::Netns;
use crate::inquiry::{Case, QUEUE};
use crate::kubernetes::{self, Selection};
use crate::load::{Kernel, Programs};
use crate::sink::Sink;
use crate::source::{Progress, Source};

use answers::Finding;
use child::Child;
use describe::Describer;
pub use error::PipelineError;
use pods::Pods;
pub use signals::Signals;
use stages::Stages;

/// How long an event may wait in the ring buffer: the kernel wakes the reader only when it fills up.
const POLL: Duration = Duration::from_millis(50);

/// Batches of events read in a drain: together more than the largest ring buffer holds.
const MOST_TURNS: usize = 64;

/// How long the last looks may take: at the counters, and at the attempts, both at once.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// How long the end may take where attempts are watched for a time: what still waits for an answer then is told without it.
const END: Duration = Duration::from_millis(2500);

/// What `whydrop watch` was asked for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own, in any combination")]
pub struct Watch {
    pub all: bool,
    pub stack: bool,
    pub every: bool,
    /// Have the kernel trace flows whose rule is not certain.
    pub confirm: bool,
    pub count: Option<u64>,
    pub duration: Option<Duration>,
    pub interval: Duration,
    /// Most lines in an interval.
    pub lines: u64,
    pub command: Vec<OsString>,
    /// Drops come from these network namespaces only (inodes); from all, if empty.
    pub only: Vec<u32>,
    /// Which counters may be told of.
    pub counters: Scope,
    /// Which attempts to talk to watch; nothing is attached to devices without.
    pub flows: Option<flow::Plan>,
    /// Network namespaces that nothing leads to but this process, with what to call them.
    pub namespaces: Vec<Netns>,
    /// Where names of pods come from.
    pub names: kubernetes::Plan,
    /// Only what has to do with these pods.
    pub pods: Selection,
    /// Tell the policy verdict of each new connection.
    pub verdicts: bool,
    /// Notified, it ends the run.
    pub end: Arc<Notify>,
}

impl Default for Watch {
    /// What `whydrop watch` does without flags.
    fn default() -> Self {
        Self {
            all: false,
            stack: false,
            every: false,
            confirm: false,
            count: None,
            duration: None,
            interval: Duration::from_secs(1),
            lines: 1000,
            command: Vec::new(),
            only: Vec::new(),
            counters: Scope::All,
            flows: None,
            namespaces: Vec::new(),
            names: kubernetes::Plan::default(),
            pods: Selection::default(),
            verdicts: false,
            end: Arc::default(),
        }
    }
}

/// Why the line ends.
enum End {
    /// Count, duration, signal or notice.
    Asked,
    Command(ExitCode),
}

/// Runs until asked to end; everything is detached afterwards.
///
/// # Errors
/// [`PipelineError`] if the kernel or the sink fails; a closed pipe is `PipelineError::Sink` with `BrokenPipe`.
pub async fn run(
    watch: Watch,
    programs: Programs,
    kernel: Kernel,
    mut signals: Signals,
    sink: Box<dyn Sink>,
) -> Result<ExitCode, PipelineError> {
    let mut line = Pipeline::start(&watch, programs, kernel, sink)?;
    let mut child = Child::spawn(&watch.command)?;
    let deadline = watch.duration.map(|duration| Instant::now() + duration);
    let mut poll = interval_at(Instant::now() + POLL, POLL);
    let mut tick = interval_at(Instant::now() + watch.interval, watch.interval);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = Progress::Idle;
    let end = loop {
        if line.stages.is_done() {
            break End::Asked;
        }
        tokio::select! {
            biased;
            signal = signals.any() => break child.end_by(signal).await?.map_or(End::Asked, End::Command),
            () = watch.end.notified() => break End::Asked,
            status = child.wait() => break End::Command(status?),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break End::Asked,
            _ = tick.tick() => line.tick()?,
            (case, finding) = line.stages.describer.answers.next() => line.answered(case, finding)?,
            batch = Stages::next_batch(&mut line.stages.attempts) => line.add_batch(&batch)?,
            rise = line.stages.describer.counters.next() => line.stages.counters.add([rise]),
            () = Pods::changed(&mut line.stages.pods) => line.follow_pods()?,
            _ = poll.tick() => {}
            () = line.source.filling() => {}
            // More is waiting: go on at once, but let the others have their turn.
            () = yield_now(), if progress == Progress::More => {}
        }
        progress = line.events()?;
    };
    line.finish().await?;
    Ok(match end {
        End::Asked => ExitCode::SUCCESS,
        End::Command(status) => status,
    })
}

/// The kernel side and the stages behind it.
struct Pipeline {
    source: Source,
    stages: Stages,
    /// Owns what was loaded, unless it is needed to attach to devices.
    _object: Option<aya::Ebpf>,
}

impl Pipeline {
    fn start(watch: &Watch, programs: Programs, kernel: Kernel, sink: Box<dyn Sink>) -> Result<Self, PipelineError> {
        let describer = Describer::new(kernel, watch)?;
        let Programs { attached, maps, map_bytes, flows, object } = programs;
        let mut header = describer.header(&attached.hook, map_bytes);
        let source = Source::start(maps, attached)?;
        let mut stages = Stages::new(watch, describer, sink)?;
        let object = match (flows, &watch.flows) {
            (Some(maps), Some(plan)) => {
                stages.watch_attempts(object, maps, plan, &mut header)?;
                None
            }
            _ => Some(object),
        };
        let mut line = Self { source, stages, _object: object };
        line.widen_filter()?;
        line.follow_pods()?;
        header.coverage.extend(line.stages.pods.iter().flat_map(Pods::coverage));
        line.stages.sink.header(&header).map_err(PipelineError::Sink)?;
        Ok(line)
    }

    /// Passes on the events that are there.
    fn events(&mut self) -> Result<Progress, PipelineError> {
        let progress = self.source.events(|bytes| self.stages.event(bytes))?;
        self.stages.print_waiting(answers::PATIENCE)?;
        self.stages.tell_waiting(answers::PATIENCE)?;
        self.stages.flush()?;
        Ok(progress)
    }

    /// Takes an answer and those that are there already: one a turn would be too slow where many wait.
    fn answered(&mut self, case: Case, finding: Finding) -> Result<(), PipelineError> {
        self.stages.answered(case, finding)?;
        for _ in 0..QUEUE {
            let Some((case, finding)) = self.stages.describer.answers.next_now() else { break };
            self.stages.answered(case, finding)?;
        }
        Ok(())
    }

    /// Takes a reading of attempts; drops of namespaces that it is the first to show are looked at from now on.
    fn add_batch(&mut self, batch: &Batch) -> Result<(), PipelineError> {
        self.stages.add_batch(batch)?;
        self.widen_filter()
    }

    fn widen_filter(&mut self) -> Result<(), PipelineError> {
        let new = self.stages.new_namespaces();
        new.into_iter().try_for_each(|netns| self.source.also_from(netns)).map_err(Into::into)
    }

    /// Has the kernel's filter let through what is of the selected pods by now.
    fn follow_pods(&mut self) -> Result<(), PipelineError> {
        let Some(pods) = &mut self.stages.pods else { return Ok(()) };
        Ok(self.source.follow(&pods.renew())?)
    }

    /// Turns to the other flow map, and passes on what was counted in the old one.
    fn tick(&mut self) -> Result<(), PipelineError> {
        self.source.turn()?;
        self.drain()?;
        self.stages.refresh();
        self.stages.print_counters()?;
        self.stages.print_verdicts(false)?;
        self.stats(false)
    }

    /// All events before the counts that include them, so that a flow's first packet is printed with its headers.
    fn drain(&mut self) -> Result<(), PipelineError> {
        self.stages.next_tick();
        for _ in 0..MOST_TURNS {
            if self.events()? == Progress::Idle {
                break;
            }
        }
        let mut due = Vec::new();
        self.source.take_flows(|key, tally| due.extend(self.stages.counted(key, tally)))?;
        self.stages.totals.clear_other();
        self.source.other_flows(|key, tally| self.stages.totals.add_other(key, tally))?;
        due.sort_unstable_by_key(|due| std::cmp::Reverse(due.since_last.packets));
        due.iter().try_for_each(|due| self.stages.print(due))?;
        self.stages.flush()
    }

    /// Detaches, takes what is left, waits for the answers that lines wait for, and says the final counts.
    async fn finish(&mut self) -> Result<(), PipelineError> {
        let began = Instant::now();
        self.stages.describer.counters.look_last();
        self.stages.look_last_at_attempts();
        self.source.stop()?;
        self.drain()?;
        let rises = self.stages.describer.counters.rest(LAST_LOOK).await;
        self.stages.counters.add(rises);
        self.stages.last_attempts(began + LAST_LOOK).await;
        // The drops first: what became of an attempt may be one of them. Half of the time is left for the attempts' own.
        let is_bounded = self.stages.attempts.is_some();
        let until = |share| if is_bounded { began + END / share } else { Instant::now() + answers::PATIENCE };
        self.rest(Stages::has_waiting, until(2)).await?;
        self.stages.print_attempts(true)?;
        self.rest(|stages| stages.has_waiting() || stages.has_waiting_attempts(), until(1)).await?;
        self.stages.print_counters()?;
        self.stages.print_verdicts(true)?;
        self.stages.tell_census()?;
        self.stats(true)
    }

    /// Waits for the answers to what is still asked, until the deadline; the rest is told without.
    async fn rest(&mut self, is_waiting: fn(&Stages) -> bool, deadline: Instant) -> Result<(), PipelineError> {
        while is_waiting(&self.stages) {
            if let Ok((case, finding)) = timeout_at(deadline, self.stages.describer.answers.next()).await {
                self.stages.answered(case, finding)?;
            } else {
                self.stages.print_waiting(Duration::ZERO)?;
                self.stages.tell_waiting(Duration::ZERO)?;
            }
        }
        Ok(())
    }

    fn stats(&mut self, last: bool) -> Result<(), PipelineError> {
        let stats = self.stages.stats(&self.source.self_counters()?, last);
        self.stages.sink.stats(&stats).map_err(PipelineError::Sink)
    }
}
