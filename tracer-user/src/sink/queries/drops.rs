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

/// What events call the host's namespace.
const HOST: &str = "host";

#[derive(Debug)]
pub(super) struct HeldDrops {
    held: Vec<Held>,
    /// Drops of the host's namespace have lines of their own. Without, they only tell what became of a query: of the pods that were
    /// not chosen too they are there.
    with_hosts: bool,
}

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
    pub(super) fn new(with_hosts: bool) -> Self {
        Self { held: Vec::new(), with_hosts }
    }

    /// Takes a drop, if it is of a DNS packet; gives it back if there is no room.
    pub(super) fn add(&mut self, line: &Line<'_>) -> Option<Held> {
        if !is_dns(line.drop) || (!self.with_hosts && line.drop.netns.name.as_deref() == Some(HOST)) {
            return None;
        }
        let held = Held { since: Instant::now(), key: *line.key, drop: line.drop.clone(), total: line.total };
        if self.held.len() >= MOST {
            return Some(held);
        }
        self.held.push(held);
        None
    }

    /// Forgets what this line tells of.
    pub(super) fn told(&mut self, dns: &Dns) {
        let Some(explanation) = &dns.explanation else { return };
        let tells = |text: &String, drop: &Drop| text.ends_with(&drop.explanation.summary);
        self.held.retain(|held| {
            let texts = explanation.evidence.iter().chain([&explanation.summary]);
            !texts.into_iter().any(|text| tells(text, &held.drop))
        });
    }

    /// Takes out what no line will tell of any more.
    pub(super) fn due(&mut self, is_end: bool) -> Vec<Held> {
        self.held.extract_if(.., |held| is_end || held.since.elapsed() >= PATIENCE).collect()
    }
}

fn is_dns(drop: &Drop) -> bool {
    let packet = &drop.packet;
    matches!(packet.protocol.as_str(), "udp" | "tcp")
        && (packet.source.port == Some(PORT) || packet.destination.port == Some(PORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Confidence, Explanation};

    const KEY: FlowKey = FlowKey {
        location: 1,
        netns: 7,
        reason: 1,
        ifindex: 2,
        port: PORT,
        protocol: 17,
        family: 4,
        source: [0; 4],
        destination: [0; 4],
    };

    /// How many of `count` drops at once have their line now, and at the end.
    fn lines(with_hosts: bool, netns: &str, port: u16, count: usize) -> (usize, usize) {
        let said = Explanation::new(Cause::NetfilterRule, Confidence::Certain, "a rule");
        let mut drop = Drop::between("10.0.0.7:40000", &format!("10.96.0.10:{port}"), said);
        drop.packet.protocol = "udp".into();
        drop.netns.name = Some(netns.into());
        let mut drops = HeldDrops::new(with_hosts);
        let line = Line { key: &KEY, drop: &drop, total: Tally::default() };
        let now = (0..count).filter(|_| drops.add(&line).is_some()).count();
        assert!(drops.due(false).is_empty());
        (now, drops.due(true).len())
    }

    #[test]
    fn drops_of_dns_wait_for_their_query_and_none_is_lost() {
        assert_eq!(lines(true, "node", PORT, 2), (0, 2));
        assert_eq!(lines(true, "node", 80, 2), (0, 0));
        assert_eq!(lines(true, "node", PORT, MOST + 3), (3, MOST));
    }

    #[test]
    fn those_of_a_host_that_was_not_chosen_have_no_line_of_their_own() {
        assert_eq!((lines(true, HOST, PORT, 1), lines(false, HOST, PORT, 1)), ((0, 1), (0, 0)));
        assert_eq!(lines(false, "node", PORT, 1), (0, 1));
    }
}
