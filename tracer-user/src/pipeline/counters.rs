//! Counters that rose, told with the counts of each interval.
//!
//! Rule: a packet is told once: what has drop lines is taken off what its counter rose by.

use std::collections::HashMap;
use std::mem::take;

use tracer_common::TotalKey;

use crate::aggregate::PlaceTally;
use crate::counter::{Protocol, Rise, What};
use crate::event::{Counter, Interface, Netns};
use crate::explain::{self, counter::Beside};

use super::PipelineError;
use super::describe::rfc3339;
use super::stages::Stages;

/// Rises that wait, and what was taken off so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    waiting: Vec<Rise>,
    /// Packets with drop lines that were taken off a counter, by its namespace and name.
    taken_off: HashMap<(u32, String), u64>,
}

impl Counters {
    pub(super) fn add(&mut self, rises: impl IntoIterator<Item = Rise>) {
        self.waiting.extend(rises);
    }

    /// Takes off what has drop lines, and was not taken off before; gives how much that was.
    fn take_off(&mut self, rise: &mut Rise, shown: u64) -> u64 {
        if shown == 0 {
            return 0;
        }
        let before = self.taken_off.entry((rise.netns.inode, rise.name.clone())).or_default();
        let off = shown.saturating_sub(*before).min(rise.delta);
        *before += off;
        rise.delta -= off;
        off
    }
}

impl Stages {
    /// Tells the counters that rose. The drops until now must have been counted.
    pub(super) fn print_counters(&mut self) -> Result<(), PipelineError> {
        let rises = take(&mut self.counters.waiting);
        if rises.is_empty() {
            return Ok(());
        }
        let totals = self.totals.largest_first();
        for mut rise in rises {
            let places = places(&rise);
            let shown = self.shown(&totals, rise.netns.inode, places);
            let shown = self.counters.take_off(&mut rise, shown);
            if rise.delta == 0 || !self.concerns(rise.netns.inode) || !self.is_of_pods(rise.netns.inode) {
                continue;
            }
            let entry = rise.netns.entry_command();
            let shown_is_unknown = !self.describer.knows_reasons(places.iter().map(|(reason, _)| *reason));
            let beside = Beside { netns_entry: entry.as_deref(), shown, shown_is_unknown };
            let mut counter = event(&rise, &beside);
            self.describer.name_counter(&mut counter);
            self.sink.counter(&counter).map_err(PipelineError::Sink)?;
        }
        self.flush()
    }

    /// Whether a counter of this namespace is of the pods that the run is about: it has no addresses.
    fn is_of_pods(&self, netns: u32) -> bool {
        self.pods.as_ref().is_none_or(|pods| pods.has_netns(netns))
    }

    /// Packets of a namespace that were dropped at these places: reason and function, either of which may be any.
    fn shown(&self, totals: &[(TotalKey, PlaceTally)], netns: u32, places: &[(&str, &str)]) -> u64 {
        if places.is_empty() {
            return 0;
        }
        let own = totals.iter().filter(|(key, _)| key.netns == netns);
        let own = own.map(|(key, tally)| self.describer.place_total(key, tally));
        let fits = |is: &str, wanted: &str| wanted.is_empty() || wanted == is;
        own.filter(|total| {
            let (reason, symbol) = (&total.reason.name, &total.location.symbol);
            places.iter().any(|place| fits(reason, place.0) && fits(symbol, place.1))
        })
        .map(|total| total.packets)
        .sum()
    }
}

fn event(rise: &Rise, beside: &Beside<'_>) -> Counter {
    let interface = match &rise.what {
        What::Device(device) => Some(Interface { index: device.index, name: Some(device.name.clone()) }),
        What::Listen(..) | What::Protocol(_) => None,
    };
    Counter {
        time: rfc3339(rise.read),
        name: rise.name.clone(),
        delta: rise.delta,
        netns: Netns { inode: rise.netns.inode, name: Some(rise.netns.name.to_string()), pod: None },
        interface,
        explanation: explain::counter::explain(rise, beside),
    }
}

/// Where drops raise the counter too.
fn places(rise: &Rise) -> &'static [(&'static str, &'static str)] {
    match &rise.what {
        What::Listen(Protocol { shown, .. }, _) | What::Protocol(Protocol { shown, .. }) => shown,
        What::Device(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::counter::table::PROTOCOLS;
    use crate::host::{self, NetnsName};

    #[test]
    fn what_has_drop_lines_is_taken_off_once() {
        let netns = host::Netns { inode: 7, name: NetnsName::Host, doors: Vec::new() };
        let what = What::Protocol(&PROTOCOLS[0]);
        let rise = Rise { read: SystemTime::UNIX_EPOCH, netns, name: "n".into(), before: 0, delta: 5, what };
        let mut counters = Counters::default();
        let mut take_off = |delta, shown| {
            let mut rise = Rise { delta, ..rise.clone() };
            (counters.take_off(&mut rise, shown), rise.delta)
        };
        assert_eq!(take_off(5, 2), (2, 3));
        assert_eq!(take_off(5, 2), (0, 5), "the same two");
        assert_eq!(take_off(1, 9), (1, 0), "more have lines than it rose by: they were counted a moment later");
        assert_eq!(take_off(9, 9), (6, 3));
    }
}
