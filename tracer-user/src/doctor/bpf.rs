//! The kernel features that whydrop stands on, each tried.

use std::fs;
use std::os::fd::OwnedFd;

use super::check::Finding;
use super::context::Context;
use super::fix;
use super::trial::{self, TcxError};
use crate::host::capability::Capability;
use crate::host::error::Errno;

const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Bytes; a multiple of any page size.
const RING_BUFFER_SIZE: u32 = 256 * 1024;

pub(super) fn btf(context: &Context) -> Finding {
    let size = match fs::metadata(BTF) {
        Ok(file) => file.len(),
        Err(error) => {
            let mut fix = fix::kernel("CONFIG_DEBUG_INFO_BTF");
            fix.push("or give the kernel's BTF: --btf FILE".to_owned());
            return Finding::missing(format!("{BTF}: {error}"), fix);
        }
    };
    match context.tracepoint_id() {
        Ok(_) => Finding::ok(format!("{BTF}, {} KiB", size >> 10)),
        Err(error) => Finding::missing(format!("{BTF}: {error}"), fix::kernel("CONFIG_DEBUG_INFO_BTF")),
    }
}

pub(super) fn ring_buffer(context: &Context) -> Finding {
    match trial::create_map(trial::RING_BUFFER, 0, 0, RING_BUFFER_SIZE) {
        Ok(_) => Finding::ok("created"),
        Err(errno) => refused(context, errno, Capability::BPF, "5.8").missing(),
    }
}

pub(super) fn per_cpu_hash(context: &Context) -> Finding {
    if let Err(errno) = trial::create_map(trial::PER_CPU_HASH, 8, 8, 8) {
        return refused(context, errno, Capability::BPF, "4.6").missing();
    }
    match trial::drain_per_cpu_hash() {
        Ok(3) => Finding::ok("created, drained with one call"),
        Ok(drained) => Finding::degraded(format!("a batch call drained {drained} of 3 entries"), Vec::new()),
        Err(errno) => refused(context, errno, Capability::BPF, "5.6").degraded(),
    }
}

pub(super) fn typed_tracepoint(context: &Context) -> Finding {
    match attach_typed(context) {
        Ok(()) => Finding::ok("attached to kfree_skb"),
        Err(refusal) => refusal.degraded(),
    }
}

fn attach_typed(context: &Context) -> Result<(), Refusal> {
    let no_type = |why| Refusal { why, fix: fix::kernel("CONFIG_DEBUG_INFO_BTF") };
    let id = context.tracepoint_id().map_err(no_type)?;
    let program = trial::load_typed_tracepoint(trial::NOTHING, id);
    let link = program.and_then(|program| trial::open_raw_tracepoint(None, &program));
    link.map(drop).map_err(|errno| refused(context, errno, Capability::PERFMON, "5.5"))
}

pub(super) fn raw_tracepoint(context: &Context) -> Finding {
    let program = trial::load_raw_tracepoint(trial::NOTHING);
    match program.and_then(|program| trial::open_raw_tracepoint(Some(c"kfree_skb"), &program)) {
        Ok(_) => Finding::ok("attached to kfree_skb"),
        Err(errno) => {
            let refusal = refused(context, errno, Capability::PERFMON, "4.17");
            // Needed only where the better hook is refused.
            if attach_typed(context).is_ok() { refusal.degraded() } else { refusal.missing() }
        }
    }
}

pub(super) fn kernel_memory(context: &Context) -> Finding {
    match loads(trial::READ_KERNEL) {
        Ok(_) => Finding::ok("bpf_probe_read_kernel is allowed"),
        Err(errno) => helper(context, "bpf_probe_read_kernel", errno).missing(),
    }
}

pub(super) fn stack(context: &Context) -> Finding {
    match loads(trial::STACK) {
        Ok(_) => Finding::ok("bpf_get_stack is allowed"),
        Err(errno) => helper(context, "bpf_get_stack", errno).degraded(),
    }
}

fn loads(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    trial::load_raw_tracepoint(instructions)
}

/// Why a program that calls `helper` was refused.
fn helper(context: &Context, helper: &str, errno: Errno) -> Refusal {
    match loads(trial::NOTHING) {
        Ok(_) => Refusal { why: format!("programs load, but {helper} is refused ({errno})"), fix: fix::lockdown() },
        Err(errno) => refused(context, errno, Capability::PERFMON, "5.5"),
    }
}

