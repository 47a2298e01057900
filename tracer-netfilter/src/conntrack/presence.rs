//! Whether the kernel has ctnetlink already.
//!
//! Rule: nothing is loaded for a look. The kernel would load `nf_conntrack_netlink` by itself for the first question
//! (`nfnetlink_rcv_msg`, `request_module("nfnetlink-subsys-1")`), so it is looked for beforehand.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::sync::OnceLock;

use super::ConntrackError;

/// A function of ctnetlink, as it ends the line of one that is built in.
const FUNCTION: &[u8] = b" ctnetlink_dump_table";

/// It was found once: it is not looked for again. It can be unloaded, but nobody does that.
static FOUND: OnceLock<()> = OnceLock::new();

pub(super) fn check() -> Result<(), ConntrackError> {
    if FOUND.get().is_some() || is_module() || is_symbol() {
        FOUND.get_or_init(|| ());
        return Ok(());
    }
    Err(ConntrackError::NotLoaded)
}

fn is_module() -> bool {
    fs::read_to_string("/proc/modules")
        .is_ok_and(|modules| modules.lines().any(|it| it.starts_with("nf_conntrack_netlink ")))
}

/// Built in: only the list of the kernel's functions tells, which is long and does not change for what is built in.
fn is_symbol() -> bool {
    static BUILT_IN: OnceLock<bool> = OnceLock::new();
    *BUILT_IN.get_or_init(|| File::open("/proc/kallsyms").is_ok_and(|symbols| has_function(BufReader::new(symbols))))
}

fn has_function(mut symbols: impl BufRead) -> bool {
    let mut line = Vec::new();
    while line.len() < 4096 {
        line.clear();
        match symbols.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) if line.trim_ascii_end().ends_with(FUNCTION) => return true,
            Ok(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_it_stands_in_the_list() {
        let with = "0000 t nf_hook_slow\n0000 t ctnetlink_dump_table\n";
        assert!(has_function(with.as_bytes()) && !has_function("0000 t nf_hook_slow\n".as_bytes()));
        assert!(!has_function(&[b'x'; 10_000][..]), "no list at all");
    }
}
