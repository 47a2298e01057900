//! What `diagnose` and `dns` have in common: where they look for attempts to talk, and how they print.

use std::path::PathBuf;

use super::Output;
use super::kubernetes::{NameArgs, PodArgs};
use super::watch::load;
use crate::host::Netns;
use crate::load::{Kernel, Programs};
use crate::settings::{self, FilterArgs, SettingsError};

/// The host's namespace, as it is typed.
const HOST: &str = "host";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct AttemptArgs {
    /// Look at this network namespace and attach to the interfaces in it: name, path, inode, `host` or `pid:PID`; may be given
    /// several times; else the host's own, with every pod's end there
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    netns: Vec<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(super) output: Output,
    /// The kernel's type information, where /sys/kernel/btf/vmlinux is not there or wrong
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    #[command(flatten)]
    pub(super) names: NameArgs,
    #[command(flatten)]
    pub(super) pods: PodArgs,
}

impl AttemptArgs {
    /// The namespaces, as they were typed.
    pub(super) fn chosen(&self) -> &[String] {
        &self.netns
    }

    /// The namespaces that were chosen; none for the host's.
    pub(super) fn namespaces(&self) -> Result<Vec<Netns>, SettingsError> {
        self.netns.iter().map(|netns| settings::netns(Some(netns))).collect()
    }

    /// Reads the kernel's types and loads the programs. Drops are looked at in the chosen namespaces and in the host's, as what a
    /// pod sends may be dropped there; not in all, as a flood in one would take the place of what is asked for.
    pub(super) fn load(&self) -> anyhow::Result<(Kernel, Programs, Vec<u32>)> {
        let pods = !self.pods.selection()?.is_empty();
        let has_host = !self.netns.is_empty() && settings::netns(Some(HOST)).is_ok();
        let netns = self.netns.iter().cloned().chain(has_host.then(|| HOST.to_owned())).collect();
        load(self.btf.as_deref(), &FilterArgs { netns, pods, ..FilterArgs::default() }, false, true)
    }
}
