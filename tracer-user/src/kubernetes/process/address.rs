//! The addresses of a process's network namespace, from procfs: nothing has to be entered.
//!
//! Rule: only addresses that others can use: neither loopback nor link-local ones.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Bytes of a table that are read, and addresses of a pod.
const MOST_BYTES: u64 = 256 * 1024;
const MOST: usize = 8;
/// `IPV6_ADDR_SCOPE_TYPE` of a global address in `/proc/net/if_inet6` (`if6_seq_show`, net/ipv6/addrconf.c).
const GLOBAL: &str = "00";

/// Of a process's folder in procfs.
pub(super) fn of_process(directory: &Path) -> Vec<IpAddr> {
    let text = |table: &str| {
        let mut text = String::new();
        let file = File::open(directory.join("net").join(table));
        let _unread_is_empty = file.and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
        text
    };
    let mut found: Vec<IpAddr> = of_trie(&text("fib_trie")).into_iter().map(IpAddr::from).collect();
    found.extend(of_inet6(&text("if_inet6")).map(IpAddr::from));
    found.truncate(MOST);
    found
}

/// `/proc/net/fib_trie` has `|-- ADDRESS` and below it `/32 host LOCAL` for an address of the namespace's own; each table has it.
fn of_trie(text: &str) -> Vec<Ipv4Addr> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            let is_usable = |ip: &Ipv4Addr| !ip.is_loopback() && !ip.is_link_local() && !found.contains(ip);
            found.extend(last.filter(is_usable));
        }
    }
    found
}

/// `ADDRESS INDEX LENGTH SCOPE FLAGS NAME`, all hexadecimal but the name.
fn of_inet6(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        (words.nth(2)? == GLOBAL).then(|| Ipv6Addr::from(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.244.1.0/24 2 0 2\n        |-- 10.244.1.2\n           /32 host LOCAL\n        |-- 10.244.1.255\n           /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n        |-- 10.244.1.2\n           /32 host LOCAL\n     |-- 169.254.1.1\n        /32 host LOCAL\n";
    const INET6: &str = "00000000000000000000000000000001 01 80 10 80       lo\nfd000010024400010000000000000002 02 40 00 80     eth0\nfe80000000000000a8bbccfffeddeeff 02 40 20 80     eth0\n";

    #[test]
    fn only_addresses_for_others_count() {
        assert_eq!(of_trie(TRIE), [Ipv4Addr::new(10, 244, 1, 2)]);
        let found: Vec<_> = of_inet6(INET6).collect();
        assert_eq!(found, ["fd00:10:244:1::2".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn other_text_has_none() {
        for text in ["", "|-- x\n/32 host LOCAL", "/32 host LOCAL", "zz 1 1 00 1 x", "00 00"] {
            assert!(of_trie(text).is_empty() && of_inet6(text).next().is_none(), "{text}");
        }
        assert!(of_process(Path::new("/nonexistent")).is_empty());
    }
}
