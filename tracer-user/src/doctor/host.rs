//! The host as seen from here: its processes, its namespaces, its kernel's symbols and lockdown.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::host::kernel::Lockdown;
use crate::host::netns::{self, HostProof};

/// Lines of kallsyms that are looked at for an address: the first are per-CPU offsets, which may be 0 by right.
const SYMBOLS: usize = 5000;
/// Bytes of kallsyms that are read at most.
const SYMBOLS_TEXT: u64 = 1 << 20;
const NEEDS_PIDS: &str = "share the host's PID namespace: docker run … --pid=host, or hostPID: true in the pod";

pub(super) fn lockdown(context: &Context) -> Finding {
    match context.kernel.lockdown {
        Lockdown::None => Finding::ok("none"),
        Lockdown::Integrity => Finding::ok("integrity, which whydrop works under"),
        Lockdown::Confidentiality => Finding::degraded("confidentiality", fix::lockdown()),
        Lockdown::Unknown => Finding::ok("not shown by this kernel; kernel_memory tells"),
    }
}

pub(super) fn symbols(_: &Context) -> Finding {
    let path = "/proc/sys/kernel/kptr_restrict";
    let restrict = fs::read_to_string(path).unwrap_or_default();
    let restrict = restrict.trim();
    let file = match File::open("/proc/kallsyms") {
        Ok(file) => file,
        Err(error) => {
            return Finding::degraded(format!("/proc/kallsyms: {error}"), vec!["mount the host's /proc".to_owned()]);
        }
    };
    if shows_addresses(BufReader::new(file.take(SYMBOLS_TEXT))) {
        return Finding::ok("/proc/kallsyms shows addresses");
    }
    let fix = match restrict {
        "2" => "sysctl -w kernel.kptr_restrict=1 (hides them from everyone but CAP_SYSLOG)",
        _ => "run with CAP_SYSLOG",
    };
    Finding::degraded(format!("addresses are hidden: kernel.kptr_restrict = {restrict}"), vec![fix.to_owned()])
}

/// Whether any symbol has an address that is not hidden (0).
fn shows_addresses(text: impl BufRead) -> bool {
    let lines = text.lines().map_while(Result::ok).take(SYMBOLS);
    lines.filter_map(|line| u64::from_str_radix(line.split(' ').next()?, 16).ok()).any(|address| address > 0xf_ffff)
}

pub(super) fn proc(context: &Context) -> Finding {
    match netns::scan(Path::new("/proc")) {
        Err(error) => Finding::degraded(error.to_string(), vec!["mount the host's /proc".to_owned()]),
        Ok(_) if !context.host_pids => {
            Finding::degraded("this is not the host's PID namespace", vec![NEEDS_PIDS.to_owned()])
        }
        // Process 1 of some hosts is guarded even from root, which costs nothing.
        Ok(scan) if scan.refused > 1 => Finding::degraded(
            format!("the namespaces of {} processes are refused", scan.refused),
            fix::capability(context, "CAP_SYS_PTRACE"),
        ),
        Ok(_) => Finding::ok("the host's PID namespace"),
    }
}

pub(super) fn host_netns(context: &Context) -> Finding {
    let Some(host) = context.facts().host() else {
        return Finding::degraded("no network namespace could be read", vec!["mount the host's /proc".to_owned()]);
    };
    match host.proof {
        HostProof::Initial => Finding::ok(format!("{}, the initial one", host.inode)),
        HostProof::Process1 => {
            Finding::degraded(format!("{}, taken from process 1", host.inode), vec![NEEDS_PIDS.to_owned()])
        }
        HostProof::Own => Finding::degraded(format!("{}, our own", host.inode), vec![NEEDS_PIDS.to_owned()]),
    }
}

pub(super) fn namespaces(context: &Context) -> Finding {
    let facts = context.facts();
    let refused: Vec<_> = facts.namespaces().filter_map(|netns| facts.interfaces(netns.inode).err()).collect();
    let found = facts.namespaces().count();
    let entered = found - refused.len();
    match refused.first() {
        None => Finding::ok(format!("{found} found, all entered")),
        Some(first) => Finding::degraded(
            format!("{found} found, {entered} entered; {first}"),
            fix::capability(context, "CAP_SYS_ADMIN"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_addresses_are_told_from_shown_ones() {
        let hidden = "0000000000000000 A fixed_percpu_data\n0000000000001000 A cpu_tss\n0000000000000000 T _text\n";
        let shown = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\n";
        assert!(!shows_addresses(hidden.as_bytes()));
        assert!(shows_addresses(shown.as_bytes()));
        assert!(!shows_addresses(&b"not hexadecimal\n\xff\xff\n"[..]));
    }

    #[test]
    fn only_confidentiality_costs_something() {
        let mut context = Context::bare();
        for (lockdown_is, status) in [
            (Lockdown::None, super::super::Status::Ok),
            (Lockdown::Integrity, super::super::Status::Ok),
            (Lockdown::Unknown, super::super::Status::Ok),
            (Lockdown::Confidentiality, super::super::Status::Degraded),
        ] {
            context.kernel.lockdown = lockdown_is;
            assert_eq!(lockdown(&context).status, status);
        }
    }
}
