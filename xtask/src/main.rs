//! `cargo xtask`: everything between a fresh clone and a running, tested whydrop.
//!
//! Rule: one file per subcommand; each first makes sure that what it needs is there, cheaply when it already is.

mod bench;
mod build;
mod cluster;
mod compiler;
mod linker;
mod lint;
mod matrix;
mod packages;
mod process;
mod run;
mod setup;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, runs and tests whydrop")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building needs: a compiler for the kernel programs and its linker
    Setup {
        /// Also install the programs that the network lab uses
        #[arg(long)]
        lab: bool,
    },
    /// Build the kernel programs and the binary that carries them
    Build {
        /// Build the static binary that is shipped: target/release/whydrop
        #[arg(long)]
        release: bool,
        /// Build what logs each drop from the kernel (WHYDROP_LOG=debug), for developers
        #[arg(long, conflicts_with = "release")]
        kernel_log: bool,
    },
    /// Set up, build and run whydrop
    Run {
        /// Arguments of whydrop
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Set up, build and run every test; the lab needs root
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
        /// Leave out the network lab
        #[arg(long)]
        no_lab: bool,
        /// Also test on a whole Kubernetes node, which is built once (5 to 10 minutes)
        #[arg(long, conflicts_with = "no_lab")]
        cluster: bool,
    },
    /// Boot packaged kernels in a virtual machine and run the lab there
    Matrix {
        /// Kernel lines; the newest packaged release of each is taken
        #[arg(value_name = "VERSION", default_values = ["6.1", "6.12"])]
        lines: Vec<matrix::Line>,
        /// Only tests whose name, as in node/route::blackhole, contains this, or one of these with commas between
        #[arg(long, value_name = "NAME")]
        test: Option<String>,
    },
    /// Measure what a dropped packet costs, and whether the counts are right; needs root
    Bench(bench::BenchArgs),
    /// Check format, lints, licences and file lengths
    Lint,
}

fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let done = Workspace::locate().and_then(|workspace| match task {
        Task::Setup { lab } => setup::setup(&workspace, lab),
        Task::Build { release, kernel_log } => build::build(&workspace, release, kernel_log),
        Task::Run { arguments } => run::run(&workspace, &arguments),
        Task::Test { filter, no_lab, cluster } => test::test(&workspace, filter.as_deref(), no_lab, cluster),
        Task::Matrix { lines, test } => matrix::matrix(&workspace, &lines, test.as_deref()),
        Task::Bench(args) => bench::bench(&workspace, &args),
        Task::Lint => lint::lint(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
