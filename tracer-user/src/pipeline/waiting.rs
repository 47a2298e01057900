//! Lines that wait for the answer to a question, with what comes for their flows meanwhile.
//!
//! Rule: nothing is lost by waiting: what comes is added up, and each line is printed in the end, with or without the
//! answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracer_common::FlowKey;

use crate::aggregate::{Due, add};

/// The lines that wait, by flow.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: HashMap<FlowKey, (Due, Instant)>,
    /// Since when lines wait that are being tried again.
    retried: HashMap<FlowKey, Instant>,
}

impl Waiting {
    pub(super) fn begin(&mut self, due: &Due) {
        let since = self.retried.remove(&due.key).unwrap_or_else(Instant::now);
        self.lines.insert(due.key, (*due, since));
    }

    /// Adds what comes for a flow whose line waits; false if none does.
    pub(super) fn add(&mut self, due: &Due) -> bool {
        let Some((line, _)) = self.lines.get_mut(&due.key) else { return false };
        line.since_last = add(line.since_last, due.since_last);
        true
    }

    /// Takes the line of a flow.
    pub(super) fn take(&mut self, flow: &FlowKey) -> Option<Due> {
        self.lines.remove(flow).map(|(line, _)| line)
    }

    /// Takes the lines that have waited for this long.
    pub(super) fn take_older(&mut self, patience: Duration) -> Vec<Due> {
        self.lines.extract_if(|_, (_, since)| since.elapsed() >= patience).map(|(_, (line, _))| line).collect()
    }

    /// Takes the lines of these flows, which may come back to wait on.
    pub(super) fn retry(&mut self, mut wanted: impl FnMut(&FlowKey) -> bool) -> Vec<Due> {
        self.retried.clear();
        let taken: Vec<(Due, Instant)> = self.lines.extract_if(|flow, _| wanted(flow)).map(|(_, line)| line).collect();
        self.retried.extend(taken.iter().map(|(due, since)| (due.key, *since)));
        taken.into_iter().map(|(due, _)| due).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::Tally;

    use super::*;

    #[test]
    fn what_comes_meanwhile_is_added_up() {
        let key = FlowKey {
            location: 1,
            netns: 2,
            reason: 3,
            ifindex: 4,
            port: 5,
            protocol: 6,
            family: 4,
            source: [0; 4],
            destination: [0; 4],
        };
        let due = Due { key, since_last: Tally { packets: 1, bytes: 60 }, time: Some(7) };
        let mut waiting = Waiting::default();
        assert!(!waiting.add(&due));
        waiting.begin(&due);
        assert!(waiting.add(&Due { time: None, ..due }));
        assert!(waiting.take_older(Duration::from_hours(1)).is_empty());
        let line = waiting.take(&key).unwrap();
        assert_eq!((line.since_last.packets, line.since_last.bytes, line.time), (2, 120, Some(7)));
        assert!(waiting.is_empty() && waiting.take_older(Duration::ZERO).is_empty());
    }
}
