//! All numbers of a run, and how they are printed.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;

use crate::flow::Flow;
use crate::lossless::Step;
use crate::names::Names;
use crate::netfilter::Netfilter;
use crate::node::Node;
use crate::overhead::Cost;
use crate::program::Program;
use crate::start::Start;
use crate::verdict::Target;

/// What the numbers are of.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Seconds since 1970.
    time: u64,
    kernel: String,
    processor: String,
    cpus: usize,
    /// Runnable tasks in the last minute, before the run.
    load: String,
}

impl Machine {
    pub(crate) fn read(cpus: usize) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            time: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            processor: model.map_or_else(|| "unknown".into(), |(_, model)| model.to_owned()),
            cpus,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    no_bpftrace: Option<String>,
    pub(crate) start: Option<Start>,
    pub(crate) programs: Vec<Program>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) lossless: Vec<Step>,
    pub(crate) netfilter: Option<Netfilter>,
    pub(crate) names: Option<Names>,
    pub(crate) node: Option<Node>,
    pub(crate) flow: Option<Flow>,
    /// Cases without a single quiet round.
    pub(crate) noisy: Vec<String>,
    /// Counts that are not right: each is a bug.
    pub(crate) wrong: Vec<String>,
    pub(crate) targets: Vec<Target>,
}

impl Results {
    pub(crate) fn new(machine: Machine, no_bpftrace: Option<String>) -> Self {
        Self {
            machine,
            no_bpftrace,
            start: None,
            programs: Vec::new(),
            costs: Vec::new(),
            lossless: Vec::new(),
            netfilter: None,
            names: None,
            node: None,
            flow: None,
            noisy: Vec::new(),
            wrong: Vec::new(),
            targets: Vec::new(),
        }
    }

    pub(crate) fn cost(&self, scenario: &str, tool: &str) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.scenario == scenario && cost.tool == tool)
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { kernel, processor, cpus, load, .. } = &self.machine;
        writeln!(f, "\nLinux {kernel}, {cpus} CPUs ({processor}), load before the run {load}")?;
        if let Some(why) = &self.no_bpftrace {
            writeln!(f, "bpftrace is left out: {why}")?;
        }
        if let Some(start) = &self.start {
            writeln!(
                f,
                "From start to the header {} ms, to the first drop's line {} ms",
                start.header, start.first_drop
            )?;
        }
        self.costs(f)?;
        self.programs(f)?;
        self.lossless(f)?;
        if let Some(netfilter) = &self.netfilter {
            write!(f, "{netfilter}")?;
        }
        if let Some(names) = &self.names {
            write!(f, "{names}")?;
        }
        if let Some(node) = &self.node {
            write!(f, "{node}")?;
        }
        if let Some(flow) = &self.flow {
            write!(f, "{flow}")?;
        }
        self.verdict(f)
    }
}

impl Results {
    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.costs.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nCPU time of the sender, ns a drop: median [range] of the quiet rounds\n")?;
        writeln!(f, "| load | tool | without | added | x without | x c2 | x bpftrace | sender's rate | counts |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
        for cost in &self.costs {
            let to = |tool: &str| {
                let other = self.cost(&cost.scenario, tool).map(|other| other.overhead.median);
                other.map_or_else(|| "-".into(), |other| format!("{:.2}", cost.overhead.median / other))
            };
            let with = 1.0 + cost.overhead.median / cost.baseline.median;
            let counts = cost.dropped.map_or_else(|| "-".into(), |dropped| format!("{dropped} of {dropped}"));
            let counts = if self.is_wrong(cost) { "WRONG".into() } else { counts };
            let rate = cost.rate.map_or_else(|| "-".into(), |rate| format!("{:.2}", rate.median));
            writeln!(
                f,
                "| {} | {} | {:.0} | {} | {with:.2} | {} | {} | {rate} | {counts} |",
                cost.scenario,
                cost.tool,
                cost.baseline.median,
                cost.overhead,
                to("c2"),
                to("bpftrace")
            )?;
        }
        Ok(())
    }

    fn is_wrong(&self, cost: &Cost) -> bool {
        let case = format!("overhead/{}/{}: ", cost.scenario, cost.tool);
        self.wrong.iter().any(|wrong| wrong.starts_with(&case))
    }

    fn programs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.programs.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nRun time of the programs by the kernel's own clock, ns a drop\n")?;
        writeln!(f, "| load | program | time | less empty |\n| --- | --- | --- | --- |")?;
        for program in &self.programs {
            let empty = self.programs.iter().find(|other| other.scenario == program.scenario && other.tool == "empty");
            let less = empty.map_or_else(|| "-".into(), |empty| format!("{:.0}", program.ns.median - empty.ns.median));
            writeln!(f, "| {} | {} | {} | {less} |", program.scenario, program.tool, program.ns)?;
        }
        Ok(())
    }

    fn lossless(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lossless.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nA line for each drop (`--every -o json`)\n")?;
        writeln!(f, "| drops/s | reached | dropped | without a line | tries | whydrop's CPU, ns a drop |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        for Step { asked, reached, dropped, missing, tries, tool_ns } in &self.lossless {
            writeln!(f, "| {asked} | {reached:.0} | {dropped} | {missing} | {tries} | {tool_ns:.0} |")?;
        }
        Ok(())
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| target | wanted | measured | |\n| --- | --- | --- | --- |")?;
        for target in &self.targets {
            writeln!(f, "{target}")?;
        }
        self.noisy.iter().try_for_each(|case| writeln!(f, "\nno quiet round: {case}"))?;
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "\nWRONG: {wrong}"))
    }
}
