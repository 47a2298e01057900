//! What the counters of a namespace were at the last look, and which have risen since.
//!
//! Rule: each rise is told once. A counter that went back is of another namespace or device, or was reset: what it shows is the
//! new baseline. One that did not go back rose since the last look, whoever has the number now: a namespace or device
//! begins with 0.

use std::collections::HashMap;

use super::ethtool::{Driver, Place};
use super::listener::Known;
use super::look::{Card, Look, row};
use super::table::{CARDS, Class, DROPS, OVERFLOWS, PROTOCOLS};
use super::{Device, What, table};

#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    protocols: [Option<u64>; PROTOCOLS.len()],
    other_refusals: u64,
    half_open: u64,
    listeners: Known,
    cards: HashMap<u32, Card>,
}

/// A counter that rose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) before: u64,
    pub(super) delta: u64,
    pub(super) what: What,
}

impl Baseline {
    /// From the first look.
    pub(super) fn new(look: Look) -> Self {
        let mut baseline = Self::default();
        baseline.set(look);
        baseline
    }

    /// `ListenDrops` as it was.
    pub(super) fn refused(&self) -> u64 {
        self.protocols.get(DROPS).copied().flatten().unwrap_or_default()
    }

    /// Where the counters of a card stand, if its driver has as many as before.
    pub(super) fn places(&self, index: u32, driver: &Driver) -> Option<Vec<Place>> {
        self.cards.get(&index).filter(|card| card.driver == *driver).map(|card| card.places.clone())
    }

    /// Takes the next look; gives what has risen since the last one.
    pub(super) fn take(&mut self, look: Look) -> Vec<Change> {
        let went_back = self.protocols.iter().zip(&look.protocols).any(|(old, new)| new < old && new.is_some());
        if went_back {
            *self = Self::new(look);
            return Vec::new();
        }
        let mut changes = self.protocols(&look);
        changes.extend(look.cards.iter().flat_map(|card| self.card(card)));
        self.set(look);
        changes
    }

    fn set(&mut self, look: Look) {
        for (old, new) in self.protocols.iter_mut().zip(look.protocols) {
            *old = new.or(*old);
        }
        // A refusal between two readings may have looked like another sort: it is told once.
        self.other_refusals = self.other_refusals.max(look.other_refusals);
        self.half_open = self.half_open.max(look.half_open);
        if let Some(reading) = &look.listeners {
            self.listeners.keep(reading);
        }
        // Cards that could not be read this time keep their baseline.
        if look.cards.is_empty() {
            return;
        }
        self.cards = look.cards.into_iter().map(|card| (card.index, card)).collect();
    }

    fn protocols(&self, look: &Look) -> Vec<Change> {
        (0..PROTOCOLS.len()).filter_map(|at| self.protocol(at, look)).collect()
    }

    fn protocol(&self, at: usize, look: &Look) -> Option<Change> {
        let protocol = PROTOCOLS.get(at)?;
        let (before, now) = match at {
            DROPS => (self.other_refusals, look.other_refusals),
            _ => ((*self.protocols.get(at)?)?, (*look.protocols.get(at)?)?),
        };
        let delta = now.checked_sub(before).filter(|delta| *delta > 0)?;
        let what = if matches!(at, OVERFLOWS | DROPS) {
            let half_open = look.half_open.saturating_sub(self.half_open).min(delta);
            let reading = look.listeners.clone().unwrap_or_default();
            What::Listen(protocol, self.listeners.compare(&reading, half_open, at == OVERFLOWS))
        } else {
            What::Protocol(protocol)
        };
        Some(Change { name: protocol.full_name(), before, delta, what })
    }

    /// What rose of a card: one change for each class, with the others of the class beside it.
    fn card(&self, card: &Card) -> Vec<Change> {
        let Some(old) = self.cards.get(&card.index).filter(|old| old.name == card.name) else { return Vec::new() };
        let mut rises = Vec::new();
        for (name, now) in &card.counters {
            // A counter that the driver did not have before has its baseline now.
            let Some(before) = old.counters.get(name) else { continue };
            if now < before {
                return Vec::new();
            }
            if let (true, Some(row)) = (now > before, row(name)) {
                rises.push((row, name, *before, now - before));
            }
        }
        rises.sort_by_key(|(row, name, ..)| rank(row, name));
        let mut changes: Vec<Change> = Vec::new();
        for (row, name, before, delta) in rises {
            let same = changes.iter_mut().find_map(|change| match &mut change.what {
                What::Device(device) if is_alike(device.card, row) => Some(device),
                _ => None,
            });
            if let Some(device) = same {
                device.alike.push((name.clone(), delta));
                continue;
            }
            let device = Device {
                index: card.index,
                name: card.name.clone(),
                driver: card.driver.name.clone(),
                card: row,
                alike: Vec::new(),
            };
            changes.push(Change { name: name.clone(), before, delta, what: What::Device(device) });
        }
        changes
    }
}

/// The more exact counters of a class stand first in the table.
fn rank(row: &table::Card, name: &str) -> (usize, usize) {
    let at = CARDS.iter().position(|card| card == row).unwrap_or(usize::MAX);
    (at, row.names.iter().position(|known| *known == name).unwrap_or(usize::MAX))
}

