//! The watched counters as a page: `docs/counters.md` is what this writes, and a test compares them.

use std::fmt::Write;

use crate::counter::table::{CARDS, PROTOCOLS};
use crate::event::Cause;
use crate::explain::fill::generic;

const HEAD: &str = "\
# Counters

Some packets are lost where no drop event shows it: a SYN that finds a listener's queue full is freed as consumed, a
network card drops before the kernel has a packet, a send is refused before there is one. For these whydrop watches
counters, and tells each that rises as a [counter](events.md#counter) event. This page is written from the table in
`tracer-user/src/counter/table.rs`; a test keeps them the same.

- The first look at a namespace or device is its baseline: what was counted before is never told. Namespaces that exist
  at the start have their baseline before the header line is printed; one that comes later, when it is first seen: within
  about two seconds if it is named in `/run/netns` or `/run/docker/netns`, as `ip netns`, CNI and container runtimes do,
  and within some seconds else. A counter that went back (a card that was reset, a number that another namespace has now)
  is a new baseline.
- Each rise is told once, at the end of the interval (`--interval`), and by a last look when the run ends. What has drop
  lines of its own is taken off first, so that no packet is told twice.
- Namespaces are looked at in turn, at least a second apart, and seldom enough that it takes no more than one hundredth of
  one CPU: with a thousand namespaces each has its turn about every twenty seconds.
- A counter has no addresses, ports or reasons: with `--proto`, `--host`, `--port` or `--reason` none is told; with
  `--iface` only those of network cards with that name; `--netns` holds for all.
- `--count` counts drop lines only.

## Of a network namespace

";

const CARDS_HEAD: &str = "\
## Of network cards

Of devices that no software made: real cards, virtual functions, and those of a hypervisor. The names are those of
`ip -s -s link` (kernel) or `ethtool -S` (driver); the number of a queue is left out (`rx0_drops` is `rx_drops`), and
queues are added up where there is no total. Counters of the same packets are one event, and the others stand in its
evidence.

| counter | of | what it means | cause | try |
| --- | --- | --- | --- | --- |
";

const TAIL: &str = "
## What is not watched, and why

| counter | why |
| --- | --- |
| `TcpExtTCPBacklogDrop`, `TcpExtPFMemallocDrop`, `TcpExtTCPRcvQDrop`, `TcpExtTCPZeroWindowDrop`, `TcpExtTCPOFODrop` | the packets have drop lines |
| `UdpRcvbufErrors`, `UdpMemErrors`, `UdpInErrors`, `UdpNoPorts` and those of IPv6 | the packets have drop lines |
| `IpFragFails`, `IpReasmFails`, `IpInDiscards`, `IpOutDiscards`, `IpInNoRoutes` and those of IPv6 | the packets have drop lines |
| `TcpExtTCPReqQFullDoCookies` | nothing is dropped: the kernel answers with SYN cookies |
| `TcpExtTCPTimeWaitOverflow` | no packet is dropped: a closed connection is forgotten early |
| `rx_dropped`, `tx_dropped`, `rx_nohandler` | the kernel counts packets there that have drop lines |
| counters of veth, bridges, tunnels, bonds and other devices made by software, also `rx_queue_0_xdp_drops` of veth | what they drop are packets with drop lines (but for frames that XDP programs pass on among themselves) |
| `/proc/net/softnet_stat` | the second column, drops of a full backlog, has drop lines (`CPU_BACKLOG`); the third, `time_squeeze`, is no drop |
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    page.push_str("| counter | what it counts | cause | try |\n| --- | --- | --- | --- |\n");
    for protocol in PROTOCOLS {
        let note = protocol.noise.map(|why| format!(". With `--all` only: {why}")).unwrap_or_default();
        let name = protocol.full_name();
        let cells = (cause(protocol.cause), remedy(protocol.remedy));
        line(&mut page, format_args!("| `{name}` | {}{note} | {} | {} |", protocol.meaning, cells.0, cells.1));
    }
    page.push('\n');
    page.push_str(CARDS_HEAD);
    for card in CARDS {
        let names = card.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let cells = (cause(card.cause()), remedy(card.remedy));
        line(&mut page, format_args!("| {names} | {} | it {} | {} | {} |", card.drivers, card.says, cells.0, cells.1));
    }
    page.push_str(TAIL);
    page
}

fn cause(cause: Cause) -> String {
    format!("[`{cause}`](causes.md#{cause})")
}

fn remedy(templates: &[&str]) -> String {
    let shown = templates.iter().map(|template| {
        let text = generic(template);
        // An action in words has no tool's name first.
        if text.split(' ').next().is_some_and(|word| matches!(word, "spread" | "keep" | "cache")) {
            text
        } else {
            format!("`{text}`")
        }
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// Writing into a string cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p tracer-user reference` writes the page anew.
    #[test]
    fn the_page_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/counters.md");
        let page = markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "docs/counters.md is stale: run UPDATE_DOCS=1 cargo test -p tracer-user reference");
        assert!(!page.contains('{') && !page.contains('}'));
    }
}
