//! Attempts to talk, beside the drops: joined to stories, explained with the node's state where that tells more, and told.
//!
//! Rule: as for drops, a story waits for the answer to its question for at most [`answers::PATIENCE`], and none is lost by it.

use std::collections::HashSet;
use std::mem::take;
use std::time::{Duration, Instant};

use aya::Ebpf;
use tokio::time::timeout_at;

use crate::enrich;
use crate::event::{AttemptTotals, Drop, Header, Packet, SourceLine};
use crate::explain;
use crate::flow::dns::Choice;
use crate::flow::{self, Batch, FlowHandle, Hooks, Kept, Role, Story};
use crate::host::clock::monotonic;
use crate::inquiry::Case;
use crate::kubernetes::Span;
use crate::load::FlowMaps;

use super::PipelineError;
use super::answers::{self, Finding, Kind, Question};
use super::stages::Stages;

/// Stories that wait for an answer, some KiB each.
const MOST_WAITING: usize = 4096;

/// How long the start waits until everything is attached.
const START: Duration = Duration::from_secs(5);

/// What the line remembers of attempts.
pub(super) struct Attempts {
    handle: FlowHandle,
    book: flow::Book,
    dns: flow::dns::Book,
    queries: Choice,
    kept: Kept,
    hooks: Hooks,
    /// What can't be seen, so far as it turned out after the header.
    late_coverage: Vec<String>,
    scope: Option<Scope>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    since: Instant,
    case: Case,
    story: Story,
}

/// Where drops are of interest, beside the host's namespace: in the namespaces that were asked for and in those that their
/// devices lead to. What lies behind an uplink is beyond the node, also where it is on the same machine.
struct Scope {
    netns: HashSet<u32>,
    /// Not passed on to the kernel's filter so far.
    new: Vec<u32>,
}

impl Scope {
    /// `None`: everywhere.
    fn new(plan: &flow::Plan) -> Option<Self> {
        let asked: HashSet<u32> = plan.namespaces.iter().map(|netns| netns.inode).collect();
        (!asked.is_empty()).then_some(Self { netns: asked, new: Vec::new() })
    }

    fn add(&mut self, batch: &Batch) {
        let inside = batch.points.iter().filter(|point| point.role == Role::Pod);
        for netns in inside.filter_map(|point| Some(point.leads_to.as_ref()?.inode)) {
            if self.netns.insert(netns) {
                self.new.push(netns);
            }
        }
    }
}

impl Attempts {
    pub(super) fn new(handle: FlowHandle, first: &Batch, plan: &flow::Plan) -> Self {
        let queries = plan.queries;
        let mut attempts = Self {
            handle,
            book: flow::Book::default(),
            dns: flow::dns::Book::new(queries),
            queries,
            kept: Kept::default(),
            hooks: Hooks::default(),
            late_coverage: Vec::new(),
            scope: (!plan.is_beside).then(|| Scope::new(plan)).flatten(),
            waiting: Vec::new(),
        };
        attempts.add(first);
        attempts
    }

    fn add(&mut self, batch: &Batch) {
        // Nothing was read: it has a sentence alone.
        if batch.read == 0 {
            return;
        }
        self.book.add(batch);
        self.dns.add(batch);
        self.kept = batch.kept;
        if let Some(scope) = &mut self.scope {
            scope.add(batch);
        }
        self.hooks = batch.hooks.clone();
    }

    /// Adds one that came after the header: what it says of what can't be seen is kept for `stats`.
    fn add_later(&mut self, batch: &Batch) {
        self.add(batch);
        self.late_coverage.extend(batch.coverage.iter().cloned());
    }

    pub(super) fn late_coverage(&self) -> &[String] {
        &self.late_coverage
    }

    /// Whether what happens in a namespace is of this node, as far as the run looks at it.
    pub(super) fn concerns(&self, netns: u32, host: Option<u32>) -> bool {
        self.scope.as_ref().is_none_or(|scope| netns == 0 || Some(netns) == host || scope.netns.contains(&netns))
    }

    /// For `stats`.
    pub(super) fn totals(&self) -> AttemptTotals {
        let (queries, failed_queries) = self.dns.totals();
        let totals = self.book.totals();
        let interfaces = self.hooks.devices();
        let not_followed = self.kept.not_followed + totals.not_followed + self.dns.not_followed();
        AttemptTotals { queries, failed_queries, interfaces, not_followed, ..totals }
    }

