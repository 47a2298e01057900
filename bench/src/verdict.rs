//! The targets, and whether this run met them.

use std::fmt;

use serde::Serialize;

use crate::results::Results;
use crate::tool::Memory;

const MIB: f64 = (1 << 20) as f64;

/// A target with what was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    what: String,
    wanted: String,
    measured: String,
    /// `None`: not measured.
    met: Option<bool>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        write!(f, "| {} | {} | {} | {verdict} |", self.what, self.wanted, self.measured)
    }
}

impl Target {
    fn at_most(what: impl Into<String>, limit: f64, unit: &str, measured: Option<f64>) -> Self {
        Self::new(what, format!("at most {limit}{unit}"), unit, measured, |measured| measured <= limit)
    }

    fn at_least(what: impl Into<String>, limit: f64, unit: &str, measured: Option<f64>) -> Self {
        Self::new(what, format!("at least {limit}{unit}"), unit, measured, |measured| measured >= limit)
    }

    fn new(
        what: impl Into<String>,
        wanted: String,
        unit: &str,
        measured: Option<f64>,
        is_met: impl Fn(f64) -> bool,
    ) -> Self {
        let digits = if measured.is_some_and(|measured| measured.abs() < 10.0) { 2 } else { 0 };
        let shown = measured.map_or_else(|| "-".into(), |measured| format!("{measured:.digits$}{unit}"));
        Self { what: what.into(), wanted, measured: shown, met: measured.map(is_met) }
    }
}

/// For people and for tools; the dearer of the two counts.
const DEFAULT_MODE: [&str; 2] = ["whydrop-text", "whydrop-json"];

pub(crate) fn judge(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for flows in [1, 1000] {
        for (other, limit) in [("c2", 1.3), ("bpftrace", 0.75)] {
            let what = format!("overhead, {flows} flow{}, to {other}", if flows == 1 { "" } else { "s" });
            targets.push(Target::at_most(what, limit, " x", ratio(results, &format!("{flows}-flows/one-cpu"), other)));
        }
    }
    targets.push(many_flows(results));
    targets.push(counts(results));
    targets.push(Target::at_least("sender's rate, default mode, to its rate without", 0.8, "", rate(results)));
    let lossless = results.lossless.iter().filter(|step| step.is_lossless()).map(|step| step.asked as f64);
    let tried = !results.lossless.is_empty();
    let rate = tried.then(|| lossless.fold(0.0, f64::max));
    targets.push(Target::at_least("a line for each drop, drops a second", 200_000.0, "", rate));
    let memory = results.costs.iter().filter(|cost| DEFAULT_MODE.contains(&cost.tool.as_str()));
    let memory = memory.fold(None, |most, cost| Memory::larger(most, cost.memory));
    let mib = |part: fn(Memory) -> u64| memory.map(|memory| part(memory) as f64 / MIB);
    targets.push(Target::at_most("resident memory", 30.0, " MiB", mib(|memory| memory.resident)));
    targets.push(Target::at_most("resident memory at its peak", 45.0, " MiB", mib(|memory| memory.peak)));
    targets.push(Target::at_most("kernel maps", 32.0, " MiB", mib(|memory| memory.maps)));
    let first = results.start.as_ref().map(|start| start.first_drop.median);
    targets.push(Target::at_most("from start to the first drop's line", 300.0, " ms", first));
    for (what, limit) in [("tcp-data", 1.2), ("udp-data", 1.2), ("update", 2.0)] {
        let ratio = results.flow.as_ref().and_then(|flow| flow.to_empty(what));
        targets.push(Target::at_most(format!("at tc, {what}, to an empty program"), limit, " x", ratio));
    }
    let reading = results.netfilter.as_ref().and_then(|netfilter| netfilter.slowest(100_000));
    targets.push(Target::at_most("reading 100000 rules in 10000 chains", 1000.0, " ms", reading));
    targets
}

fn overhead(results: &Results, scenario: &str) -> Option<f64> {
    let costs = DEFAULT_MODE.iter().filter_map(|tool| results.cost(scenario, tool));
    costs.map(|cost| cost.overhead.median).reduce(f64::max)
}

fn ratio(results: &Results, scenario: &str, other: &str) -> Option<f64> {
    Some(overhead(results, scenario)? / results.cost(scenario, other)?.overhead.median)
}

/// 400 ns, on a machine on which `c2` takes 72 ns for one flow: on another one as many times as much.
fn many_flows(results: &Results) -> Target {
    let added = overhead(results, "100000-flows/one-cpu");
    let one = results.cost("1-flows/one-cpu", "c2").map(|cost| cost.overhead.median);
    let ratio = added.zip(one).map(|(added, one)| added / one);
    let target = Target::at_most("overhead, 100000 flows, to c2 with 1 flow", 5.5, " x", ratio);
    let ns = added.map_or_else(String::new, |added| format!(" ({added:.0} ns)"));
    Target { measured: target.measured + &ns, ..target }
}

/// The worst of all loads.
fn rate(results: &Results) -> Option<f64> {
    let costs = results.costs.iter().filter(|cost| DEFAULT_MODE.contains(&cost.tool.as_str()));
    costs.filter_map(|cost| cost.rate).map(|rate| rate.median).reduce(f64::min)
}

fn counts(results: &Results) -> Target {
    let checked = results.costs.iter().filter_map(|cost| cost.dropped);
    let checked = checked.chain(results.lossless.iter().map(|step| step.dropped)).sum::<u64>();
    let wrong = results.wrong.len();
    Target {
        what: "counts".into(),
        wanted: "exact in every run".into(),
        measured: if wrong == 0 { format!("{checked} of {checked}") } else { format!("{wrong} runs wrong") },
        met: (checked > 0 || wrong > 0).then_some(wrong == 0),
    }
}
