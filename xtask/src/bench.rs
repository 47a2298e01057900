//! `cargo xtask bench`: what a dropped packet costs with whydrop, against the least that any tracer must do and against
//! bpftrace, and whether the counts are right.
//!
//! Rule: it builds what is measured (the shipped binary, the yardstick, the program that measures) and becomes the last.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::packages;
use crate::process::{cargo, is_root, run};
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    /// Measure each case so often
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Few and short rounds: is it about right?
    #[arg(long)]
    quick: bool,
    /// Only cases whose name contains this, such as `lossless`, `1000-flows` or `whydrop`; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also write every number to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl BenchArgs {
    fn for_bench(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(rounds) = self.rounds {
            arguments.extend(["--rounds".into(), rounds.to_string().into()]);
        }
        if self.quick {
            arguments.push("--quick".into());
        }
        for name in &self.only {
            arguments.extend(["--only".into(), name.into()]);
        }
        if let Some(file) = &self.json {
            arguments.extend(["--json".into(), file.into()]);
        }
        arguments
    }
}

pub(crate) fn bench(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    if !is_root() {
        bail!("the bench makes network namespaces and loads kernel programs: run it as root");
    }
    packages::ensure(&packages::LAB, "the bench")?;
    if let Err(error) = packages::ensure(&packages::PEERS, "the comparison with bpftrace") {
        eprintln!("warning: bpftrace will be left out: {error:#}");
    }
    let whydrop = build::binary(workspace, true)?;
    let yardstick = yardstick(workspace)?;
    run(cargo().current_dir(&workspace.root).args(["build", "--release", "--package", "tracer-bench"]))?;
    let mut bench = Command::new(workspace.target.join("release/tracer-bench"));
    bench.arg("--whydrop").arg(whydrop).arg("--yardstick").arg(yardstick).args(args.for_bench());
    Err(bench.exec()).context("cannot start the bench")
}

/// The kernel programs that are compared with; built beside ours and never embedded.
fn yardstick(workspace: &Workspace) -> Result<PathBuf> {
    let compiler = setup::toolchain(workspace)?;
    let arguments = ["build", "--release", "--bin", "yardstick", "--features", "yardstick"];
    run(build::for_kernel(workspace, &compiler, &compiler.cargo)?.args(arguments))
        .context("the yardstick was not built")?;
    Ok(workspace.ebpf_target().join("bpfel-unknown-none/release/yardstick"))
}
