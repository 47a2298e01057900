//! Whether a part of the kernel is there already: built in, or loaded as a module.
//!
//! Rule: nothing is loaded for a look. The kernel loads many of its parts by itself for the first question to them
//! (`request_module`), so they are looked for beforehand: a loaded module has a folder in `/sys/module`, what is built in
//! stands in the kernel's list of functions, which is read once. Where no module can be loaded, asking does no harm.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::OnceLock;

const MODULES: &str = "/sys/module";
const SYMBOLS: &str = "/proc/kallsyms";
/// The longest line looked at, bytes: names have 512 at most (`KSYM_NAME_LEN`, 6.1).
const LINE: u64 = 1024;

/// A part that the kernel would load by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// By the first question about tables (`nfnetlink_rcv_msg`, net/netfilter/nfnetlink.c).
    NfTables,
    /// By the first question about connections (`nfnetlink_rcv_msg`).
    Conntrack,
    /// By the first question about sockets of the internet families (`__sock_diag_cmd`, net/core/sock_diag.c).
    InetDiag,
    /// By the first question about sockets of their protocol (`inet_diag_lock_handler`, net/ipv4/inet_diag.c).
    TcpDiag,
    UdpDiag,
    SctpDiag,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    Absent,
    /// This kernel has no list of its functions, and there is no such module loaded.
    Untold,
}

impl Part {
    const ALL: [Self; 6] =
        [Self::NfTables, Self::Conntrack, Self::InetDiag, Self::TcpDiag, Self::UdpDiag, Self::SctpDiag];

    /// The module's name.
    pub const fn module(self) -> &'static str {
        match self {
            Self::NfTables => "nf_tables",
            Self::Conntrack => "nf_conntrack_netlink",
            Self::InetDiag => "inet_diag",
            Self::TcpDiag => "tcp_diag",
            Self::UdpDiag => "udp_diag",
            Self::SctpDiag => "sctp_diag",
        }
    }

    /// A function that each of its versions has (5.10 to 7.2), as it ends the line of one that is built in; behind that
    /// of a module the module's name follows.
    const fn function(self) -> &'static [u8] {
        match self {
            Self::NfTables => b" nft_do_chain\n",
            Self::Conntrack => b" ctnetlink_dump_table\n",
            Self::InetDiag => b" inet_diag_handler_cmd\n",
            Self::TcpDiag => b" tcp_diag_dump\n",
            Self::UdpDiag => b" udp_diag_dump\n",
            Self::SctpDiag => b" sctp_diag_dump\n",
        }
    }

    /// Whether it is there. Cheap, but for the first time in a kernel without the module (about 50 ms).
    pub fn presence(self) -> Presence {
        static BUILT_IN: OnceLock<Option<Vec<Part>>> = OnceLock::new();
        if Path::new(MODULES).join(self.module()).exists() {
            return Presence::Here;
        }
        match BUILT_IN.get_or_init(|| File::open(SYMBOLS).ok().and_then(built_in)) {
            Some(parts) if parts.contains(&self) => Presence::Here,
            Some(_) => Presence::Absent,
            None => Presence::Untold,
        }
    }

    /// Whether a question to it loads nothing: it is there, or no module can be loaded.
    pub fn may_be_asked(self) -> bool {
        self.presence() == Presence::Here || !loads_modules()
    }
}

/// The parts that stand in the kernel's list of functions; `None` if it is empty.
fn built_in(symbols: impl Read) -> Option<Vec<Part>> {
    let mut symbols = BufReader::with_capacity(64 * 1024, symbols);
    let (mut parts, mut line) = (Vec::new(), Vec::new());
    let mut is_empty = true;
    // Ends with the file; a line that is too long is read in pieces.
    while (&mut symbols).take(LINE).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        parts.extend(Part::ALL.into_iter().filter(|part| line.ends_with(part.function())));
        is_empty = false;
        line.clear();
    }
    (!is_empty).then_some(parts)
}

/// Whether the kernel can load modules now.
fn loads_modules() -> bool {
    let setting = |name: &str| fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).ok();
    let has_modules = Path::new("/proc/modules").exists() || !Path::new("/proc/version").exists();
    can_load(has_modules, setting("modprobe").as_deref(), setting("modules_disabled").as_deref())
}

/// A kernel that was built with modules has `/proc/modules`; without a helper program (`kernel.modprobe`), or when loading
/// was ended until the next boot (`kernel.modules_disabled`), it loads none (kernel/module/kmod.c and main.c, 6.18).
fn can_load(has_modules: bool, helper: Option<&str>, disabled: Option<&str>) -> bool {
    let has_helper = helper.is_none_or(|helper| !helper.trim().is_empty());
    has_modules && has_helper && disabled.is_none_or(|disabled| disabled.trim() != "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_a_module_is_not_built_in() {
        let text = b"ffffffff81000000 T nft_do_chain_x\nffffffff81000010 t tcp_diag_dump\nffffffffc0000000 t \
                     udp_diag_dump\t[udp_diag]\n0 t inet_diag_handler_cmd\n";
        assert_eq!(built_in(&text[..]), Some(vec![Part::TcpDiag, Part::InetDiag]));
        assert_eq!(built_in(&b"0 T start\n"[..]), Some(vec![]));
        assert_eq!(built_in(&b""[..]), None, "nothing to tell by");
        assert_eq!(built_in(&[b'x'; 10_000][..]), Some(vec![]), "no list at all, and an end");
    }

    #[test]
    fn asking_does_no_harm_where_nothing_can_be_loaded() {
        assert!(can_load(true, Some("/sbin/modprobe\n"), Some("0\n")));
        assert!(can_load(true, None, None), "what is not told may be");
        assert!(!can_load(false, None, None), "a kernel without modules");
        assert!(!can_load(true, Some("\n"), Some("0\n")));
        assert!(!can_load(true, Some("/sbin/modprobe\n"), Some("1\n")));
    }
}
