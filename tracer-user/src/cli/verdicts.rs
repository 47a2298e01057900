//! `whydrop verdicts`: what the network policies make of each new connection of this node's pods.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::attempts::AttemptArgs;
use super::watch::time;
use crate::counter::Scope;
use crate::flow;
use crate::pipeline::{self, Watch};
use crate::recording::Recorder;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerdictsArgs {
    /// End after this time: 30s, 5m; else by Ctrl-C or with the command
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Show only connections that were denied
    #[arg(long)]
    denied: bool,
    /// Also tell of UDP on this port; else of DNS, QUIC, VPNs and what else is well known; may be given several times
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    udp: Vec<u16>,
    #[command(flatten)]
    attempts: AttemptArgs,
    /// Run a command, watch while it runs, and end with its exit status
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: VerdictsArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let namespaces = args.attempts.namespaces()?;
        let (kernel, programs, only) = args.attempts.load()?;
        let watch = Watch {
            duration: args.time,
            command: args.command,
            only,
            counters: Scope::Nothing,
            flows: Some(flow::Plan { namespaces, udp_ports: args.udp, ..flow::Plan::default() }),
            names: args.attempts.names.plan(),
            pods: args.attempts.pods.selection()?,
            verdicts: true,
            ..Watch::default()
        };
        let sink = Box::new(Recorder::new(args.attempts.output.verdicts(args.denied)));
        pipeline::run(watch, programs, kernel, signals, sink).await.map_err(Into::into)
    })
}
