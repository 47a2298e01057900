//! A source that could not be translated: which rule wanted it, what it may become, and what of that is in use.
//!
//! Rule: the packet is dropped with the last address and port that were tried (`nf_nat_l4proto_unique_tuple`,
//! `net/netfilter/nf_nat_core.c`, 6.18), so the address is read off the packet, never guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use tracer_netfilter::conntrack::{self, Answers};
use tracer_netfilter::packet::{Connection, Known, Packet, Tuple};
use tracer_netfilter::translation::SourceRange;

use super::PATIENCE;

/// Entries looked at in one look: two for each port.
const MOST_ENTRIES: u32 = 131_072;
/// Ports that are looked for one by one, each some microseconds.
const FEW: u16 = 1024;
/// Sources counted.
const MOST_SOURCES: usize = 4096;
/// Sources told.
const TOLD: usize = 3;

/// First and last port.
pub type Ports = (u16, u16);

/// A rule that translates the packet's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translator {
    /// `iptables-nft nat/POSTROUTING rule 1`.
    pub place: String,
    pub text: String,
    pub range: SourceRange,
}

/// A new connection that found its place taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    pub protocol: u8,
    /// Where it comes from.
    pub original: (IpAddr, u16),
    /// Where it goes to, as the answers will come from there.
    pub remote: (IpAddr, u16),
    /// What its source was to become, last tried; `None` if it is not translated: then two packets of it raced.
    pub becomes: Option<Becomes>,
}

/// What a source was to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Becomes {
    pub address: IpAddr,
    /// What its port may be, and whether a rule says so.
    pub ports: Ports,
    pub is_given: bool,
    /// Rules that translate such a packet, as far as they are known: more than one if it can't be told which did.
    pub rules: Vec<Translator>,
    pub used: Result<Arc<Used>, String>,
}

/// What is in use of a range of ports towards one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub ports: u32,
    /// All entries were looked at.
    pub is_whole: bool,
    /// No answer was seen.
    pub unreplied: u32,
    /// Sources with the most of them, the most first.
    pub users: Vec<(IpAddr, u32)>,
}

impl Translation {
    /// `None` if the connection was not read.
    pub(super) fn of(
        packet: &Packet,
        rules: impl FnOnce() -> Vec<Translator>,
        used: impl FnOnce(Answers, Ports) -> Result<Arc<Used>, String>,
    ) -> Option<Self> {
        let Known::Is(Connection { original: Some(original), reply: Some(reply), .. }) = &packet.connection else {
            return None;
        };
        let is_icmp = matches!(original.protocol, 1 | 58);
        let is_translated = (original.source, original.source_port) != (reply.destination, reply.destination_port);
        let remote = (reply.source, if is_icmp { 0 } else { reply.source_port });
        let becomes = is_translated.then(|| {
            let rules = rules();
            let given = match &*rules {
                [only] => only.range.ports,
                _ => None,
            };
            let ports = given.unwrap_or_else(|| default_ports(original.source_port, is_icmp));
            let answers = Answers { protocol: original.protocol, from: remote, to: reply.destination };
            let ports = (ports.0.min(ports.1), ports.0.max(ports.1));
            Becomes { address: reply.destination, ports, is_given: given.is_some(), rules, used: used(answers, ports) }
        });
        Some(Self { protocol: original.protocol, original: (original.source, original.source_port), remote, becomes })
    }
}

/// What the kernel takes where no rule says: ports stay in the class of the one that the source had.
const fn default_ports(port: u16, is_icmp: bool) -> Ports {
    match port {
        _ if is_icmp => (0, u16::MAX),
        0..512 => (1, 511),
        512..1024 => (600, 1023),
        1024.. => (1024, u16::MAX),
    }
}

