//! `whydrop explain`: what was explained so far, by cause; or what the firewall would do with a packet that was not seen.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use tracer_netfilter::Hook;

use super::Output;
use super::kubernetes::PodArgs;
use super::output::style;
use super::watch::duration;
use crate::kubernetes::KubernetesError;
use crate::netfilter::ask::{Report, Spec, ask};
use crate::recording::{self, List, Only};
use crate::settings;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The packet: 'PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT] [in DEVICE] [out DEVICE] [mark N] [ttl N] [length N]
    /// [flags SA] [type N] [state new]'
    #[arg(long, value_name = "PACKET", conflicts_with = "PodArgs")]
    packet: Option<String>,
    /// The network namespace: a name under /run/netns, a path, an inode number, host or pid:PID; if not given, ours for a
    /// packet, and all in the list
    #[arg(long, value_name = "NETNS")]
    netns: Option<String>,
    /// Ask at this hook only; else at each on the packet's way
    #[arg(long, value_name = "HOOK", requires = "packet")]
    hook: Option<HookArg>,
    /// Show each rule that is looked at
    #[arg(short, long, requires = "packet")]
    verbose: bool,
    /// List only what was dropped in this time: 30s, 20m
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "packet")]
    since: Option<Duration>,
    /// List what `whydrop watch -o json` was saved to, - for standard input; else what is being watched now
    #[arg(long, value_name = "FILE", conflicts_with = "packet")]
    from: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    #[command(flatten)]
    pods: PodArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum HookArg {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Ingress,
    Egress,
}

impl From<HookArg> for Hook {
    fn from(hook: HookArg) -> Self {
        match hook {
            HookArg::Prerouting => Self::Prerouting,
            HookArg::Input => Self::Input,
            HookArg::Forward => Self::Forward,
            HookArg::Output => Self::Output,
            HookArg::Postrouting => Self::Postrouting,
            HookArg::Ingress => Self::Ingress,
            HookArg::Egress => Self::Egress,
        }
    }
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let Some(packet) = &args.packet else { return list(args) };
    let spec: Spec = packet.parse()?;
    let netns = settings::netns(args.netns.as_deref())?;
    let answer = ask(&netns, &spec, args.hook.map(Into::into), args.verbose)?;
    let report = Report::new(packet, &spec.taken, &answer, netns.entry_command().as_deref());
    args.output.print(&report.text(), &report)?;
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    // A time before all times is all of it.
    let since = args.since.and_then(|since| SystemTime::now().checked_sub(since));
    let netns = args.netns.as_deref().map(|netns| settings::netns(Some(netns))).transpose()?;
    let pods = args.pods.selection()?;
    if pods.selector.is_some() {
        return Err(KubernetesError::NoLabels.into());
    }
    let only = Only { since, netns: netns.map(|netns| netns.inode), pods };
    let list = match &args.from {
        Some(path) => List::of_file(path, &only)?,
        None => List::of_running(&recording::find(Path::new("/proc"))?, &only)?,
    };
    args.output.print(&list.text(style()), &list)?;
    Ok(ExitCode::SUCCESS)
}