    /// Takes a drop that is described, whether it has a line or is hidden: a packet of an attempt, perhaps. It has no time if it
    /// comes from the counts.
    pub(super) fn dropped(&mut self, drop: &Drop, time: Option<u64>) {
        for (tuple, seen) in enrich::drops_of_attempts(drop, time) {
            self.book.dropped(&tuple, seen.clone());
            self.dns.dropped(&tuple, seen);
        }
    }

    /// Whether an attempt that is not decided has this packet.
    pub(super) fn is_about(&self, packet: &Packet) -> bool {
        enrich::ends(packet).is_some_and(|tuple| self.book.is_open(tuple))
    }
}

/// For the header: where attempts are seen.
fn sources(hooks: &Hooks) -> Vec<SourceLine> {
    let line = |hook: &str, reason| SourceLine { name: "flow".into(), hook: hook.into(), reason };
    let why = |refused: &String| format!("the kernel refuses tcx links ({refused})");
    let mut sources = Vec::new();
    if hooks.tcx > 0 {
        sources.push(line("tcx", "preferred".into()));
    }
    if hooks.clsact > 0 {
        sources.push(line("clsact", hooks.without_tcx.as_ref().map_or_else(|| "chosen".into(), why)));
    }
    sources
}

impl Stages {
    /// Namespaces whose drops are of interest by now.
    pub(super) fn new_namespaces(&mut self) -> Vec<u32> {
        let scope = self.attempts.as_mut().and_then(|attempts| attempts.scope.as_mut());
        scope.map(|scope| take(&mut scope.new)).unwrap_or_default()
    }

    /// Whether what happens in a namespace is to be told.
    pub(super) fn concerns(&self, netns: u32) -> bool {
        self.attempts.as_ref().is_none_or(|attempts| attempts.concerns(netns, self.describer.host_netns()))
    }

    /// The next reading; pending for ever where no attempts are watched.
    pub(super) async fn next_batch(attempts: &mut Option<Attempts>) -> Batch {
        match attempts {
            Some(attempts) => attempts.handle.next().await,
            None => std::future::pending().await,
        }
    }

    /// Attaches to devices, and says in the header what can't be seen.
    pub(super) fn watch_attempts(
        &mut self,
        object: Ebpf,
        maps: FlowMaps,
        plan: &flow::Plan,
        header: &mut Header,
    ) -> Result<(), PipelineError> {
        let mut handle = flow::spawn(self.describer.subscribe(), object, maps, plan.clone())?;
        let first = handle.wait_for_start(START);
        if let Some(why) = first.refused {
            return Err(PipelineError::Attempts(why));
        }
        header.sources.extend(sources(&first.hooks));
        header.coverage.extend(first.coverage.iter().cloned());
        self.attempts = Some(Attempts::new(handle, &first, plan));
        Ok(())
    }

    /// Takes the last reading; detaching from many devices is not waited for.
    pub(super) async fn last_attempts(&mut self, deadline: tokio::time::Instant) {
        let Some(attempts) = &mut self.attempts else { return };
        while let Ok(Some(batch)) = timeout_at(deadline, attempts.handle.rest()).await {
            attempts.add_later(&batch);
            if batch.is_last {
                break;
            }
        }
    }

    /// Asks for the last reading.
    pub(super) fn look_last_at_attempts(&self) {
        if let Some(attempts) = &self.attempts {
            attempts.handle.look_last();
        }
    }

    /// Takes a reading, and tells what is decided by now.
    pub(super) fn add_batch(&mut self, batch: &Batch) -> Result<(), PipelineError> {
        if let Some(attempts) = &mut self.attempts {
            attempts.add_later(batch);
        }
        self.print_attempts(false)
    }

