//! The capabilities this process holds.
//!
//! Rule: read from `/proc/self/status`, so that what counts is what the kernel says now, not what was asked for.

use std::fs;

use super::error::{Errno, HostError};

const STATUS: &str = "/proc/self/status";

/// A capability, by its bit (`uapi/linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

impl Capability {
    pub const NET_ADMIN: Self = Self(12);
    pub const NET_RAW: Self = Self(13);
    pub const SYS_PTRACE: Self = Self(19);
    pub const SYS_ADMIN: Self = Self(21);
    pub const SYS_RESOURCE: Self = Self(24);
    pub const SYSLOG: Self = Self(34);
    pub const PERFMON: Self = Self(38);
    pub const BPF: Self = Self(39);

    /// `CAP_BPF`; a bit newer than this program is `CAP_` and its number.
    pub fn name(self) -> String {
        NAMES.get(usize::from(self.0)).map_or_else(|| format!("CAP_{}", self.0), |name| format!("CAP_{name}"))
    }
}

/// By bit, as of 6.18.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Every capability there can be.
    pub const ALL: Self = Self(u64::MAX);

    /// The effective set of this process.
    pub fn effective() -> Result<Self, HostError> {
        let failed = |errno| HostError::Procfs { path: STATUS.to_owned(), errno };
        let text = fs::read_to_string(STATUS).map_err(|error| failed(Errno::of(&error)))?;
        parse(&text).ok_or_else(|| failed(Errno(libc::EBADMSG)))
    }

    /// CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON, as in the kernel (`bpf_capable`, `perfmon_capable`), and
    /// CAP_SYSLOG is not implied.
    pub fn has(self, capability: Capability) -> bool {
        let held = |capability: Capability| self.0 & (1 << capability.0) != 0;
        let implied = matches!(capability, Capability::BPF | Capability::PERFMON) && held(Capability::SYS_ADMIN);
        held(capability) || implied
    }

    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..64).filter(move |bit| self.0 & (1 << bit) != 0).map(Capability)
    }
}

/// The `CapEff` line of `/proc/PID/status`: 16 hexadecimal digits.
fn parse(status: &str) -> Option<Capabilities> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(value.trim(), 16).ok().map(Capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tsh\nCapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\n\
                          CapEff:\t000001fffeffffff\nCapBnd:\t000001ffffffffff\n";

    #[test]
    fn the_effective_set_is_taken() {
        let held = parse(STATUS).unwrap();
        assert!(held.has(Capability::BPF) && held.has(Capability::SYSLOG));
        assert!(!held.has(Capability::SYS_RESOURCE), "bit 24 is clear in CapEff and set in CapBnd");
        assert_eq!(held.iter().count(), 40);
    }

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon_only() {
        let held = parse("CapEff:\t0000000000200000").unwrap();
        assert!(held.has(Capability::BPF) && held.has(Capability::PERFMON) && held.has(Capability::SYS_ADMIN));
        assert!(!held.has(Capability::NET_ADMIN) && !held.has(Capability::SYSLOG));
    }

    #[test]
    fn names_follow_the_header_and_new_bits_stay_visible() {
        let some = [Capability::NET_ADMIN, Capability::SYS_PTRACE, Capability::SYSLOG, Capability::PERFMON];
        let names = some.map(Capability::name);
        assert_eq!(names, ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYSLOG", "CAP_PERFMON"]);
        assert_eq!((Capability::BPF.name(), Capability(50).name()), ("CAP_BPF".into(), "CAP_50".into()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "CapEff:", "CapEff:\tzz", "CapPrm:\t00", "CapEff:\t1ffffffffffffffff"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_process_has_a_set() {
        Capabilities::effective().unwrap();
    }
}
