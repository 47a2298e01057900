//! `whydrop dns`: DNS queries that fail or are slow, each with its story.

use std::process::ExitCode;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DnsArgs {}

pub(super) fn run(_args: DnsArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
