//! What can keep the demo from being shown.

use std::io;

use thiserror::Error;

use crate::host::HostError;
use crate::host::error::Errno;
use crate::pipeline::PipelineError;

#[derive(Debug, Error)]
pub enum DemoError {
    #[error("the demo needs root to make network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN); try sudo whydrop demo")]
    NotPermitted,
    #[error("this user may have no more network namespaces; raise the sysctl user.max_net_namespaces")]
    TooManyNamespaces,
    #[error("a network namespace could not be made: {0}")]
    Namespace(Errno),
    #[error("the network namespace made for the demo is not a new one, so nothing was changed; please report this")]
    NotIsolated,
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("this kernel makes no virtual Ethernet pairs; load their module: modprobe veth")]
    NoVeth,
    #[error("the demo could not {what} in its {namespace}: {errno}")]
    SetUp { what: &'static str, namespace: &'static str, errno: Errno },
    #[error("{path} could not be set in the demo's {namespace} ({errno}); in a container it must be a privileged one")]
    Sysctl { path: String, namespace: &'static str, errno: Errno },
    #[error("the demo could not send or receive in its {namespace}: {errno}")]
    Traffic { namespace: &'static str, errno: Errno },
    #[error(
        "the demo's client does not reach its pod; the host may load BPF programs or rules into every new namespace"
    )]
    Unreachable,
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
    #[error("the demo's narrator failed; please report this as a bug")]
    NarratorFailed,
    #[error("{0} of the drops that the demo caused were not seen; whydrop doctor tells what this node hides")]
    NotSeen(usize),
}
