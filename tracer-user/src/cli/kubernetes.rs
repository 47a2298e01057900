//! Where names of pods come from, and which pods a run is about: flags that several commands share.

use std::path::PathBuf;

use crate::kubernetes::{Plan, Reach, Selection};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Names of pods")]
pub(super) struct NameArgs {
    /// Socket of the container runtime; else the usual ones of containerd and CRI-O, also below /host; may be given several times
    #[arg(long, value_name = "SOCKET")]
    cri: Vec<PathBuf>,
    /// How far the Kubernetes API is asked for names and policies, where it can be reached
    #[arg(long, value_name = "REACH", default_value = "all")]
    kubernetes: Reach,
    /// How to reach the Kubernetes API; else $KUBECONFIG, the pod's service account or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Socket of Cilium's Hubble; else /var/run/cilium/hubble.sock, also below /host
    #[arg(long, value_name = "SOCKET")]
    hubble: Option<PathBuf>,
}

impl NameArgs {
    pub(super) fn plan(&self) -> Plan {
        Plan {
            cri: self.cri.clone(),
            hubble: self.hubble.clone(),
            reach: self.kubernetes,
            kubeconfig: self.kubeconfig.clone(),
            ..Plan::default()
        }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Pods")]
pub(super) struct PodArgs {
    /// Only what has to do with this pod: NAMESPACE/NAME, or NAME with --namespace; may be given several times
    #[arg(long, value_name = "POD", value_delimiter = ',')]
    pod: Vec<String>,
    /// Only what has to do with pods of this namespace of the cluster
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Only what has to do with pods with these labels, as kubectl takes it: app=web,tier!=back
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
}

impl PodArgs {
    pub(super) fn selection(&self) -> anyhow::Result<Selection> {
        Ok(Selection::parse(&self.pod, &self.namespace, self.selector.as_deref())?)
    }
}
