//! `whydrop diagnose`: watch for a while, then say what is wrong, the worst first.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::Output;
use super::watch::{duration, load};
use crate::counter::Scope;
use crate::diagnose::{Diagnosis, Health};
use crate::flow;
use crate::pipeline::{self, Watch};
use crate::settings::{self, FilterArgs};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiagnoseArgs {
    /// How long to watch, if there is no command
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "30s")]
    time: Duration,
    /// Look at this network namespace and attach to the interfaces in it: name, path, inode, `host` or `pid:PID`; may be given
    /// several times; else the host's own, with every pod's end there
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    netns: Vec<String>,
    /// Traffic that there should be: in:tcp:80, out:tcp:mcr.example.com:443, out:udp:53; if it is not seen, that is a finding
    #[arg(long, value_name = "WHAT")]
    expect: Vec<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// The kernel's type information, where /sys/kernel/btf/vmlinux is not there or wrong
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    /// Run a command, and watch while it runs
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: DiagnoseArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let namespaces: Result<Vec<_>, _> = args.netns.iter().map(|netns| settings::netns(Some(netns))).collect();
        let filter = FilterArgs { netns: args.netns.clone(), ..FilterArgs::default() };
        let (kernel, programs, only) = load(args.btf.as_deref(), &filter, false, true)?;
        let diagnosis = Diagnosis::new(args.output.sink(false), Vec::new());
        let health = diagnosis.health();
        let watch = Watch {
            duration: args.command.is_empty().then_some(args.time),
            command: args.command,
            only,
            counters: Scope::All,
            flows: Some(flow::Plan { namespaces: namespaces?, ..flow::Plan::default() }),
            ..Watch::default()
        };
        pipeline::run(watch, programs, kernel, signals, Box::new(diagnosis)).await?;
        let health = health.lock().map_or(Health::Unhealthy, |health| *health);
        Ok(if health == Health::Healthy { ExitCode::SUCCESS } else { ExitCode::from(3) })
    })
}
