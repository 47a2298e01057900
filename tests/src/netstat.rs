//! The counters of a namespace, as `/proc/net/netstat` and `/proc/net/snmp` have them.

use std::fs;

use anyhow::{Context, Result};

use crate::netns::NetNs;

/// A counter by its group and name: `TcpExt` and `ListenOverflows`; of `Ip6` as in `/proc/net/snmp6`.
pub fn read(namespace: &NetNs, group: &str, name: &str) -> Result<u64> {
    let text = namespace.run(|| {
        let files =
            ["netstat", "snmp", "snmp6"].map(|file| fs::read_to_string(format!("/proc/thread-self/net/{file}")));
        files.into_iter().map(|text| Ok(text?)).collect::<Result<String>>()
    })?;
    let value = value(&text, group, name).with_context(|| format!("no counter {group}{name}"))?;
    Ok(value.parse()?)
}

fn value<'a>(text: &'a str, group: &str, name: &str) -> Option<&'a str> {
    let whole = format!("{group}{name}");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let paired = pairs.find_map(|(known, value)| (known == name).then_some(value));
    let mut single = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
    paired.or_else(|| single.find_map(|(known, value)| (known == whole).then_some(value.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_both_forms() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nIp: C\nIp: 3\nIp6OutNoRoutes\t 4\n";
        assert_eq!((value(text, "TcpExt", "B"), value(text, "Ip", "C")), (Some("2"), Some("3")));
        assert_eq!((value(text, "Ip6", "OutNoRoutes"), value(text, "Ip", "B")), (Some("4"), None));
    }
}
