//! `whydrop doctor`: what works on this node.

use std::process::ExitCode;

use super::Output;
use super::output::style;
use crate::doctor;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(super) fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = doctor::run();
    args.output.print(&doctor::render_text(&report, style().colour), &report)?;
    Ok(ExitCode::from(report.exit_code()))
}
