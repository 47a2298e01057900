//! What naming the rule costs: how soon the line is there, what reading and asking a ruleset takes, and how much memory.
//!
//! Rule: each number has what it is compared with from the same run: the line of a drop that needs no ruleset, the maker's
//! own program that lists the rules, the kernel that passes them, a ruleset without rules.

mod evaluation;
mod print;
mod ruleset;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::Bench;
use crate::ground::{Ground, Line, SERVER_PORT};
use crate::load::Load;
use crate::spread::Spread;
use crate::tool::Memory;
use crate::watcher::Watcher;
pub(crate) use ruleset::DROPPED;
use ruleset::{Maker, Ruleset, Shape};

/// From so many rules on, what takes seconds is measured but once or twice.
const MANY: usize = 50_000;
/// Flows a second that are dropped while CPU time is taken.
const FLOWS: u64 = 1000;

/// Lines of drops, ms from the drop.
#[derive(Debug, Serialize)]
pub(crate) struct Lines {
    pub(crate) spread: Spread,
    /// How many of them named the rule.
    pub(crate) named: usize,
}

impl Lines {
    fn of(lines: &[Line]) -> Option<Self> {
        let spread = Spread::of(lines.iter().map(|line| milliseconds(line.time)))?;
        Some(Self { spread, named: lines.iter().filter(|line| line.is_named).count() })
    }
}

/// One ruleset.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    ruleset: Ruleset,
    /// ms from the drop to its line: no socket, so no rule.
    closed: Option<Spread>,
    /// A rule, of a ruleset that was read before.
    warm: Option<Lines>,
    /// A rule, of a ruleset that was changed since.
    cold: Option<Lines>,
    /// ms of the library's reading, and of the program that lists it.
    reading: Option<Spread>,
    listing: Option<Spread>,
    /// ns for a packet: asking the library, and what the rules add to the sender's CPU time while the kernel passes them.
    walk: Option<Spread>,
    kernel: f64,
    memory: Memory,
}

/// CPU time while flows are dropped.
#[derive(Debug, Serialize)]
pub(crate) struct Busy {
    ruleset: Ruleset,
    /// Share of one CPU: drops by a rule, and late answers, about which nothing is asked.
    dropped: f64,
    closed: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Netfilter {
    /// Without any rules.
    empty: Memory,
    cases: Vec<Case>,
    busy: Vec<Busy>,
}

impl Netfilter {
    /// The slowest reading of that many rules in many chains, whoever made them, ms.
    pub(crate) fn slowest(&self, rules: usize) -> Option<f64> {
        let cases = self.cases.iter().filter(|case| case.ruleset.rules == rules && case.ruleset.shape == Shape::Many);
        cases.filter_map(|case| case.reading).map(|reading| reading.median).reduce(f64::max)
    }
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Option<Netfilter>> {
    let sizes: &[usize] = if bench.quick { &[10, 10_000] } else { &[10, 1000, 10_000, 100_000] };
    let all = Maker::ALL.into_iter().flat_map(|maker| [Shape::Many, Shape::One].map(|shape| (maker, shape)));
    let all = all.flat_map(|(maker, shape)| sizes.iter().map(move |rules| Ruleset { maker, shape, rules: *rules }));
    let wanted: Vec<Ruleset> = all.filter(|ruleset| bench.wants(&format!("netfilter/{ruleset}"))).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let empty = without_rules(bench)?;
    let cases = wanted.iter().map(|ruleset| case(bench, *ruleset)).collect::<Result<_>>()?;
    let is_busy = |ruleset: &&Ruleset| ruleset.shape == Shape::Many && [10, 10_000].contains(&ruleset.rules);
    let busy = wanted.iter().filter(is_busy).map(|ruleset| busy(bench, *ruleset)).collect::<Result<_>>()?;
    Ok(Some(Netfilter { empty, cases, busy }))
}

/// Memory where there are no rules.
fn without_rules(bench: &Bench<'_>) -> Result<Memory> {
    eprintln!("netfilter/no rules");
    let mut ground = Ground::new()?;
    let watcher = Watcher::start(&bench.tools.whydrop, &ground.pair.server)?;
    ground.closed(&watcher)?;
    watcher.memory()
}

fn case(bench: &Bench<'_>, ruleset: Ruleset) -> Result<Case> {
    eprintln!("netfilter/{ruleset}");
    let mut ground = Ground::new()?;
    let (rounds, listings) =
        if ruleset.rules >= MANY { (bench.rounds.min(2), 1) } else { (bench.rounds, bench.rounds) };
    Ruleset { rules: 0, ..ruleset }.load(&ground.pair.server)?;
    // The first flood finds the neighbour.
    ground.flood(&flood(bench), true)?;
    let bare = ground.flood(&flood(bench), true)?.cpu_ns;
    ruleset.load(&ground.pair.server)?;
    let kernel = ground.flood(&flood(bench), true)?.cpu_ns - bare;
    let listings = (0..listings).map(|_| ruleset.list(&ground.pair.server)).collect::<Result<Vec<_>>>()?;
    let evaluation = evaluation::measure(&ground.pair, rounds)?;
    let watcher = Watcher::start(&bench.tools.whydrop, &ground.pair.server)?;
    ground.settle(&watcher)?;
    let memory = watcher.memory()?;
    let (mut closed, mut warm, mut cold) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        closed.push(ground.closed(&watcher)?);
        warm.push(ground.dropped(&watcher)?);
        ruleset.change(&ground.pair.server, round)?;
        cold.push(ground.dropped(&watcher)?);
        ground.settle(&watcher)?;
    }
    let (reading, walk) = evaluation.map(|evaluation| (evaluation.reading, evaluation.walk)).unzip();
    Ok(Case {
        ruleset,
        closed: Spread::of(closed.into_iter().map(milliseconds)),
        warm: Lines::of(&warm),
        cold: Lines::of(&cold),
        reading,
        listing: Spread::of(listings.into_iter().map(milliseconds)),
        walk,
        kernel,
        memory,
    })
}

/// What whydrop takes of a CPU while many flows are dropped: of each new one the rule is asked for.
fn busy(bench: &Bench<'_>, ruleset: Ruleset) -> Result<Busy> {
    eprintln!("netfilter/{ruleset}, {FLOWS} flows/s");
    let mut ground = Ground::new()?;
    ruleset.load(&ground.pair.server)?;
    let time = Duration::from_secs(if bench.quick { 3 } else { 10 });
    let load = Load { flows: 1 << 20, from_port: SERVER_PORT, ..Load::paced(FLOWS, bench.cpus[0], time) };
    let mut share = |is_dropped: bool| -> Result<f64> {
        let watcher = Watcher::start(&bench.tools.whydrop, &ground.pair.server)?;
        ground.settle(&watcher)?;
        let before = watcher.cpu()?;
        ground.flood(&load, is_dropped)?;
        Ok(watcher.cpu()?.saturating_sub(before).as_secs_f64() / time.as_secs_f64())
    };
    Ok(Busy { ruleset, closed: share(false)?, dropped: share(true)? })
}

/// A look at the clock after each batch: a packet that passes 100,000 rules takes milliseconds.
fn flood(bench: &Bench<'_>) -> Load {
    Load::paced(u64::MAX, bench.cpus[0], Duration::from_millis(200))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
