//! One look at the counters of the calling thread's namespace.

use std::collections::BTreeMap;
use std::fs;

use super::ethtool::{Driver, Ethtool, Place, without_queue};
use super::listener::{self, Reading};
use super::table::{self, DROPS, OVERFLOWS, PROTOCOLS};
use super::{Scope, link, snmp};

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) scope: &'a Scope,
    /// Also what is told with `--all` only.
    pub(super) all: bool,
    /// Whether the namespace may have network cards.
    pub(super) cards: bool,
    /// `ListenDrops` at the last look.
    pub(super) refused: u64,
}

/// The counters of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// In the order of the table; `None` where this kernel has none, or it is not wanted.
    pub(super) protocols: [Option<u64>; PROTOCOLS.len()],
    /// Refusals that were no full accept queue, ever.
    pub(super) other_refusals: u64,
    /// `TCPReqQFullDrop`.
    pub(super) half_open: u64,
    /// Where refusals were counted since the last look.
    pub(super) listeners: Option<Reading>,
    pub(super) cards: Vec<Card>,
}

/// A network card with the counters that the table knows, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) driver: Driver,
    pub(super) places: Vec<Place>,
    pub(super) counters: BTreeMap<String, u64>,
}

/// Looks at the calling thread's namespace. `places` are those of a card's counters that are known already.
pub(super) fn look(wanted: Wanted<'_>, places: impl Fn(u32, &Driver) -> Option<Vec<Place>>) -> Look {
    let mut look = Look::default();
    if wanted.scope.has_protocols() {
        protocols(&mut look, wanted);
    }
    if wanted.cards {
        look.cards = cards(wanted.scope, places);
    }
    look
}

fn protocols(look: &mut Look, wanted: Wanted<'_>) {
    let text = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let netstat = text("netstat");
    let snmp = text("snmp");
    let snmp6 = if wanted.all { text("snmp6") } else { String::new() };
    for (protocol, value) in PROTOCOLS.iter().zip(&mut look.protocols) {
        if protocol.noise.is_some() && !wanted.all {
            continue;
        }
        *value = match protocol.group {
            "TcpExt" => snmp::paired(&netstat, protocol.group, protocol.name),
            "Ip6" => snmp::single(&snmp6, &protocol.full_name()),
            group => snmp::paired(&snmp, group, protocol.name),
        };
    }
    let others = |values: (Option<u64>, Option<u64>)| {
        values.0.zip(values.1).map_or(0, |(overflows, refused)| refused.saturating_sub(overflows))
    };
    let refused = look.protocols.get(DROPS).copied().flatten().unwrap_or_default();
    look.other_refusals = others((look.protocols.get(OVERFLOWS).copied().flatten(), Some(refused)));
    look.half_open = snmp::paired(&netstat, "TcpExt", "TCPReqQFullDrop").unwrap_or_default();
    if refused > wanted.refused {
        look.listeners = Some(listener::read());
        // The two counters were read one after the other: a refusal in between would look like another sort.
        let again = text("netstat");
        let value = |name| snmp::paired(&again, "TcpExt", name);
        look.other_refusals = look.other_refusals.min(others((value("ListenOverflows"), value("ListenDrops"))));
    }
}

fn cards(scope: &Scope, places: impl Fn(u32, &Driver) -> Option<Vec<Place>>) -> Vec<Card> {
    let Ok(mut found) = link::cards() else { return Vec::new() };
    found.retain(|card| scope.has_device(&card.name));
    if found.is_empty() {
        return Vec::new();
    }
    let ethtool = Ethtool::open().ok();
    let card = |card: link::Statistics| {
        let mut looked = Card { index: card.index, name: card.name, ..Card::default() };
        looked.counters = card.counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(ethtool) = &ethtool {
            // A driver that keeps none of its own, or refuses, has the kernel's counters only.
            looked.driver = ethtool.driver(&looked.name).unwrap_or_default();
            let named =
                places(looked.index, &looked.driver).map_or_else(|| ethtool.places(&looked.name, &looked.driver), Ok);
            looked.places = named.unwrap_or_default();
            if !looked.places.is_empty() {
                let own = ethtool.values(&looked.name, &looked.driver, &looked.places).unwrap_or_default();
                for (name, value) in own {
                    looked.counters.entry(name).or_insert(value);
                }
            }
        }
        looked
    };
    found.into_iter().map(card).collect()
}

/// The row of a counter of a card.
pub(super) fn row(name: &str) -> Option<&'static table::Card> {
    table::card(name).or_else(|| table::card(&without_queue(name).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_namespace_can_be_looked_at() {
        let wanted = Wanted { scope: &Scope::All, all: true, cards: true, refused: u64::MAX };
        let look = look(wanted, |_, _| None);
        assert!(look.protocols.iter().flatten().count() >= 4, "{look:?}");
        assert_eq!(look.listeners, None, "nothing was refused since");
        assert!(look.cards.iter().all(|card| card.counters.keys().all(|name| row(name).is_some())), "{look:?}");
        let few = Wanted { scope: &Scope::Interfaces(vec!["nosuch".into()]), ..wanted };
        assert_eq!(super::look(few, |_, _| None), Look::default());
    }
}