/// Looks for what is in use of `range`, in the calling thread's namespace: port by port if they are few, else through the
/// list, of which the kernel passes over the other entries.
pub(super) fn used(answers: &Answers, range: Ports) -> Result<Used, String> {
    let mut count = Count { taken: vec![0; 1024], ..Count::default() };
    let is_icmp = matches!(answers.protocol, 1 | 58);
    if !is_icmp && range.1.saturating_sub(range.0) < FEW {
        let tuples = (range.0..=range.1).map(|port| answer(answers, port));
        conntrack::find_each(tuples, |entry| count.add(entry, range)).map_err(|error| error.to_string())?;
        return Ok(Used { is_whole: true, ..count.used() });
    }
    let each = |entry: &conntrack::Entry| {
        count.add(entry, range);
        if count.seen < MOST_ENTRIES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let walked = conntrack::walk_answers(answers, 2 * PATIENCE, each);
    let is_whole = walked.map_err(|error| error.to_string())?;
    Ok(Used { is_whole, ..count.used() })
}

/// An answer to one port.
const fn answer(answers: &Answers, port: u16) -> Tuple {
    let Answers { protocol, from: (source, source_port), to: destination } = *answers;
    Tuple { source, destination, source_port, destination_port: port, protocol }
}

#[derive(Debug, Default)]
struct Count {
    seen: u32,
    unreplied: u32,
    /// A bit for each port.
    taken: Vec<u64>,
    users: HashMap<IpAddr, u32>,
}

impl Count {
    fn add(&mut self, entry: &conntrack::Entry, range: Ports) {
        self.seen += 1;
        let port = entry.reply.destination_port;
        if !(range.0..=range.1).contains(&port) {
            return;
        }
        if let Some(word) = self.taken.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
        self.unreplied += u32::from(!entry.is_replied());
        if self.users.len() < MOST_SOURCES || self.users.contains_key(&entry.original.source) {
            *self.users.entry(entry.original.source).or_default() += 1;
        }
    }

    fn used(self) -> Used {
        let mut users: Vec<_> = self.users.into_iter().collect();
        users.sort_by_key(|(address, entries)| (u32::MAX - entries, *address));
        users.truncate(TOLD);
        let ports = self.taken.iter().map(|word| word.count_ones()).sum();
        Used { ports, is_whole: false, unreplied: self.unreplied, users }
    }
}

#[cfg(test)]
mod tests {
    use tracer_netfilter::conntrack::Entry;
    use tracer_netfilter::packet::ConnectionState;

    use super::*;

    fn tuple(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Tuple {
        Tuple {
            source: source.0.into(),
            destination: destination.0.into(),
            source_port: source.1,
            destination_port: destination.1,
            protocol: 17,
        }
    }

    fn packet(becomes: ([u8; 4], u16)) -> Packet {
        let mut packet = Packet::from_network(0x0800, &[]);
        packet.connection = Known::Is(Connection {
            state: ConnectionState::New,
            is_reply: false,
            mark: None,
            status: None,
            original: Some(tuple(([10, 0, 0, 1], 700), ([10, 0, 0, 2], 53))),
            reply: Some(tuple(([10, 0, 0, 2], 53), becomes)),
        });
        packet
    }

    fn of(packet: &Packet, rules: Vec<Translator>) -> Translation {
        Translation::of(packet, || rules, |_, _| Ok(Arc::default())).unwrap()
    }

    #[test]
    fn ports_are_the_rules_or_the_kernels() {
        let becomes = of(&packet(([10, 9, 0, 1], 701)), Vec::new()).becomes.unwrap();
        assert_eq!((becomes.ports, becomes.is_given), ((600, 1023), false));
        let range = SourceRange { ports: Some((40001, 40000)), ..SourceRange::default() };
        let rule = Translator { place: String::new(), text: String::new(), range };
        let becomes = of(&packet(([10, 9, 0, 1], 701)), vec![rule.clone()]).becomes.unwrap();
        assert_eq!((becomes.ports, becomes.is_given), ((40000, 40001), true), "turned round, as the kernel does");
        let either = of(&packet(([10, 9, 0, 1], 701)), vec![rule.clone(), rule]).becomes.unwrap();
        assert!(!either.is_given, "which of them is not known");
        assert_eq!(default_ports(80, false), (1, 511));
        assert_eq!(default_ports(4000, false), (1024, 65535));
        assert_eq!(default_ports(80, true), (0, 65535));
    }

    #[test]
    fn a_source_that_stays_is_no_translation() {
        assert_eq!(of(&packet(([10, 0, 0, 1], 700)), Vec::new()).becomes, None);
    }

    #[test]
    fn each_port_counts_once_and_only_in_the_range() {
        let mut count = Count { taken: vec![0; 1024], ..Count::default() };
        for (source, port) in [(1, 40000), (1, 40000), (1, 40001), (2, 40002), (3, 65535), (3, 0)] {
            let reply = tuple(([10, 0, 0, 2], 53), ([10, 9, 0, 1], port));
            let original = tuple(([10, 0, 0, source], 700), ([10, 0, 0, 2], 53));
            count.add(&Entry { original, reply, status: 0, timeout: None, tcp: None }, (40000, 40002));
        }
        let used = count.used();
        assert_eq!((used.ports, used.unreplied, &used.users[0]), (3, 4, &([10, 0, 0, 1].into(), 3)));
    }
}