    /// Tells the attempts that are decided; at the end all of them.
    pub(super) fn print_attempts(&mut self, is_end: bool) -> Result<(), PipelineError> {
        let Some(attempts) = &mut self.attempts else { return Ok(()) };
        let (now, choice, pods) = (monotonic(), attempts.queries, self.pods.as_ref());
        let ledger = &mut self.ledger;
        let mut decided = |story: &Story| {
            if let Some(ledger) = ledger.as_mut() {
                ledger.add(story, now);
            }
        };
        let concerns = |story: &Story| pods.is_none_or(|pods| pods.concern(story));
        let stories = attempts.book.take_of(now, is_end, &concerns, &mut decided);
        let queries = attempts.dns.take_of(now, is_end, |query| pods.is_none_or(|pods| pods.concern_query(query)));
        stories.into_iter().try_for_each(|story| self.tell(story))?;
        for query in queries.iter().filter(|query| choice.tells(query)) {
            let mut dns = enrich::dns(query, self.describer.clock(), explain::dns::explain(query));
            self.describer.name_dns(&mut dns, Span { from: query.first, to: query.last });
            self.sink.dns(&dns).map_err(PipelineError::Sink)?;
        }
        self.flush()
    }

    /// Asks about a story, or tells it.
    fn tell(&mut self, story: Story) -> Result<(), PipelineError> {
        let Some(wanted) = explain::flow::wanted(&story) else { return self.tell_now(&story, None) };
        let case = wanted.case;
        let known = self.describer.answers.of(case, Kind::State, || Ok(Some(Question::State(wanted))));
        match known {
            answers::Known::Is(finding) => self.tell_now(&story, Some(&finding)),
            answers::Known::Asked => match &mut self.attempts {
                Some(attempts) if attempts.waiting.len() < MOST_WAITING => {
                    attempts.waiting.push(Waiting { since: Instant::now(), case, story });
                    Ok(())
                }
                _ => self.tell_now(&story, None),
            },
        }
    }

    /// Tells the stories that waited for this answer.
    pub(super) fn tell_answered(&mut self, case: &Case, finding: &Finding) -> Result<(), PipelineError> {
        let Some(attempts) = &mut self.attempts else { return Ok(()) };
        let (answered, rest) = take(&mut attempts.waiting).into_iter().partition(|waiting| waiting.case == *case);
        attempts.waiting = rest;
        let answered: Vec<Waiting> = answered;
        answered.iter().try_for_each(|waiting| self.tell_now(&waiting.story, Some(finding)))
    }

    /// Tells the stories that have waited for so long, without what they waited for.
    pub(super) fn tell_waiting(&mut self, patience: Duration) -> Result<(), PipelineError> {
        let Some(attempts) = &mut self.attempts else { return Ok(()) };
        let late = |waiting: &Waiting| waiting.since.elapsed() >= patience;
        let (late, rest): (Vec<_>, Vec<_>) = take(&mut attempts.waiting).into_iter().partition(late);
        attempts.waiting = rest;
        late.iter().try_for_each(|waiting| self.tell_now(&waiting.story, None))
    }

    pub(super) fn has_waiting_attempts(&self) -> bool {
        self.attempts.as_ref().is_some_and(|attempts| !attempts.waiting.is_empty())
    }

    fn tell_now(&mut self, story: &Story, finding: Option<&Finding>) -> Result<(), PipelineError> {
        let explanation = explain::flow::explain(story, finding.and_then(Finding::state));
        let mut flow = enrich::flow(story, self.describer.clock(), explanation);
        self.describer.name_flow(&mut flow, story);
        if let Some(ledger) = &mut self.ledger {
            ledger.told(story, &flow);
        }
        self.sink.flow(&flow).map_err(PipelineError::Sink)
    }

    /// Tells the sink of all attempts of the run.
    pub(super) fn tell_census(&mut self) -> Result<(), PipelineError> {
        match &self.attempts {
            Some(attempts) => self.sink.census(attempts.book.census()).map_err(PipelineError::Sink),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_hooks_that_interfaces_have() {
        let hooks = Hooks { tcx: 2, clsact: 1, without_tcx: Some("EINVAL".to_owned()) };
        let told: Vec<_> = sources(&hooks).into_iter().map(|line| (line.hook, line.reason)).collect();
        let clsact = ("clsact".to_owned(), "the kernel refuses tcx links (EINVAL)".to_owned());
        assert_eq!(told, [("tcx".to_owned(), "preferred".to_owned()), clsact]);
        assert_eq!(sources(&Hooks::default()), []);
    }
}
