//! `whydrop dns`: DNS queries that fail or are slow, each with its story.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::attempts::AttemptArgs;
use super::watch::{duration, time};
use crate::counter::Scope;
use crate::flow::{self, dns::Choice};
use crate::host::NetnsName;
use crate::pipeline::{self, Watch};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DnsArgs {
    /// End after this time: 30s, 5m; else by Ctrl-C or with the command
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// An answer that takes longer is slow
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    slow: Duration,
    /// Show every query, not only those that failed or were slow
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    attempts: AttemptArgs,
    /// Run a command, watch while it runs, and end with its exit status
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: DnsArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let namespaces = args.attempts.namespaces()?;
        // Drops of the host's own then only tell what became of a query.
        let is_hosts = namespaces.is_empty() || namespaces.iter().any(|netns| netns.name == NetnsName::Host);
        let (kernel, programs, only) = args.attempts.load()?;
        // The sink counts every query and chooses which have a line.
        let queries = Choice { all: true, slow: u64::try_from(args.slow.as_nanos()).unwrap_or(u64::MAX) };
        let watch = Watch {
            duration: args.time,
            command: args.command,
            only,
            counters: Scope::Nothing,
            flows: Some(flow::Plan { namespaces, queries, ..flow::Plan::default() }),
            names: args.attempts.names.plan(),
            pods: args.attempts.pods.selection()?,
            ..Watch::default()
        };
        let sink = args.attempts.output.queries(args.all, args.slow, is_hosts);
        pipeline::run(watch, programs, kernel, signals, sink).await.map_err(Into::into)
    })
}