/// Whether two counters count the same packets.
fn is_alike(first: &table::Card, second: &table::Card) -> bool {
    match (first.class, second.class) {
        (Class::Allowance | Class::Xdp, _) => first == second,
        // The sum of all errors of a direction.
        (Class::Ring, _) if second.names == ["rx_errors"] => true,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::super::listener::tests::socket;
    use super::super::listener::{Listening, Reading};
    use super::*;

    fn look(overflows: u64, other: u64, memory: u64) -> Look {
        let mut look = Look { other_refusals: other, ..Look::default() };
        look.protocols[OVERFLOWS] = Some(overflows);
        look.protocols[DROPS] = Some(overflows + other);
        look.protocols[2] = Some(memory);
        look
    }

    fn told(changes: &[Change]) -> Vec<(&str, u64, u64)> {
        changes.iter().map(|change| (change.name.as_str(), change.before, change.delta)).collect()
    }

    #[test]
    fn the_first_look_is_the_baseline_and_each_rise_is_told_once() {
        let mut baseline = Baseline::new(look(7, 2, 0));
        assert_eq!(baseline.refused(), 9);
        assert_eq!(told(&baseline.take(look(7, 2, 0))), []);
        assert_eq!(
            told(&baseline.take(look(9, 2, 1))),
            [("TcpExtListenOverflows", 7, 2), ("TcpExtTCPAbortOnMemory", 0, 1)]
        );
        assert_eq!(told(&baseline.take(look(9, 5, 1))), [("TcpExtListenDrops", 2, 3)]);
        assert_eq!(told(&baseline.take(look(9, 5, 1))), []);
    }

    #[test]
    fn a_counter_that_went_back_is_a_new_baseline() {
        let mut baseline = Baseline::new(look(7, 0, 5));
        assert_eq!(told(&baseline.take(look(9, 0, 4))), [], "another namespace has the number");
        assert_eq!(told(&baseline.take(look(10, 0, 4))), [("TcpExtListenOverflows", 9, 1)]);
        let mut gone = look(10, 0, 4);
        gone.protocols = [None; PROTOCOLS.len()];
        assert_eq!(told(&baseline.take(gone)), [], "it could not be read");
        assert_eq!(told(&baseline.take(look(11, 0, 4))), [("TcpExtListenOverflows", 10, 1)]);
    }

    #[test]
    fn a_refusal_between_two_readings_is_not_told_twice() {
        let mut baseline = Baseline::new(look(0, 0, 0));
        assert_eq!(told(&baseline.take(look(0, 1, 0))), [("TcpExtListenDrops", 0, 1)]);
        assert_eq!(told(&baseline.take(look(1, 0, 0))), [("TcpExtListenOverflows", 0, 1)]);
        assert_eq!(told(&baseline.take(look(1, 1, 0))), []);
    }

    #[test]
    fn the_listener_is_compared_with_its_own_last_reading() {
        let with = |drops, mut look: Look| {
            look.listeners = Some(Reading { sockets: vec![socket(1, 80, 1, 0, drops)], ..Reading::default() });
            look
        };
        let mut baseline = Baseline::new(with(3, look(3, 0, 0)));
        let changes = baseline.take(with(5, look(5, 0, 0)));
        let [Change { what: What::Listen(_, Listening { suspects, .. }), .. }] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!((suspects[0].drops, suspects[0].is_full()), (Some(2), true));
    }

    fn card(name: &str, counters: &[(&str, u64)]) -> Look {
        let counters = counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Look { cards: vec![Card { index: 2, name: name.to_owned(), counters, ..Card::default() }], ..Look::default() }
    }

    #[test]
    fn counters_of_the_same_packets_are_one_change() {
        let mut baseline =
            Baseline::new(card("eth0", &[("rx_missed_errors", 1), ("rx_errors", 1), ("rx_no_buffer_count", 5)]));
        let now = [("rx_missed_errors", 4), ("rx_errors", 4), ("rx_no_buffer_count", 8), ("rx_discards_phy", 9)];
        let changes = baseline.take(card("eth0", &now));
        assert_eq!(told(&changes), [("rx_missed_errors", 1, 3)], "what appears has its baseline first");
        let What::Device(device) = &changes[0].what else { panic!("{changes:?}") };
        assert_eq!(device.alike, [("rx_no_buffer_count".to_owned(), 3), ("rx_errors".to_owned(), 3)]);
        let allowances = [("bw_in_allowance_exceeded", 0), ("pps_allowance_exceeded", 0)];
        let mut baseline = Baseline::new(card("eth0", &allowances));
        let now = allowances.map(|(name, _)| (name, 2));
        assert_eq!(baseline.take(card("eth0", &now)).len(), 2, "each limit is of its own");
    }

    #[test]
    fn a_device_that_was_reset_or_replaced_is_a_new_baseline() {
        let at = |name, missed, crc| card(name, &[("rx_missed_errors", missed), ("rx_crc_errors", crc)]);
        let mut baseline = Baseline::new(at("eth0", 9, 9));
        assert_eq!(told(&baseline.take(at("eth0", 10, 0))), [], "reset, or 32 bits that began anew");
        assert_eq!(told(&baseline.take(at("eth1", 20, 20))), [], "another device with the number");
        assert_eq!(told(&baseline.take(at("eth1", 20, 21))), [("rx_crc_errors", 20, 1)]);
    }
}
