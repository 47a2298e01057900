//! The kernel's own measure of the programs: their run time, without the price of being attached.
//!
//! Rule: measuring costs some tens of nanoseconds itself, which is why the empty program is measured with it. It is switched
//! on by a descriptor, so that it goes off whatever happens.

use anyhow::{Context, Result, ensure};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use serde::Serialize;
use tracer_tests::bpf::{self, Kind};

use crate::Bench;
use crate::overhead::Scenario;
use crate::spread::Spread;
use crate::tool::{Running, Tool};

/// ns for each run of a program.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    pub(crate) scenario: String,
    pub(crate) tool: String,
    pub(crate) ns: Spread,
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for scenario in Scenario::one_cpu(bench) {
        let tools: Vec<Tool> = [Tool::Empty, Tool::C2, Tool::Json, Tool::Every]
            .into_iter()
            .filter(|tool| bench.wants(&format!("program/{}/{tool}", scenario.name)))
            .collect();
        if tools.is_empty() {
            continue;
        }
        let _measuring = enable_stats(Stats::RunTime).context("the kernel does not measure programs")?;
        let mut times = vec![Vec::new(); tools.len()];
        for _ in 0..bench.rounds {
            for (tool, times) in tools.iter().zip(&mut times) {
                eprintln!("program/{}/{tool}", scenario.name);
                times.push(once(bench, &scenario, *tool)?);
            }
        }
        programs.extend(tools.iter().zip(times).filter_map(|(tool, times)| {
            let ns = Spread::of(times)?;
            Some(Program { scenario: scenario.name.clone(), tool: tool.to_string(), ns })
        }));
    }
    Ok(programs)
}

fn once(bench: &Bench<'_>, scenario: &Scenario, tool: Tool) -> Result<f64> {
    let running = bench.tools.start(tool)?;
    let pid = match &running {
        Running::Whydrop(whydrop) => whydrop.pid(),
        _ => std::process::id(),
    };
    let ids: Vec<u32> =
        bpf::held_by(pid).into_iter().filter(|held| held.kind == Kind::Program).map(|held| held.id).collect();
    bench.lab.flood(&scenario.load)?;
    let (mut runs, mut time) = (0, 0);
    for program in loaded_programs() {
        let program = program?;
        if ids.contains(&program.id()) {
            runs += program.run_count();
            time += program.run_time().as_nanos();
        }
    }
    ensure!(runs > 0, "{tool} did not run");
    running.stop()?;
    Ok(time as f64 / runs as f64)
}
