//! The highest rate at which `--every` gives each drop a line of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::Bench;
use crate::load::Load;
use crate::overhead;
use crate::results::Results;
use crate::tool::Tool;

/// Drops a second to try, until one is too much.
const RATES: [u64; 6] = [50_000, 100_000, 200_000, 400_000, 600_000, 800_000];
const TIME: Duration = Duration::from_secs(2);
/// A rate that fails is tried again: other work on the machine may have been to blame.
const TRIES: usize = 3;
/// A rate counts as tried when the sender came so near to it.
const NEAR: f64 = 0.95;

/// One rate.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// Drops a second, as asked for and as reached.
    pub(crate) asked: u64,
    pub(crate) reached: f64,
    pub(crate) dropped: u64,
    /// Drops without a line of their own.
    pub(crate) missing: u64,
    pub(crate) tries: usize,
    /// CPU time of whydrop for a drop, its start included, ns.
    pub(crate) tool_ns: f64,
}

impl Step {
    /// Whether the rate was reached, and no drop was without a line.
    pub(crate) fn is_lossless(&self) -> bool {
        self.missing == 0 && self.reached >= NEAR * self.asked as f64
    }
}

pub(crate) fn measure(bench: &Bench<'_>, results: &mut Results) -> Result<()> {
    for rate in RATES {
        if !bench.wants(&format!("lossless/{rate}")) {
            continue;
        }
        let step = step(bench, results, rate)?;
        let goes_on = step.is_lossless();
        results.lossless.push(step);
        if !goes_on {
            break;
        }
    }
    Ok(())
}

fn step(bench: &Bench<'_>, results: &mut Results, rate: u64) -> Result<Step> {
    let mut best: Option<Step> = None;
    for tries in 1..=TRIES {
        eprintln!("lossless/{rate}");
        let step = Step { tries, ..once(bench, results, rate)? };
        let done = step.is_lossless();
        let is_better = best.as_ref().is_none_or(|best| step.missing <= best.missing);
        best = if done || is_better { Some(step) } else { best };
        if done {
            break;
        }
    }
    best.context("no rate was tried")
}

fn once(bench: &Bench<'_>, results: &mut Results, rate: u64) -> Result<Step> {
    let running = bench.tools.start(Tool::Every)?;
    let (sent, dropped) = bench.lab.flood(&Load::paced(rate, bench.cpus[0], TIME))?;
    let report = running.stop()?.context("whydrop gave no counts")?;
    let wrong = overhead::wrong(&report, dropped, bench.lab.netns()?)?;
    results.wrong.extend(wrong.map(|wrong| format!("lossless/{rate}: {wrong}")));
    let missing = report.number("lost")? + report.number("suppressed")?;
    let cpu = report.stats["cpu_seconds"].as_f64().context("no cpu_seconds")?;
    Ok(Step { asked: rate, reached: sent.rate, dropped, missing, tries: 1, tool_ns: cpu * 1e9 / dropped.max(1) as f64 })
}
