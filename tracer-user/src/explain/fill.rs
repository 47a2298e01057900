//! Fills what is known of a packet into sentences and commands.
//!
//! Placeholders: `{ns}` how to enter the network namespace, `{ip}` `ip` or `ip -6`, `{iptables}` `iptables` or
//! `ip6tables`, `{family}` `ipv4` or `ipv6`, `{interface}`, `{conf}` the interface as sysctl names spell it, `{source}`,
//! `{destination}`, `{dport}`, `{ethertype}`, `{to}` the destination with protocol and port.
//!
//! Rule: a sentence does without what is unknown; a command that lacks something is not shown, because only a complete
//! one can be run. Names from the packet's namespace may be hostile and are quoted for the shell.

use std::borrow::Cow;
use std::net::IpAddr;

use super::observation::{ICMP, ICMPV6, Observation, TCP, UDP};

/// A sentence about this drop.
pub(super) fn sentence(template: &str, drop: &Observation<'_>) -> String {
    let text = replace(template, |key| {
        Some(match key {
            "interface" => drop.interface.unwrap_or("the interface").to_owned(),
            "destination" => drop.destination.map_or_else(|| "its destination".to_owned(), |to| to.to_string()),
            "source" => drop.source.map(|from| from.to_string()).unwrap_or_default(),
            "to" => to(drop),
            _ => value(key, drop).unwrap_or_default(),
        })
    });
    text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A command or action for this drop, with the namespace entered; `None` if something that it needs is not known.
pub(super) fn remedy(template: &str, drop: &Observation<'_>) -> Option<String> {
    replace(template, |key| value(key, drop))
}

/// A command or action as the documentation shows it, with words in capitals where values go.
pub(super) fn generic(template: &str) -> String {
    let text = replace(template, |key| {
        Some(match key {
            "ns" => String::new(),
            "ip" => "ip".to_owned(),
            "iptables" => "iptables".to_owned(),
            "family" => "ipv4".to_owned(),
            "interface" | "conf" => "INTERFACE".to_owned(),
            "dport" => "PORT".to_owned(),
            "to" => "DESTINATION".to_owned(),
            other => other.to_uppercase(),
        })
    });
    text.unwrap_or_default()
}

/// Whether a remedy is a command rather than an action in words.
pub(super) fn is_command(template: &str) -> bool {
    const TOOLS: &[&str] =
        &["bpftool", "cat", "dmesg", "ethtool", "free", "nft", "ovs-appctl", "sysctl", "systemctl", "tcpdump"];
    template.starts_with("{ns}") || template.split(' ').next().is_some_and(|word| TOOLS.contains(&word))
}

fn value(key: &str, drop: &Observation<'_>) -> Option<String> {
    let ipv6 = drop.is_ipv6();
    match key {
        "ns" => Some(drop.netns_entry.map(|entry| format!("{entry} ")).unwrap_or_default()),
        "ip" => Some(if ipv6 { "ip -6" } else { "ip" }.to_owned()),
        "iptables" => Some(if ipv6 { "ip6tables" } else { "iptables" }.to_owned()),
        "family" => Some(if ipv6 { "ipv6" } else { "ipv4" }.to_owned()),
        "interface" => drop.interface.map(|name| quoted(name).into_owned()),
        // sysctl(8): a dot inside a name is written as a slash.
        "conf" => drop.interface.map(|name| quoted(&name.replace('.', "/")).into_owned()),
        "source" => drop.source.map(|address| address.to_string()),
        "destination" => drop.destination.map(|address| address.to_string()),
        "dport" => drop.destination_port.map(|port| port.to_string()),
        "ethertype" => (drop.ethertype != 0).then(|| format!("{:#06x}", drop.ethertype)),
        _ => None,
    }
}

/// The destination with what is known of protocol and port: `tcp 10.0.0.1:80`.
fn to(drop: &Observation<'_>) -> String {
    let Some(address) = drop.destination else { return "its destination".to_owned() };
    let address = match (address, drop.destination_port) {
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (address, None) => address.to_string(),
    };
    match drop.protocol {
        Some(TCP) => format!("tcp {address}"),
        Some(UDP) => format!("udp {address}"),
        Some(ICMP) => format!("icmp {address}"),
        Some(ICMPV6) => format!("icmpv6 {address}"),
        _ => address,
    }
}

/// A word as a POSIX shell must be given it.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@%:".contains(&byte);
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Replaces each `{key}`; `None` as soon as one has no value. Braces without a key in between stay.
fn replace(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        match after.split_once('}') {
            Some((key, tail)) if key.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                text.push_str(&value(key)?);
                rest = tail;
            }
            _ => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop<'a>() -> Observation<'a> {
        Observation {
            destination: "fd99:2::2".parse().ok(),
            destination_port: Some(81),
            protocol: Some(TCP),
            ethertype: 0x86dd,
            interface: Some("eth0.5"),
            netns_entry: Some("nsenter --net=/run/netns/pod"),
            ..Observation::default()
        }
    }

    #[test]
    fn a_command_is_complete() {
        let command = remedy("{ns}{ip} route get {destination}", &drop());
        assert_eq!(command.as_deref(), Some("nsenter --net=/run/netns/pod ip -6 route get fd99:2::2"));
        let sysctl = remedy("{ns}sysctl net.{family}.conf.{conf}.forwarding", &drop());
        assert_eq!(sysctl.as_deref(), Some("nsenter --net=/run/netns/pod sysctl net.ipv6.conf.eth0/5.forwarding"));
        let host = Observation { netns_entry: None, ..drop() };
        assert_eq!(remedy("{ns}ss -lnp '( sport = :{dport} )'", &host).as_deref(), Some("ss -lnp '( sport = :81 )'"));
    }

    #[test]
    fn a_command_that_lacks_something_is_not_shown() {
        assert_eq!(remedy("{ns}ip route get {source}", &drop()), None);
        assert_eq!(remedy("ip link show dev {interface}", &Observation::default()), None);
        assert_eq!(remedy("ip link {nosuch}", &drop()), None);
    }

    #[test]
    fn a_hostile_interface_name_cannot_run_anything() {
        for name in ["$(reboot)", "a;reboot", "a'b", "-x", "`id`", "a\nb"] {
            let hostile = Observation { interface: Some(name), ..drop() };
            let command = remedy("ip link show dev {interface}", &hostile).unwrap();
            let word = command.strip_prefix("ip link show dev ").unwrap();
            let inner = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')).unwrap();
            assert_eq!(inner.replace(r"'\''", "'"), name);
            assert!(!inner.replace(r"'\''", "").contains('\''));
        }
    }

    #[test]
    fn a_sentence_does_without_what_is_unknown() {
        assert_eq!(sentence("nobody listens on {to}", &drop()), "nobody listens on tcp [fd99:2::2]:81");
        assert_eq!(sentence("nobody listens on {to}", &Observation::default()), "nobody listens on its destination");
        assert_eq!(sentence("refused the source {source} on {interface}", &drop()), "refused the source on eth0.5");
    }

    #[test]
    fn braces_without_key_stay() {
        assert_eq!(remedy("awk '{print $1}' {", &drop()).as_deref(), Some("awk '{print $1}' {"));
        assert_eq!(generic("{ns}tc qdisc show dev {interface}"), "tc qdisc show dev INTERFACE");
    }
}
