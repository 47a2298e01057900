//! How things look in text: colour, endpoints, places, and nothing that a terminal would obey.

use std::borrow::Cow;
use std::fmt::Write;

use crate::event::{Drop, Endpoint, Interface, Netns, Packet, Severity};

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
}

const RESET: &str = "\x1b[0m";

impl Style {
    /// `text` in the colour of `severity`.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Problem => "\x1b[31m",
            Severity::Expected => "\x1b[33m",
            Severity::Noise => "\x1b[2m",
        };
        self.paint(code, text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("\x1b[2m", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("\x1b[1m", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("{code}{text}{RESET}") } else { text.to_owned() }
    }
}

/// `text` with control characters and bidirectional overrides escaped: names come from the host and the network.
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if harmful(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    }))
}

/// Text of several lines, such as a manifest to apply: what follows the first stands below it, right of the margin, so that no line can
/// pass for an entry of its own.
pub(crate) fn hanging(text: &str, margin: usize) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join(&format!("\n{:margin$}", ""))
}

/// `tcp 10.99.1.2:41022 → shop/web-0 10.99.2.2:10250 [S]`.
pub(super) fn packet(packet: &Packet) -> String {
    let mut text = printable(&packet.protocol).into_owned();
    if packet.source.address.is_some() || packet.destination.address.is_some() {
        let _ = write!(text, " {} → {}", who(&packet.source), who(&packet.destination));
    } else {
        let _ = write!(text, " {} bytes", packet.length);
    }
    if let Some(flags) = &packet.tcp_flags {
        let _ = write!(text, " [{flags}]");
    }
    if let Some(icmp) = &packet.icmp {
        let _ = write!(text, " type {} code {}", icmp.kind, icmp.code);
    }
    text
}

/// `10.99.1.2:80`, `[fd99::1]:80`, or `?`.
pub fn endpoint(end: &Endpoint) -> String {
    match (end.address, end.port) {
        (Some(std::net::IpAddr::V6(address)), Some(port)) => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address.to_string(),
        (None, _) => "?".into(),
    }
}

/// The same with the name of who has the address: `shop/web-0 10.244.1.7:8080`, `svc shop/web 10.96.0.10:80`.
pub fn who(end: &Endpoint) -> String {
    let address = endpoint(end);
    name(end).map_or_else(|| address.clone(), |name| format!("{name} {address}"))
}

/// `shop/web-0`, `shop/web-0 of svc shop/web`, `svc shop/web`, `node node1`; escaped.
pub(crate) fn name(end: &Endpoint) -> Option<String> {
    let service = end.service.as_ref().map(|service| format!("svc {}/{}", service.namespace, service.name));
    let pod = end.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
    let name = match (pod, service) {
        (Some(pod), Some(service)) => format!("{pod} of {service}"),
        (pod, service) => {
            let node = || end.node.as_ref().map(|node| format!("node {node}"));
            pod.or(service).or_else(node).or_else(|| end.name.clone())?
        }
    };
    Some(printable(&name).into_owned())
}

/// `pod shop/web-0`, `host`; escaped.
pub(crate) fn netns_name(netns: &Netns) -> Option<String> {
    let name = match (&netns.pod, &netns.name) {
        (Some(pod), _) => format!("pod {}/{}", pod.namespace, pod.name),
        (None, name) => name.clone()?,
    };
    Some(printable(&name).into_owned())
}

/// `s0 in tb-s`, `local in host`, `eth0 in pod shop/web-0`.
pub fn place(drop: &Drop) -> String {
    place_of(Some(&drop.interface), &drop.netns)
}

/// The same of anything that has a place; `host` for a whole namespace.
pub(crate) fn place_of(interface: Option<&Interface>, netns: &Netns) -> String {
    let interface = interface.map(|interface| match (&interface.name, interface.index) {
        (Some(name), _) => printable(name).into_owned(),
        (None, 0) => "local".into(),
        (None, index) => format!("if{index}"),
    });
    let netns = match (netns_name(netns), netns.inode) {
        (Some(name), _) => Some(name),
        (None, 0) => None,
        (None, inode) => Some(format!("netns {inode}")),
    };
    match (interface, netns) {
        (Some(interface), Some(netns)) => format!("{interface} in {netns}"),
        (place, netns) => place.or(netns).unwrap_or_default(),
    }
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{PodName, ServiceName};

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("eth0"), "eth0");
        assert_eq!(printable("a\x1b[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\u{a}\\u{202e}c");
    }

    #[test]
    fn names_stand_before_addresses() {
        let pod = |name: &str| Some(PodName { namespace: "shop".into(), name: name.into(), uid: "u".into() });
        let service = Some(ServiceName { namespace: "shop".into(), name: "web".into(), port: None });
        let end = Endpoint::of("10.244.1.7:8080");
        let shown = [
            end.clone(),
            Endpoint { pod: pod("web\u{1b}0"), ..end.clone() },
            Endpoint { pod: pod("web-0"), service: service.clone(), ..end.clone() },
            Endpoint { service, ..end.clone() },
            Endpoint { node: Some("node1".into()), ..end.clone() },
            Endpoint { name: Some("cloud metadata service".into()), ..end },
        ]
        .map(|end| who(&end));
        assert_eq!(
            shown,
            [
                "10.244.1.7:8080",
                "shop/web\\u{1b}0 10.244.1.7:8080",
                "shop/web-0 of svc shop/web 10.244.1.7:8080",
                "svc shop/web 10.244.1.7:8080",
                "node node1 10.244.1.7:8080",
                "cloud metadata service 10.244.1.7:8080",
            ]
        );
        let netns = Netns { inode: 5, name: Some("cni-1".into()), pod: pod("web-0") };
        assert_eq!(place_of(None, &netns), "pod shop/web-0");
    }

    #[test]
    fn the_lines_of_a_manifest_stand_below_one_another() {
        assert_eq!(hanging("apply:\na: b\x1b\n  c: d", 4), "apply:\n    a: b\\u{1b}\n      c: d");
        assert_eq!(hanging("ss -lnp", 4), "ss -lnp");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
