//! The text of `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.
//!
//! Rule: a value that is not there, or is no number, is absent; lines that don't pair are passed over.

/// The value of a counter called as nstat(8) calls it: group and name, `TcpExt` and `ListenDrops`. The text has pairs of
/// lines, names and values, each begun by the group and a colon.
pub(super) fn paired(text: &str, group: &str, name: &str) -> Option<u64> {
    let line = |line: &'_ str| line.strip_prefix(group).is_some_and(|rest| rest.starts_with(':'));
    let mut lines = text.lines().filter(|text| line(text));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_ascii_whitespace().skip(1).position(|known| known == name)?;
    values.split_ascii_whitespace().skip(1).nth(at)?.parse().ok()
}

/// The value of a counter in a text with one counter a line: `Ip6OutNoRoutes 12`.
pub(super) fn single(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some(name) { words.next()?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETSTAT: &str = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 0 3 5 -1\n\
                           IpExt: InNoRoutes InTruncatedPkts\nIpExt: 7 0\n";

    #[test]
    fn a_value_stands_under_its_name() {
        assert_eq!(paired(NETSTAT, "TcpExt", "ListenOverflows"), Some(3));
        assert_eq!(paired(NETSTAT, "TcpExt", "ListenDrops"), Some(5));
        assert_eq!(paired(NETSTAT, "IpExt", "InNoRoutes"), Some(7));
        assert_eq!(paired(NETSTAT, "TcpExt", "TCPReqQFullDrop"), None, "not a count");
        assert_eq!((paired(NETSTAT, "TcpExt", "TcpExt:"), paired(NETSTAT, "Ip", "InNoRoutes")), (None, None));
        assert_eq!(single("Ip6InReceives \t 2\nIp6OutNoRoutes\t12\n", "Ip6OutNoRoutes"), Some(12));
        assert_eq!(single("Ip6OutNoRoutes\nIp6OutNoRoutesX 3\n", "Ip6OutNoRoutes"), None);
    }

    #[test]
    fn what_is_cut_off_or_makes_no_sense_is_absent() {
        for cut in 0..NETSTAT.len() {
            let found = paired(&NETSTAT[..cut], "TcpExt", "ListenDrops");
            assert!(found.is_none_or(|value| value == 5), "cut at {cut}: {found:?}");
        }
        for text in
            ["", ":", "TcpExt:", "TcpExt: a\nTcpExt: 99999999999999999999", "TcpExt: a b\nTcpExt: 1", "\0\n\u{ffff}"]
        {
            assert_eq!((paired(text, "TcpExt", "b"), single(text, "b")), (None, None), "{text:?}");
        }
    }

    #[test]
    fn this_kernel_has_them() {
        let text = std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
        assert!(paired(&text, "TcpExt", "ListenOverflows").is_some());
    }
}
