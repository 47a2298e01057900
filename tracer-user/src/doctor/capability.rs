//! The capabilities held.
//!
//! Rule: those that nothing works without are `missing`, the others only cost detail. Whether holding one is enough is
//! for the trials to say.

use std::fs;

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::host::capability::Capability;

pub(super) fn bpf(context: &Context) -> Finding {
    let path = "/proc/sys/kernel/unprivileged_bpf_disabled";
    let unprivileged = fs::read_to_string(path).unwrap_or_else(|_| "unknown".to_owned());
    needed(context, Capability::BPF, &format!(" (kernel.unprivileged_bpf_disabled = {})", unprivileged.trim()))
}

pub(super) fn perfmon(context: &Context) -> Finding {
    needed(context, Capability::PERFMON, "")
}

pub(super) fn net_admin(context: &Context) -> Finding {
    wanted(context, Capability::NET_ADMIN)
}

pub(super) fn sys_admin(context: &Context) -> Finding {
    wanted(context, Capability::SYS_ADMIN)
}

pub(super) fn sys_ptrace(context: &Context) -> Finding {
    wanted(context, Capability::SYS_PTRACE)
}

pub(super) fn syslog(context: &Context) -> Finding {
    wanted(context, Capability::SYSLOG)
}

fn needed(context: &Context, capability: Capability, remark: &str) -> Finding {
    let mut finding = wanted(context, capability);
    if finding.status != super::Status::Ok {
        finding.status = super::Status::Missing;
        finding.detail.push_str(remark);
    }
    finding
}

fn wanted(context: &Context, capability: Capability) -> Finding {
    if context.has(capability) {
        return Finding::ok("held");
    }
    let detail = match &context.capabilities {
        Ok(_) => "not held".to_owned(),
        Err(error) => error.to_string(),
    };
    Finding::degraded(detail, fix::capability(context, &capability.name()))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::host::capability::Capabilities;

    #[test]
    fn only_what_nothing_works_without_is_missing() {
        let mut context = Context::bare();
        let all = [bpf, perfmon, net_admin, sys_admin, sys_ptrace, syslog];
        let statuses = |context: &Context| all.map(|check| check(context).status);
        let (missing, degraded) = (Status::Missing, Status::Degraded);
        assert_eq!(statuses(&context), [missing, missing, degraded, degraded, degraded, degraded]);
        context.capabilities = Ok(Capabilities::ALL);
        assert_eq!(statuses(&context), [Status::Ok; 6]);
    }
}
