//! The sink of `diagnose`: gathers what is told, and says the findings at the end.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Counter, Dns, Finding, Flow, Header, Severity, Stats};
use crate::explain::flow::{Around, Platform, is_allowance};
use crate::flow::Census;
use crate::sink::{JsonLines, Line, Sink, thousands};

use super::Expectation;
use super::finding::{findings, ranked};
use super::gather::Gathered;
use super::harm::{Background, Judge};
use super::missing::{Answer, Run, answer};

/// What the exit status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Healthy,
    /// There is a finding of severity `problem`.
    Unhealthy,
    /// There was no interface to watch in the whole run, and nothing else was seen to be wrong.
    Blind,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub expectations: Vec<Expectation>,
    /// Inodes of the namespaces that findings are about; all if empty.
    pub scope: Vec<u32>,
    /// It watches a command that is run to see it fail: one failure is enough.
    pub has_command: bool,
    pub platform: Platform,
}

/// What a report says beside the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// A sentence for each expectation that was met.
    pub met: Vec<String>,
    /// Failures that are in no finding, as there were too many different ones.
    pub left_out: u64,
    /// Where namespaces were chosen: packets dropped in these that are not expected or noise.
    pub dropped_there: Option<u64>,
}

/// A renderer that is also told what is well.
pub trait Render: Sink {
    /// Called before the findings.
    fn notes(&mut self, _notes: Notes) -> io::Result<()> {
        Ok(())
    }
}

impl<W: io::Write> Render for JsonLines<W> {}

/// Counters of a cloud's allowances that are kept: some of each network card.
const MOST_ALLOWANCES: usize = 64;

/// Gathers.
pub struct Diagnosis {
    inner: Box<dyn Render>,
    settings: Settings,
    gathered: Gathered,
    census: Census,
    allowances: Vec<Counter>,
    started: Instant,
    /// There was an interface at some time, or attempts are not watched at all.
    has_watched: bool,
    health: Arc<Mutex<Health>>,
}

impl Diagnosis {
    /// `inner` gets all lines and the findings.
    pub fn new(inner: Box<dyn Render>, mut settings: Settings) -> Self {
        for expectation in &mut settings.expectations {
            expectation.others_are_outside = !settings.scope.is_empty();
        }
        let gathered = Gathered::new(settings.scope.clone());
        let (census, started, health) = (Census::default(), Instant::now(), Arc::default());
        let (allowances, has_watched) = (Vec::new(), false);
        Self { inner, settings, gathered, census, allowances, started, has_watched, health }
    }

    /// What will be known when the run has ended.
    pub fn health(&self) -> Arc<Mutex<Health>> {
        Arc::clone(&self.health)
    }

    /// Says the findings.
    fn conclude(&mut self, stats: &Stats) -> io::Result<()> {
        let run = Run {
            took: seconds(self.started.elapsed()),
            time: stats.time.clone(),
            interfaces: stats.attempts.map_or(0, |attempts| attempts.interfaces),
            is_blind: !self.has_watched,
            platform: self.settings.platform,
        };
        let (met, findings) = self.judged(&run);
        let is_problem = findings.iter().any(|finding| finding.severity == Severity::Problem);
        if let Ok(mut health) = self.health.lock() {
            *health = match (is_problem, self.has_watched) {
                (true, _) => Health::Unhealthy,
                (false, true) => Health::Healthy,
                (false, false) => Health::Blind,
            };
        }
        let dropped_there = (!self.settings.scope.is_empty()).then_some(self.gathered.dropped());
        self.inner.notes(Notes { met, left_out: self.gathered.left_out(), dropped_there })?;
        findings.iter().try_for_each(|finding| self.inner.finding(finding))
    }

    /// Keeps a counter of a cloud's allowance, with all that it rose.
    fn note_allowance(&mut self, counter: &Counter) {
        if !is_allowance(counter) {
            return;
        }
        let is_same = |kept: &Counter| {
            (&kept.name, &kept.interface, &kept.netns) == (&counter.name, &counter.interface, &counter.netns)
        };
        if let Some(kept) = self.allowances.iter_mut().find(|kept| is_same(kept)) {
            kept.delta = kept.delta.saturating_add(counter.delta);
        } else if self.allowances.len() < MOST_ALLOWANCES {
            self.allowances.push(counter.clone());
        }
    }

    /// Sentences for what is met, and the findings in order.
    fn judged(&mut self, run: &Run) -> (Vec<String>, Vec<Finding>) {
        let groups = self.gathered.take();
        let background = Background::new(&self.census);
        let expectations = &self.settings.expectations;
        let judge = Judge { background: &background, expectations, one_is_enough: self.settings.has_command };
        let around = Around { census: &self.census, platform: run.platform, counters: &self.allowances };
        let (told, mut all) = findings(&groups, &judge, around);
        let mut met = Vec::new();
        for expectation in expectations {
            match answer(expectation, &told, &judge, run) {
                Answer::Met(sentence) => met.push(sentence),
                Answer::Said => {}
                Answer::Missing(scored) => all.push(*scored),
            }
        }
        (met, ranked(all))
    }
}

/// `30 s`; a fraction below ten.
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
    } else {
        format!("{} s", thousands(time.as_secs()))
    }
}

impl Sink for Diagnosis {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.started = Instant::now();
        self.inner.header(header)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.gathered.drop(line.drop);
        self.inner.line(line)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.gathered.counter(counter);
        self.note_allowance(counter);
        self.inner.counter(counter)
    }

    fn flow(&mut self, flow: &Flow) -> io::Result<()> {
        self.gathered.flow(flow);
        self.inner.flow(flow)
    }

    fn dns(&mut self, dns: &Dns) -> io::Result<()> {
        self.gathered.dns(dns);
        self.inner.dns(dns)
    }

    fn census(&mut self, census: &Census) -> io::Result<()> {
        self.census = census.clone();
        self.inner.census(census)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.has_watched |= stats.attempts.is_none_or(|attempts| attempts.interfaces > 0);
        if stats.last {
            self.conclude(stats)?;
        }
        self.inner.stats(stats)
    }
}
