//! Who fills the connection table, and with what.
//!
//! Rule: memory is bounded by [`MOST_SOURCES`], however many entries and sources there are. Entries lie in the table by a
//! hash, so that its beginning is a fair sample of the whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

use tracer_netfilter::conntrack::{self, Entry};

use super::{MOST_ENTRIES, PATIENCE};
use crate::node::sysctl;

/// Sources counted; one that has a part of the table worth telling is among the first so many.
const MOST_SOURCES: usize = 4096;
/// Services counted of one source.
const MOST_TARGETS: usize = 8;
/// Sources told.
const TOLD: usize = 3;

/// What the entries that were looked at have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Entries looked at.
    pub seen: u32,
    /// They are all that there are.
    pub is_whole: bool,
    /// No answer was seen.
    pub unreplied: u32,
    /// By protocol number, the most first.
    pub protocols: Vec<(u8, u32)>,
    /// The sources with the most entries, the most first.
    pub creators: Vec<Creator>,
    pub timeouts: Timeouts,
}

/// A source, as it was before any translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creator {
    pub address: IpAddr,
    pub entries: u32,
    pub unreplied: u32,
    /// What most of its entries are to.
    pub target: Option<Target>,
}

/// A service that a source connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub protocol: u8,
    /// `None` for protocols without ports.
    pub port: Option<u16>,
    /// The address, if it is only one.
    pub address: Option<IpAddr>,
    pub entries: u32,
}

/// How long entries live that see no more packets, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub udp: Option<u64>,
    pub tcp_established: Option<u64>,
}

impl Timeouts {
    fn read() -> Self {
        let seconds = |name: &str| {
            let text = sysctl::read(&format!("net/netfilter/nf_conntrack_{name}")).ok();
            text.and_then(|text| text.parse().ok())
        };
        Self { udp: seconds("udp_timeout"), tcp_established: seconds("tcp_timeout_established") }
    }
}

/// Looks into the table of the calling thread's namespace.
pub(super) fn read() -> Result<Table, String> {
    let mut count = Count::default();
    let each = |entry: &Entry| {
        count.add(entry);
        if count.seen < MOST_ENTRIES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let is_whole = conntrack::walk(PATIENCE, each).map_err(|error| error.to_string())?;
    Ok(Table { is_whole, timeouts: Timeouts::read(), ..count.table() })
}

#[derive(Debug, Default)]
struct Count {
    seen: u32,
    unreplied: u32,
    protocols: HashMap<u8, u32>,
    sources: HashMap<IpAddr, Source>,
}

#[derive(Debug, Default)]
struct Source {
    entries: u32,
    unreplied: u32,
    targets: Vec<Target>,
}

impl Count {
    fn add(&mut self, entry: &Entry) {
        let unreplied = u32::from(!entry.is_replied());
        self.seen += 1;
        self.unreplied += unreplied;
        *self.protocols.entry(entry.original.protocol).or_default() += 1;
        let address = entry.original.source;
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(&address) {
            return;
        }
        let source = self.sources.entry(address).or_default();
        source.entries += 1;
        source.unreplied += unreplied;
        source.add(entry);
    }

    fn table(self) -> Table {
        let mut protocols: Vec<_> = self.protocols.into_iter().collect();
        protocols.sort_by_key(|(protocol, entries)| (u32::MAX - entries, *protocol));
        let mut sources: Vec<_> = self.sources.into_iter().collect();
        sources.sort_by_key(|(address, source)| (u32::MAX - source.entries, *address));
        let creators = sources.into_iter().take(TOLD).map(|(address, source)| Creator {
            address,
            entries: source.entries,
            unreplied: source.unreplied,
            target: source.targets.into_iter().max_by_key(|target| target.entries),
        });
        let creators = creators.collect();
        Table { seen: self.seen, unreplied: self.unreplied, protocols, creators, ..Table::default() }
    }
}

impl Source {
    fn add(&mut self, entry: &Entry) {
        let to = &entry.original;
        let port = (!matches!(to.protocol, 1 | 58)).then_some(to.destination_port);
        let has_room = self.targets.len() < MOST_TARGETS;
        match self.targets.iter_mut().find(|it| (it.protocol, it.port) == (to.protocol, port)) {
            Some(target) => {
                target.entries += 1;
                target.address = target.address.filter(|address| *address == to.destination);
            }
            None if has_room => {
                self.targets.push(Target { protocol: to.protocol, port, address: Some(to.destination), entries: 1 });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_netfilter::packet::Tuple;

    use super::*;

    fn entry(source: [u8; 4], to: ([u8; 4], u16), status: u32) -> Entry {
        let original = Tuple {
            source: source.into(),
            destination: to.0.into(),
            source_port: 4000,
            destination_port: to.1,
            protocol: 17,
        };
        Entry { original, reply: original, status, timeout: None, tcp: None }
    }

    #[test]
    fn the_source_with_the_most_entries_is_told_with_its_service() {
        let mut count = Count::default();
        for host in 0..30 {
            count.add(&entry([10, 0, 0, 1], ([10, 1, 0, host % 3], 53), 0));
            count.add(&entry([10, 0, 0, host], ([10, 1, 0, 9], 80), 2));
        }
        let table = count.table();
        assert_eq!((table.seen, table.unreplied, &*table.protocols), (60, 30, &[(17, 60)][..]));
        let first = &table.creators[0];
        assert_eq!((first.address, first.entries, first.unreplied), ([10, 0, 0, 1].into(), 31, 30));
        let target = first.target.unwrap();
        assert_eq!((target.port, target.address, target.entries), (Some(53), None, 30), "to three addresses");
        assert_eq!(table.creators.len(), TOLD);
        assert_eq!(table.creators[1].target.unwrap().address, Some([10, 1, 0, 9].into()));
    }

    #[test]
    fn however_many_sources_there_are_few_are_kept() {
        let mut count = Count::default();
        for number in 0..100_000_u32 {
            count.add(&entry(number.to_be_bytes(), ([10, 1, 0, 9], number as u16), 0));
            count.add(&entry([1, 1, 1, 1], ([10, 1, 0, 9], number as u16), 0));
        }
        assert!(count.sources.len() <= MOST_SOURCES);
        assert!(count.sources.values().all(|source| source.targets.len() <= MOST_TARGETS));
        let table = count.table();
        assert_eq!((table.seen, table.creators[0].entries), (200_000, 100_000));
    }
}
