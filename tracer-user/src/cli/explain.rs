//! `whydrop explain`: what the firewall would do with a packet that was not seen.

use std::process::ExitCode;

use tracer_netfilter::Hook;

use super::Output;
use crate::netfilter::ask::{Report, Spec, ask};
use crate::settings;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The packet: 'PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT] [in DEVICE] [out DEVICE] [mark N] [ttl N] [length N]
    /// [flags SA] [type N] [state new]'
    #[arg(long, value_name = "PACKET")]
    packet: String,
    /// The network namespace: a name under /run/netns, a path, an inode number, host or pid:PID; ours if not given
    #[arg(long, value_name = "NETNS")]
    netns: Option<String>,
    /// Ask at this hook only; else at each on the packet's way
    #[arg(long, value_name = "HOOK")]
    hook: Option<HookArg>,
    /// Show each rule that is looked at
    #[arg(short, long)]
    verbose: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
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
    let spec: Spec = args.packet.parse()?;
    let netns = settings::netns(args.netns.as_deref())?;
    let answer = ask(&netns, &spec, args.hook.map(Into::into), args.verbose)?;
    let report = Report::new(&args.packet, &spec.taken, &answer, netns.entry_command().as_deref());
    args.output.print(&report.text(), &report)?;
    Ok(ExitCode::SUCCESS)
}
