//! What a check is, and the list of all of them.
//!
//! Rule: one row per capability. The text and JSON reports, the documentation and the tests follow this list.

use serde::Serialize;

use super::context::Context;
use super::{bpf, capability, cluster, host, ruleset};

/// How a capability is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Works.
    Ok,
    /// whydrop works without it, and shows less.
    Degraded,
    /// whydrop cannot work without it.
    Missing,
}

/// What a check is about: its heading in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Kernel,
    Capability,
    Host,
    Cluster,
}

/// The answer of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub status: Status,
    /// What was seen, or why it is refused.
    pub detail: String,
    /// Commands or settings, any one of which helps; empty when `ok`.
    pub fix: Vec<String>,
}

impl Finding {
    pub fn ok(detail: impl Into<String>) -> Self {
        Self { status: Status::Ok, detail: detail.into(), fix: Vec::new() }
    }

    pub fn degraded(detail: impl Into<String>, fix: Vec<String>) -> Self {
        Self { status: Status::Degraded, detail: detail.into(), fix }
    }

    pub fn missing(detail: impl Into<String>, fix: Vec<String>) -> Self {
        Self { status: Status::Missing, detail: detail.into(), fix }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Unique; lower case, the kernel's word.
    pub name: &'static str,
    pub group: Group,
    /// What it means when it is not `ok`.
    pub effect: &'static str,
    pub(super) run: fn(&Context) -> Finding,
}

/// All checks, in the order of the report.
pub static CHECKS: &[Check] = &[
    Check { name: "btf", group: Group::Kernel, effect: "nothing can be traced", run: bpf::btf },
    Check { name: "ring_buffer", group: Group::Kernel, effect: "no event can be received", run: bpf::ring_buffer },
    Check {
        name: "per_cpu_hash",
        group: Group::Kernel,
        effect: "drops cannot be counted, or the counters are drained one by one, which costs more CPU time",
        run: bpf::per_cpu_hash,
    },
    Check {
        name: "tp_btf",
        group: Group::Kernel,
        effect: "a raw tracepoint is used, which costs about twice as much per drop",
        run: bpf::typed_tracepoint,
    },
    Check {
        name: "raw_tracepoint",
        group: Group::Kernel,
        effect: "there is nothing to fall back on when tp_btf is refused",
        run: bpf::raw_tracepoint,
    },
    Check {
        name: "kernel_memory",
        group: Group::Kernel,
        effect: "the packet's addresses and ports cannot be read",
        run: bpf::kernel_memory,
    },
    Check {
        name: "stack",
        group: Group::Kernel,
        effect: "the netfilter hook of a drop is not known, and --stack shows nothing",
        run: bpf::stack,
    },
    Check {
        name: "tcx",
        group: Group::Kernel,
        effect: "connection attempts are followed through the older clsact hook, whose order other programs decide",
        run: bpf::tcx,
    },
    Check {
        name: "clsact",
        group: Group::Kernel,
        effect: "where tcx is refused, connection attempts are not seen",
        run: bpf::clsact,
    },
    Check {
        name: "memlock",
        group: Group::Kernel,
        effect: "the kernel refuses the tables that drops are counted in",
        run: bpf::memlock,
    },
    Check {
        name: "lockdown",
        group: Group::Kernel,
        effect: "the kernel refuses to let its memory be read, so only counts by reason are left",
        run: host::lockdown,
    },
    Check {
        name: "symbols",
        group: Group::Kernel,
        effect: "kernel functions (location, stack) may be shown as addresses instead of names",
        run: host::symbols,
    },
    Check {
        name: "CAP_BPF",
        group: Group::Capability,
        effect: "no program can be loaded and no table created",
        run: capability::bpf,
    },
    Check {
        name: "CAP_PERFMON",
        group: Group::Capability,
        effect: "the kfree_skb tracepoint and kernel memory are refused",
        run: capability::perfmon,
    },
    Check {
        name: "CAP_NET_ADMIN",
        group: Group::Capability,
        effect: "rulesets cannot be read and connection attempts cannot be followed",
        run: capability::net_admin,
    },
    Check {
        name: "CAP_SYS_ADMIN",
        group: Group::Capability,
        effect: "network namespaces cannot be entered: the names and rules of pods are not known",
        run: capability::sys_admin,
    },
    Check {
        name: "CAP_SYS_PTRACE",
        group: Group::Capability,
        effect: "the network namespaces of other users' processes are not seen",
        run: capability::sys_ptrace,
    },
    Check {
        name: "CAP_SYSLOG",
        group: Group::Capability,
        effect: "kernel symbols are hidden where kernel.kptr_restrict is set",
        run: capability::syslog,
    },
    Check {
        name: "proc",
        group: Group::Host,
        effect: "processes and the namespaces of other containers are not seen",
        run: host::proc,
    },
    Check {
        name: "host_netns",
        group: Group::Host,
        effect: "the namespace that is called \"host\" may be a container's",
        run: host::host_netns,
    },
    Check {
        name: "namespaces",
        group: Group::Host,
        effect: "drops in these namespaces show numbers instead of namespace and interface names",
        run: host::namespaces,
    },
    Check {
        name: "ruleset",
        group: Group::Host,
        effect: "the rule that dropped a packet is not named",
        run: ruleset::ruleset,
    },
    Check { name: "cri", group: Group::Cluster, effect: "pods are not named", run: cluster::cri },
    Check {
        name: "kubernetes",
        group: Group::Cluster,
        effect: "Services, workloads and network policies are not named",
        run: cluster::kubernetes,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_groups_are_together() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        let mut groups: Vec<_> = CHECKS.iter().map(|check| check.group).collect();
        groups.dedup();
        assert_eq!(groups, [Group::Kernel, Group::Capability, Group::Host, Group::Cluster]);
    }

    #[test]
    fn the_documentation_has_a_row_for_each() {
        let page = include_str!("../../../docs/doctor.md");
        for check in CHECKS {
            let row = format!("| `{}` | {} |", check.name, check.effect);
            assert!(page.contains(&row), "docs/doctor.md has no row {row:?}");
        }
    }
}