pub(super) fn tcx(context: &Context) -> Finding {
    attaches(context, trial::attach_tcx(), "6.6")
}

pub(super) fn clsact(context: &Context) -> Finding {
    attaches(context, trial::attach_clsact(), "4.5")
}

fn attaches(context: &Context, tried: Result<(), TcxError>, since: &str) -> Finding {
    match tried {
        Ok(()) => Finding::ok("attached in a throw-away namespace"),
        Err(TcxError::Namespace(errno)) => Finding::degraded(
            format!("not tried: no network namespace can be made to try it in ({errno})"),
            fix::capability(context, "CAP_SYS_ADMIN"),
        ),
        Err(TcxError::Load(errno) | TcxError::Link(errno)) => {
            refused(context, errno, Capability::NET_ADMIN, since).degraded()
        }
    }
}

/// Since 5.11 tables are charged to the cgroup instead; whether that is so is seen by allowing no locked memory.
pub(super) fn memlock(context: &Context) -> Finding {
    let create = || trial::create_map(trial::RING_BUFFER, 0, 0, RING_BUFFER_SIZE).map(drop);
    if let Err(errno) = create() {
        let why = context.why(errno, Capability::BPF);
        return Finding::degraded(format!("not tried: no table can be created ({why})"), fix::privileges(context));
    }
    if let Ok(Ok(())) = trial::without_memlock(create) {
        return Finding::ok("this kernel does not count BPF tables as locked memory");
    }
    let raise = vec!["ulimit -l unlimited".to_owned(), "docker run … --ulimit memlock=-1:-1".to_owned()];
    match trial::memlock() {
        Ok(limit) if limit.rlim_max == libc::RLIM_INFINITY || context.has(Capability::SYS_RESOURCE) => {
            Finding::ok("counted, and raised at start")
        }
        Ok(limit) => Finding::degraded(format!("at most {} KiB of locked memory", limit.rlim_max >> 10), raise),
        Err(errno) => Finding::degraded(format!("the limit cannot be read ({errno})"), raise),
    }
}

/// Why something is refused, and what helps.
struct Refusal {
    why: String,
    fix: Vec<String>,
}

impl Refusal {
    fn missing(self) -> Finding {
        Finding::missing(self.why, self.fix)
    }

    fn degraded(self) -> Finding {
        Finding::degraded(self.why, self.fix)
    }
}

/// A refused `bpf` call: `capability` is what it needs, `since` the first kernel that has it.
fn refused(context: &Context, errno: Errno, capability: Capability, since: &str) -> Refusal {
    let fix = match errno.0 {
        libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP => vec![format!("boot a kernel of {since} or newer")],
        _ => fix::capability(context, &capability.name()),
    };
    Refusal { why: context.why(errno, capability), fix }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::capability::Capabilities;

    #[test]
    fn an_old_kernel_and_a_missing_capability_have_different_fixes() {
        let context = Context::bare();
        let old = refused(&context, Errno(libc::EINVAL), Capability::BPF, "5.8");
        assert_eq!(old.fix, ["boot a kernel of 5.8 or newer"]);
        let small = refused(&context, Errno(libc::EPERM), Capability::BPF, "5.8");
        assert!(small.why.contains("CAP_BPF") && small.fix[0].contains("sudo"), "{} {:?}", small.why, small.fix);
    }

    /// On a kernel and with rights that whydrop supports, every trial works.
    #[test]
    fn trials_work_with_full_rights() {
        let held = Capabilities::effective().unwrap();
        if !held.has(Capability::SYS_ADMIN) {
            eprintln!("skipped: trials need CAP_SYS_ADMIN");
            return;
        }
        let context = Context::read();
        for check in [btf, ring_buffer, per_cpu_hash, typed_tracepoint, raw_tracepoint, kernel_memory, stack, memlock] {
            let finding = check(&context);
            assert_eq!(finding.status, super::super::Status::Ok, "{finding:?}");
        }
        for finding in [tcx(&context), clsact(&context)] {
            let absent = finding.detail.contains("does not have it");
            assert!(absent || finding.status == super::super::Status::Ok, "{finding:?}");
        }
    }
}
