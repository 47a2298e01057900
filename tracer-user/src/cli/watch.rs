//! `whydrop watch`: show drops as they happen.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::Output;
use super::kubernetes::{NameArgs, PodArgs};
use crate::flow;
use crate::load::{self, Kernel, Plan, Programs, Sizes};
use crate::pipeline::{self, Watch};
use crate::recording::Recorder;
use crate::settings::{self, FilterArgs, KernelFilter, SettingsError};
use crate::sink::VerdictLines;

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own, in any combination")]
pub(super) struct WatchArgs {
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// Also show drops that are expected or mere bookkeeping
    #[arg(long)]
    all: bool,
    /// Show the kernel stack of each drop
    #[arg(long)]
    stack: bool,
    /// A line for each packet, not for each flow (lossless to some 200,000 a second)
    #[arg(long)]
    every: bool,
    /// Have the kernel name the rule where it is not certain: traces the flow for 10 s at most, by a temporary table of
    /// nf_tables that is gone when whydrop is
    #[arg(long)]
    confirm: bool,
    /// End after N lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time: 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// How often counts are refreshed
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "1s")]
    interval: Duration,
    /// Most lines in an interval, the largest first; the rest is counted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    lines: u64,
    /// Also tell the network policies' verdict on each new connection of this node's pods: attaches to interfaces
    #[arg(long)]
    verdicts: bool,
    /// The kernel's type information, where /sys/kernel/btf/vmlinux is not there or wrong
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    pods: PodArgs,
    // Last of the flags: its heading holds for all that follow.
    #[command(flatten)]
    filter: FilterArgs,
    /// Run a command, watch while it runs, and end with its exit status
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        // First of all, so that a signal that comes during the start ends it cleanly.
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let pods = args.pods.selection()?;
        let counters = args.filter.counters();
        let filter = FilterArgs { pods: !pods.is_empty(), ..args.filter };
        let flows = args.verdicts.then(|| beside(&filter)).transpose()?;
        let (kernel, programs, only) = load(args.btf.as_deref(), &filter, args.every, args.verdicts)?;
        let sink = args.output.sink(args.command.is_empty());
        let sink = Box::new(Recorder::new(Box::new(VerdictLines::beside(sink))));
        let watch = Watch {
            all: args.all,
            stack: args.stack,
            every: args.every,
            confirm: args.confirm,
            count: args.count,
            duration: args.duration,
            interval: args.interval,
            lines: args.lines,
            command: args.command,
            only,
            counters,
            flows,
            verdicts: args.verdicts,
            names: args.names.plan(),
            pods,
            ..Watch::default()
        };
        pipeline::run(watch, programs, kernel, signals, sink).await.map_err(Into::into)
    })
}

/// Attempts are watched where drops are.
fn beside(filter: &FilterArgs) -> Result<flow::Plan, SettingsError> {
    let namespaces = filter.netns.iter().map(|netns| settings::netns(Some(netns))).collect::<Result<_, _>>()?;
    Ok(flow::Plan { namespaces, is_beside: true, ..flow::Plan::default() })
}

/// Reads the kernel's types and loads the programs for this filter, switched off. With them come the namespaces that it is
/// limited to.
pub(super) fn load(
    btf: Option<&Path>,
    filter: &FilterArgs,
    every: bool,
    flows: bool,
) -> anyhow::Result<(Kernel, Programs, Vec<u32>)> {
    let kernel = Kernel::read(btf)?;
    let filter = KernelFilter::new(filter, &kernel.reasons)?;
    let cpus = aya::util::nr_cpus()
        .map_err(|(path, error)| anyhow::anyhow!("can't read {path}: {error}; is /sys mounted?"))?;
    let only = filter.namespaces();
    let plan = Plan { filter, every, flows, sizes: Sizes::new(u32::try_from(cpus)?, every, flows) };
    let programs = load::load(load::embedded(), &kernel, &plan)?;
    Ok((kernel, programs, only))
}

/// The clock's range is wide, but not as wide as what can be written.
const LONGEST: Duration = Duration::from_hours(24 * 366);

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 30s or 5m"))?;
    if time <= LONGEST { Ok(time) } else { Err("longer than a year; write for example 30s or 5m".to_owned()) }
}

/// How long to look: not no time at all, in which nothing is seen.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("in no time nothing is seen; write for example 30s or 5m".to_owned()),
        time => Ok(time),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    let (least, most) = (Duration::from_millis(100), Duration::from_mins(1));
    if (least..=most).contains(&interval) { Ok(interval) } else { Err("from 100ms to 60s".into()) }
}
