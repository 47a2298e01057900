//! `whydrop demo`: see it work.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::output::style;
use super::watch::load;
use crate::demo::{self, Lab};
use crate::pipeline::Signals;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// The kernel's type information, where /sys/kernel/btf/vmlinux is not there or wrong
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = Signals::new().context("can't handle signals")?;
        let lab = Lab::build()?;
        let (kernel, programs, _) = load(args.btf.as_deref(), &lab.filter(), false, false)?;
        // Time to read, where somebody reads.
        let pause = Duration::from_millis(if stdout().is_terminal() { 900 } else { 400 });
        demo::run(lab, programs, kernel, signals, style(), pause).await?;
        Ok(ExitCode::SUCCESS)
    })
}
