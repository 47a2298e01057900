//! The reassembly of fragments: how long it waits, how much memory it may take and takes, and how it went so far.
//!
//! Rule: the settings and the memory are those of the packet's namespace; connection tracking puts IPv6 fragments
//! together by itself, with its own settings, and does not tell its memory.

mod piece;

use std::fs;

pub use piece::Piece;

use super::checksum::head;
use super::{Scene, sysctl};
use crate::host::HostError;
use crate::host::error::Errno;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragments {
    pub piece: Option<Piece>,
    /// Names of the settings that apply.
    pub names: Names,
    /// Seconds that are waited for the rest.
    pub time: Option<u64>,
    /// Bytes that fragments may take.
    pub high_thresh: Option<u64>,
    /// IPv4: how many fragments of other datagrams of a sender may come between.
    pub max_dist: Option<u64>,
    /// Bytes that fragments take now, and in how many datagrams.
    pub memory: Option<(u64, u64)>,
    pub counters: Option<Counters>,
}

/// Settings as sysctl(8) shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub time: &'static str,
    pub high_thresh: &'static str,
}

/// What the namespace counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Fragments that came.
    pub requests: u64,
    /// Datagrams put together.
    pub oks: u64,
    pub fails: u64,
    pub timeouts: u64,
}

const IPV4: Names = Names { time: "net.ipv4.ipfrag_time", high_thresh: "net.ipv4.ipfrag_high_thresh" };
const IPV6: Names = Names { time: "net.ipv6.ip6frag_time", high_thresh: "net.ipv6.ip6frag_high_thresh" };
const CONNTRACK: Names = Names {
    time: "net.netfilter.nf_conntrack_frag6_timeout",
    high_thresh: "net.netfilter.nf_conntrack_frag6_high_thresh",
};

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, _memory: &mut Memory) -> Result<Fragments, HostError> {
    let packet = &scene.question.packet;
    let is_ipv6 = packet.is_ipv6();
    let is_conntrack = packet.symbol.starts_with("nf_ct_frag6");
    let names = match (is_ipv6, is_conntrack) {
        (false, _) => IPV4,
        (true, false) => IPV6,
        (true, true) => CONNTRACK,
    };
    let piece = packet.dropped.as_deref().and_then(head::network).and_then(piece::piece);
    let (time, high_thresh, max_dist, sockets, counted) = scene.inside(|| {
        let max_dist = if is_ipv6 { None } else { number("net.ipv4.ipfrag_max_dist").ok() };
        let file = if is_ipv6 { "sockstat6" } else { "sockstat" };
        let counters = if is_ipv6 { "snmp6" } else { "snmp" };
        (number(names.time), number(names.high_thresh), max_dist, own(file), own(counters))
    })?;
    let mut facts = Fragments { piece, names, max_dist, ..Fragments::default() };
    facts.time = scene.note(names.time, time);
    facts.high_thresh = scene.note(names.high_thresh, high_thresh);
    let sockets = scene.note("the memory of fragments", sockets);
    facts.memory = sockets.filter(|_| !is_conntrack).and_then(|text| memory(&text));
    let counted = scene.note("the counters of reassembly", counted);
    facts.counters = counted.map(|text| if is_ipv6 { counters6(&text) } else { counters4(&text) });
    Ok(facts)
}

fn number(name: &str) -> Result<u64, Errno> {
    sysctl::read(&name.replace('.', "/"))?.parse().map_err(|_| Errno(libc::EINVAL))
}

/// A file of the calling thread's namespace: `/proc/net` is that of the process.
fn own(file: &str) -> Result<String, Errno> {
    fs::read_to_string(format!("/proc/thread-self/net/{file}")).map_err(|error| Errno::of(&error))
}

/// `FRAG: inuse 1 memory 832`, or `FRAG6:` (`net/ipv4/proc.c`, `net/ipv6/proc.c`): memory, then datagrams.
fn memory(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find(|line| line.starts_with("FRAG"))?;
    let mut words = line.split_whitespace().skip(1);
    let (mut datagrams, mut bytes) = (None, None);
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        match key {
            "inuse" => datagrams = value.parse().ok(),
            "memory" => bytes = value.parse().ok(),
            _ => {}
        }
    }
    Some((bytes?, datagrams.unwrap_or_default()))
}

/// Two lines that begin with `Ip:`: names, then values.
fn counters4(text: &str) -> Counters {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs = names.split_whitespace().zip(values.split_whitespace());
    counted(pairs)
}

/// One `Ip6ReasmFails 3` a line.
fn counters6(text: &str) -> Counters {
    let pairs = text.lines().filter_map(|line| line.strip_prefix("Ip6")?.split_once(char::is_whitespace));
    counted(pairs.map(|(name, value)| (name, value.trim())))
}

fn counted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Counters {
    let mut counters = Counters::default();
    for (name, value) in pairs {
        let value = value.parse().unwrap_or_default();
        match name {
            "ReasmReqds" => counters.requests = value,
            "ReasmOKs" => counters.oks = value,
            "ReasmFails" => counters.fails = value,
            "ReasmTimeout" => counters.timeouts = value,
            _ => {}
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_of_either_family() {
        assert_eq!(memory("RAW: inuse 0\nFRAG: inuse 2 memory 1664\n"), Some((1664, 2)));
        assert_eq!(memory("FRAG6: inuse 0 memory 0\n"), Some((0, 0)));
        assert_eq!((memory("TCP: inuse 3\n"), memory("FRAG: inuse")), (None, None));
    }

    #[test]
    fn counters_are_read_by_name() {
        let text = "Ip: Forwarding ReasmTimeout ReasmReqds ReasmOKs ReasmFails\nIp: 1 2 9 3 4\nIcmp: x\n";
        assert_eq!(counters4(text), Counters { requests: 9, oks: 3, fails: 4, timeouts: 2 });
        let text = "Ip6ReasmTimeout                 \t2\nIp6ReasmFails  7\nbad\n";
        assert_eq!(counters6(text), Counters { timeouts: 2, fails: 7, ..Counters::default() });
        assert_eq!(counters4(""), Counters::default());
    }
}
