//! What a dropped packet costs with whydrop, and whether the counts are right. Started by `cargo xtask bench`.
//!
//! Rule: all numbers are of one run on one machine, and what matters are their ratios. Truth is the counter of the rule that
//! drops. Only a wrong count is a failure; a missed target is a line in the verdict.

#![expect(clippy::cast_precision_loss, reason = "statistics: the first fifteen digits of a count are enough")]

mod flow;
mod ground;
mod lab;
mod load;
mod lossless;
mod names;
mod netfilter;
mod node;
mod overhead;
mod program;
mod results;
mod spread;
mod start;
mod tool;
mod verdict;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tracer_tests::topology;

use lab::Lab;
use results::{Machine, Results};
use tool::{Bpftrace, Tools};

#[derive(Parser)]
struct Arguments {
    /// The binary that is measured
    #[arg(long)]
    whydrop: PathBuf,
    /// The object with the programs that it is compared with
    #[arg(long)]
    yardstick: PathBuf,
    /// Measure each case so often [default: 5, quick: 3]
    #[arg(long)]
    rounds: Option<u32>,
    /// Few and short rounds
    #[arg(long)]
    quick: bool,
    /// Only cases whose name contains this
    #[arg(long)]
    only: Vec<String>,
    /// Also write every number to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What every part needs.
struct Bench<'a> {
    lab: Lab<'a>,
    tools: Tools,
    /// The first is the one that sends when only one does.
    cpus: Vec<usize>,
    rounds: usize,
    /// How long a round sends.
    time: Duration,
    only: Vec<String>,
    quick: bool,
    /// Why bpftrace is left out, if it is.
    no_bpftrace: Option<String>,
}

impl Bench<'_> {
    /// Whether the user wants this case.
    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| case.contains(part.as_str()))
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all counts were right.
fn run(args: &Arguments) -> Result<bool> {
    come_first();
    let pair = topology::pair()?;
    let bench = Bench {
        lab: Lab::new(&pair)?,
        tools: Tools { whydrop: args.whydrop.clone(), yardstick: args.yardstick.clone() },
        cpus: load::allowed_cpus()?,
        rounds: args.rounds.map_or(if args.quick { 3 } else { 5 }, |rounds| rounds.max(1) as usize),
        time: Duration::from_millis(if args.quick { 300 } else { 1000 }),
        only: args.only.clone(),
        quick: args.quick,
        no_bpftrace: Bpftrace::usable().err().map(|error| format!("{error:#}")),
    };
    let mut results = Results::new(Machine::read(bench.cpus.len())?, bench.no_bpftrace.clone());
    results.start = start::measure(&bench)?;
    results.programs = program::measure(&bench)?;
    overhead::measure(&bench, &mut results)?;
    lossless::measure(&bench, &mut results)?;
    results.netfilter = netfilter::measure(&bench)?;
    results.names = names::measure(&bench)?;
    results.node = node::measure(&bench)?;
    results.flow = flow::measure(&bench)?;
    results.targets = verdict::judge(&results);
    println!("{results}");
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(results.wrong.is_empty())
}

/// Other work on the machine shall disturb as little as possible: sender and tools alike get their CPU first.
fn come_first() {
    // SAFETY: touches no memory; where it is refused the numbers are only noisier.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -15) };
}
