//! Whether nf_tables is in the kernel already.
//!
//! Rule: the first message to a netfilter subsystem makes the kernel load its module (`net/netfilter/nfnetlink.c`,
//! `nfnetlink_rcv_msg`), and to look must not do that. Where it can't be told, the kernel is asked all the same.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::OnceLock;

const MODULE: &str = "/sys/module/nf_tables";
const SYMBOLS: &str = "/proc/kallsyms";
/// A function that every nf_tables has; that of a module has the module's name behind it.
const BUILT_IN: &[u8] = b" nft_do_chain\n";
/// The longest line looked at, bytes: names have 512 at most (`KSYM_NAME_LEN`, 6.1).
const LINE: u64 = 1024;

/// Loaded as a module, or built in. Cheap, but for the first time in a kernel without the module (about 50 ms).
pub(super) fn is_present() -> bool {
    static IS_BUILT_IN: OnceLock<bool> = OnceLock::new();
    Path::new(MODULE).exists() || *IS_BUILT_IN.get_or_init(|| File::open(SYMBOLS).map_or(true, is_built_in))
}

fn is_built_in(symbols: impl std::io::Read) -> bool {
    use std::io::Read as _;
    let mut symbols = BufReader::with_capacity(64 * 1024, symbols);
    let mut line = Vec::new();
    let mut is_empty = true;
    // Ends with the file; a line that is too long is read in pieces.
    while (&mut symbols).take(LINE).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if line.ends_with(BUILT_IN) {
            return true;
        }
        is_empty = false;
        line.clear();
    }
    is_empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_a_module_is_not_built_in() {
        let built_in = b"ffffffff81000000 T nft_do_chain_x\nffffffff81000010 T nft_do_chain\nffffffff81000020 T b\n";
        let module = b"ffffffff81000000 T start\nffffffffc0000000 T nft_do_chain\t[nf_tables]\n";
        assert!(is_built_in(&built_in[..]));
        assert!(!is_built_in(&module[..]));
        assert!(is_built_in(&b""[..]), "nothing to tell by: ask");
    }
}
