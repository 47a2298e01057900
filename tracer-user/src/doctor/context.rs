//! What several checks need to know, read once.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aya_obj::btf::{Btf, BtfKind};

use super::trial;
use crate::host::capability::{Capabilities, Capability};
use crate::host::error::{Errno, HostError};
use crate::host::kernel::Kernel;
use crate::host::netns;
use crate::host::{Facts, Reader};
use crate::kubernetes;

/// The typed tracepoint that whydrop lives on.
const TRACEPOINT: &str = "btf_trace_kfree_skb";

/// Where whydrop runs: it decides which fix is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A shell on the host.
    Host,
    /// A container that an engine like Docker started.
    Container,
    /// A container of a pod.
    Pod,
}

pub(super) struct Context {
    pub(super) kernel: Kernel,
    pub(super) capabilities: Result<Capabilities, HostError>,
    /// Effective user id.
    pub(super) user: u32,
    /// A seccomp filter is active: what it refuses looks like a missing capability.
    pub(super) seccomp: bool,
    /// In the host's PID namespace.
    pub(super) host_pids: bool,
    pub(super) place: Place,
    btf_id: OnceCell<Result<u32, String>>,
    facts: OnceCell<Arc<Facts>>,
}

impl Context {
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let host_pids = netns::shares_host_pids(Path::new("/proc"));
        let marks = ["/.dockerenv", "/run/.containerenv", "/host/proc"];
        let place = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            Place::Pod
        } else if !host_pids || marks.iter().any(|mark| Path::new(mark).exists()) {
            Place::Container
        } else {
            Place::Host
        };
        Self {
            kernel: Kernel::read(),
            capabilities: Capabilities::effective(),
            user: trial::user(),
            seccomp: seccomp(&status),
            host_pids,
            place,
            btf_id: OnceCell::new(),
            facts: OnceCell::new(),
        }
    }

    /// False also when the capabilities cannot be read.
    pub(super) fn has(&self, capability: Capability) -> bool {
        self.capabilities.as_ref().is_ok_and(|held| held.has(capability))
    }

    /// The BTF id of the `kfree_skb` tracepoint's type, or why there is none.
    pub(super) fn tracepoint_id(&self) -> Result<u32, String> {
        let find = || {
            let btf = Btf::from_sys_fs().map_err(|error| error.to_string())?;
            btf.id_by_type_name_kind(TRACEPOINT, BtfKind::Typedef).map_err(|error| error.to_string())
        };
        self.btf_id.get_or_init(find).clone()
    }

    /// All namespaces and their interfaces, by trying to enter each.
    pub(super) fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Reader::default().snapshot(Instant::now()))
    }

    /// Why the kernel refused a `bpf` call, in words.
    pub(super) fn why(&self, errno: Errno, capability: Capability) -> String {
        match errno.0 {
            libc::EPERM if !self.has(capability) => format!("refused: {} is not held", capability.name()),
            libc::EPERM if self.seccomp => {
                "refused, although the capability is held: a seccomp filter is active".to_owned()
            }
            libc::EPERM => {
                "refused, although the capability is held: a security module, the lockdown or (before 5.11) ulimit -l"
                    .to_owned()
            }
            libc::EINVAL => "this kernel does not have it (EINVAL)".to_owned(),
            libc::ENOSYS => "this kernel has no bpf system call (CONFIG_BPF_SYSCALL)".to_owned(),
            _ => errno.to_string(),
        }
    }

    /// Whether a kubelet has run on this node.
    pub(super) fn kubernetes_node(&self) -> bool {
        self.place == Place::Pod || kubernetes::is_node()
    }
}

/// Whether `/proc/PID/status` shows an active seccomp filter (mode 2).
fn seccomp(status: &str) -> bool {
    status.lines().find_map(|line| line.strip_prefix("Seccomp:")).is_some_and(|mode| mode.trim() == "2")
}

#[cfg(test)]
impl Context {
    /// A machine where everything is refused.
    pub(super) fn bare() -> Self {
        Self {
            kernel: Kernel::read(),
            capabilities: Ok(Capabilities::default()),
            user: 1000,
            seccomp: false,
            host_pids: true,
            place: Place::Host,
            btf_id: OnceCell::new(),
            facts: OnceCell::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_from_no_filter() {
        assert!(seccomp("NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!seccomp("Seccomp:\t0\nSeccomp_filters:\t2\n") && !seccomp(""));
    }

    #[test]
    fn a_refusal_names_what_is_not_held() {
        let mut context = Context::bare();
        let refused = Errno(libc::EPERM);
        assert_eq!(context.why(refused, Capability::BPF), "refused: CAP_BPF is not held");
        context.capabilities = Ok(Capabilities::ALL);
        assert!(context.why(refused, Capability::BPF).contains("lockdown"));
        context.seccomp = true;
        assert!(context.why(refused, Capability::BPF).contains("seccomp"));
        assert!(context.why(Errno(libc::EINVAL), Capability::BPF).contains("does not have it"));
    }
}
