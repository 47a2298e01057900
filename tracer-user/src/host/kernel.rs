//! The kernel and the machine: release, host name, boot, lockdown, processors, memory.
//!
//! Rule: what cannot be read is none or a named unknown, never a guess.

use std::fs;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r`; empty without procfs.
    pub release: String,
    /// `uname -n`: that of our UTS namespace, so in a pod without the host's network the pod's.
    pub hostname: String,
    /// A UUID that is new with each boot.
    pub boot_id: Option<String>,
    pub lockdown: Lockdown,
    /// Processors that may ever be there: the number of values in a per-CPU map.
    pub possible_cpus: Option<u32>,
    /// `MemTotal`, bytes.
    pub memory: Option<u64>,
}

/// What the lockdown security module forbids (`/sys/kernel/security/lockdown`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lockdown {
    None,
    /// No change of the running kernel: of BPF only `bpf_probe_write_user` is refused.
    Integrity,
    /// Also no reading of kernel memory: `bpf_probe_read_kernel` is refused, and with it all that whydrop shows of a packet.
    Confidentiality,
    /// Not readable: no securityfs here, or no such module.
    Unknown,
}

impl Kernel {
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        let line = |path: &str| text(path).map(|text| text.trim().to_owned());
        Self {
            release: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            hostname: line("/proc/sys/kernel/hostname").unwrap_or_default(),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            lockdown: text("/sys/kernel/security/lockdown").map_or(Lockdown::Unknown, |text| lockdown(&text)),
            possible_cpus: text("/sys/devices/system/cpu/possible").and_then(|text| count(&text)),
            memory: text("/proc/meminfo").and_then(|text| memory(&text)),
        }
    }
}

/// `none [integrity] confidentiality`: the one in brackets holds.
fn lockdown(text: &str) -> Lockdown {
    match text.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        Some(("none", _)) => Lockdown::None,
        Some(("integrity", _)) => Lockdown::Integrity,
        Some(("confidentiality", _)) => Lockdown::Confidentiality,
        _ => Lockdown::Unknown,
    }
}

/// The size of a CPU list: `0-3,8`.
fn count(text: &str) -> Option<u32> {
    text.trim().split(',').try_fold(0u32, |total, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        total.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// `MemTotal: 24684092 kB`
fn memory(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_is_the_one_in_brackets() {
        assert_eq!(lockdown("[none] integrity confidentiality\n"), Lockdown::None);
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Lockdown::Integrity);
        assert_eq!(lockdown("none integrity [confidentiality]\n"), Lockdown::Confidentiality);
        for text in ["", "none", "[", "[]", "]none["] {
            assert_eq!(lockdown(text), Lockdown::Unknown, "{text:?}");
        }
    }

    #[test]
    fn processors_are_counted_over_ranges() {
        assert_eq!((count("0-1\n"), count("0"), count("0-3,8,10-11")), (Some(2), Some(1), Some(7)));
        for text in ["", "a", "3-1", "0-4294967295", "1-", ","] {
            assert_eq!(count(text), None, "{text:?}");
        }
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(memory("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 * 1024));
        assert_eq!((memory("MemTotal: 18446744073709551615 kB"), memory("MemFree: 3 kB")), (None, None));
    }

    #[test]
    fn this_machine_has_a_release_and_processors() {
        let kernel = Kernel::read();
        assert!(kernel.release.contains('.'), "{}", kernel.release);
        assert!(kernel.possible_cpus.is_some_and(|cpus| cpus > 0));
    }
}
