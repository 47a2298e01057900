//! What a tool adds to the sender's CPU time for a packet, and whether whydrop counted every one.
//!
//! Rule: runs with and without a tool take turns. A run counts only if the two without a tool around it agree within 10 %, so
//! that a neighbour's load does not pass for cost; counts are checked in every run.

use anyhow::Result;
use serde::Serialize;

use crate::Bench;
use crate::lab::REASON;
use crate::load::{FROM_PORT, Load, Sent};
use crate::results::Results;
use crate::spread::Spread;
use crate::tool::{Memory, Report, Tool};

/// How far two runs without a tool may lie apart.
const AGREEMENT: f64 = 0.10;
/// Runs for each that counts, at most.
const TRIES: usize = 4;

/// A way of sending.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) load: Load,
}

impl Scenario {
    /// The first CPU sends; tools have the others.
    pub(crate) fn one_cpu(bench: &Bench<'_>) -> Vec<Self> {
        Self::all(bench, "one-cpu", &bench.cpus[..1])
    }

    /// Every CPU sends, and tools have to compete.
    fn all_cpus(bench: &Bench<'_>) -> Vec<Self> {
        Self::all(bench, "all-cpus", &bench.cpus)
    }

    fn all(bench: &Bench<'_>, who: &str, cpus: &[usize]) -> Vec<Self> {
        let flows: &[u32] = if bench.quick { &[1, 100_000] } else { &[1, 1000, 100_000] };
        let scenario = |flows: &u32| Self {
            name: format!("{flows}-flows/{who}"),
            load: Load { flows: *flows, cpus: cpus.to_vec(), time: bench.time, from_port: FROM_PORT, rate: None },
        };
        flows.iter().map(scenario).collect()
    }
}

/// A tool under a scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) scenario: String,
    pub(crate) tool: String,
    /// CPU time of the sender for a packet without the tool, ns.
    pub(crate) baseline: Spread,
    /// What the tool adds, ns.
    pub(crate) overhead: Spread,
    /// The sender's rate with the tool, to its rate without; `None` if that never agreed with itself.
    pub(crate) rate: Option<Spread>,
    /// Packets that the rule dropped while a tool that counts was watching, all runs together.
    pub(crate) dropped: Option<u64>,
    pub(crate) memory: Option<Memory>,
}

pub(crate) fn measure(bench: &Bench<'_>, results: &mut Results) -> Result<()> {
    for scenario in Scenario::one_cpu(bench).into_iter().chain(Scenario::all_cpus(bench)) {
        let case = |tool: Tool| format!("overhead/{}/{tool}", scenario.name);
        let mut series: Vec<Series> = [Tool::Empty, Tool::C2, Tool::Bpftrace, Tool::Text, Tool::Json, Tool::Every]
            .into_iter()
            .filter(|tool| bench.wants(&case(*tool)) && (*tool != Tool::Bpftrace || bench.no_bpftrace.is_none()))
            .map(Series::new)
            .collect();
        if series.is_empty() {
            continue;
        }
        let mut before = bench.lab.flood(&scenario.load)?.0;
        for _ in 0..bench.rounds * TRIES {
            for series in series.iter_mut().filter(|series| series.runs.len() < bench.rounds) {
                let run = series.run(bench, &scenario, results)?;
                let after = bench.lab.flood(&scenario.load)?.0;
                series.keep(run, before, after);
                before = after;
            }
        }
        results.costs.extend(series.iter().filter_map(|series| series.cost(&scenario.name)));
        results.noisy.extend(series.iter().filter(|series| series.runs.is_empty()).map(|series| case(series.tool)));
    }
    Ok(())
}

/// The runs of one tool.
struct Series {
    tool: Tool,
    runs: Vec<Run>,
    dropped: Option<u64>,
    memory: Option<Memory>,
}

struct Run {
    baseline: f64,
    overhead: f64,
    /// Unlike CPU time it suffers from whoever else wants the CPU, so it may be missing where the others are not.
    rate: Option<f64>,
}

impl Series {
    fn new(tool: Tool) -> Self {
        Self { tool, runs: Vec::new(), dropped: None, memory: None }
    }

    fn run(&mut self, bench: &Bench<'_>, scenario: &Scenario, results: &mut Results) -> Result<Sent> {
        let case = format!("overhead/{}/{}", scenario.name, self.tool);
        eprintln!("{case}");
        let running = bench.tools.start(self.tool)?;
        let (sent, dropped) = bench.lab.flood(&scenario.load)?;
        self.memory = Memory::larger(self.memory, running.memory()?);
        if let Some(report) = running.stop()? {
            results.wrong.extend(wrong(&report, dropped, bench.lab.netns()?)?.map(|wrong| format!("{case}: {wrong}")));
            self.dropped = Some(self.dropped.unwrap_or(0) + dropped);
        }
        Ok(sent)
    }

    fn keep(&mut self, run: Sent, before: Sent, after: Sent) {
        let Some(baseline) = agreed(before.cpu_ns, after.cpu_ns) else {
            eprintln!("  noisy: {:.0} and {:.0} ns without a tool", before.cpu_ns, after.cpu_ns);
            return;
        };
        let rate = agreed(before.rate, after.rate).map(|rate| run.rate / rate);
        self.runs.push(Run { baseline, overhead: run.cpu_ns - baseline, rate });
    }

    fn cost(&self, scenario: &str) -> Option<Cost> {
        let spread = |number: fn(&Run) -> Option<f64>| Spread::of(self.runs.iter().filter_map(number));
        Some(Cost {
            scenario: scenario.to_owned(),
            tool: self.tool.to_string(),
            baseline: spread(|run| Some(run.baseline))?,
            overhead: spread(|run| Some(run.overhead))?,
            rate: spread(|run| run.rate),
            dropped: self.dropped,
            memory: self.memory,
        })
    }
}

/// The mean of two numbers that should be equal, if they are.
fn agreed(one: f64, other: f64) -> Option<f64> {
    (one.max(other) <= one.min(other) * (1.0 + AGREEMENT)).then(|| f64::midpoint(one, other))
}

/// What does not add up, if anything: whydrop's total of the lab's drops is the rule's counter, and its lines, with what it
/// says it left out of them, are its total.
pub(crate) fn wrong(report: &Report, dropped: u64, netns: u64) -> Result<Option<String>> {
    let counted = report.total(netns, REASON)?;
    if counted != dropped {
        return Ok(Some(format!("{counted} counted, {dropped} dropped")));
    }
    let parts = ["hidden", "not_shown", "other_flows"];
    let left_out = parts.iter().map(|part| report.number(part)).sum::<Result<u64>>()?;
    let (lines, packets) = (report.packets, report.number("packets")?);
    Ok((lines + left_out != packets).then(|| format!("{lines} in lines and {left_out} left out are not {packets}")))
}
