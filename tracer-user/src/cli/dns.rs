//! `whydrop dns`: DNS queries that fail or are slow, each with its story.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::Output;
use super::watch::{duration, load, time};
use crate::counter::Scope;
use crate::flow::{self, dns::Choice};
use crate::pipeline::{self, Watch};
use crate::settings::{self, FilterArgs};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DnsArgs {
    /// End after this time: 30s, 5m; else by Ctrl-C or with the command
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Look at this network namespace and attach to the interfaces in it: name, path, inode, `host` or `pid:PID`; may be given
    /// several times; else the host's own, with every pod's end there
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    netns: Vec<String>,
    /// An answer that takes longer is slow
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    slow: Duration,
    /// Show every query, not only those that failed or were slow
    #[arg(long)]
    all: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// The kernel's type information, where /sys/kernel/btf/vmlinux is not there or wrong
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    /// Run a command, watch while it runs, and end with its exit status
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: DnsArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let namespaces: Result<Vec<_>, _> = args.netns.iter().map(|netns| settings::netns(Some(netns))).collect();
        let filter = FilterArgs { netns: args.netns.clone(), ..FilterArgs::default() };
        let (kernel, programs, only) = load(args.btf.as_deref(), &filter, false, true)?;
        // The sink counts every query and chooses which have a line.
        let queries = Choice { all: true, slow: u64::try_from(args.slow.as_nanos()).unwrap_or(u64::MAX) };
        let watch = Watch {
            duration: args.time,
            command: args.command,
            only,
            counters: Scope::Nothing,
            flows: Some(flow::Plan { namespaces: namespaces?, queries, ..flow::Plan::default() }),
            ..Watch::default()
        };
        let sink = args.output.queries(args.all, args.slow);
        pipeline::run(watch, programs, kernel, signals, sink).await.map_err(Into::into)
    })
}
