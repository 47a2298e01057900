//! Drops of DNS packets, held until it is known whether a query's line tells of them.
//!
//! A packet that is dropped before it gets to a device, as in a chain at the output hook, is seen by no device: then its drop
//! line is all that there is.

use std::time::{Duration, Instant};

use tracer_common::{FlowKey, Tally};

use crate::event::{Dns, Drop};
use crate::sink::Line;

/// Longer than a silent query is waited for.
const PATIENCE: Duration = Duration::from_secs(12);
/// Held at once, some KiB each; more have their line at once.
const MOST: usize = 512;
const PORT: u16 = 53;

#[derive(Debug, Default)]
pub(super) struct HeldDrops(Vec<Held>);

#[derive(Debug)]
pub(super) struct Held {
    since: Instant,
    key: FlowKey,
    pub(super) drop: Drop,
    total: Tally,
}

impl Held {
    pub(super) fn line(&self) -> Line<'_> {
        Line { key: &self.key, drop: &self.drop, total: self.total }
    }
}

impl HeldDrops {
    /// Takes a drop, if it is of a DNS packet.
    pub(super) fn add(&mut self, line: &Line<'_>) {
        if is_dns(line.drop) && self.0.len() < MOST {
            self.0.push(Held { since: Instant::now(), key: *line.key, drop: line.drop.clone(), total: line.total });
        }
    }

    /// Forgets what this line tells of.
    pub(super) fn told(&mut self, dns: &Dns) {
        let Some(explanation) = &dns.explanation else { return };
        let tells = |text: &String, drop: &Drop| text.ends_with(&drop.explanation.summary);
        self.0.retain(|held| {
            let texts = explanation.evidence.iter().chain([&explanation.summary]);
            !texts.into_iter().any(|text| tells(text, &held.drop))
        });
    }

    /// Takes out what no line will tell of any more.
    pub(super) fn due(&mut self, is_end: bool) -> Vec<Held> {
        self.0.extract_if(.., |held| is_end || held.since.elapsed() >= PATIENCE).collect()
    }
}

fn is_dns(drop: &Drop) -> bool {
    let packet = &drop.packet;
    matches!(packet.protocol.as_str(), "udp" | "tcp")
        && (packet.source.port == Some(PORT) || packet.destination.port == Some(PORT))
}
