//! Lines that wait for the answer to a question, with what comes for the same case meanwhile.
//!
//! Rule: nothing is lost by waiting: each line is printed in the end, with or without the answer. What comes for a case that
//! waits is added up to one line, or (where each packet is a line) kept apart with its packet, as far as there is room.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::aggregate::{Due, Mode, add};
use crate::decode::Dropped;
use crate::inquiry::Case;

/// Lines of one case that are kept apart, some 600 bytes each: more than the largest ring buffer holds.
const MOST_APART: usize = 65_536;

/// A line that waits.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) due: Due,
    /// Its packet, where each packet is a line; else that of the flow.
    pub(super) packet: Option<Box<Dropped>>,
}

/// The lines that wait, by case.
#[derive(Debug)]
pub(super) struct Waiting {
    mode: Mode,
    cases: HashMap<Case, Held>,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    lines: Vec<Line>,
    /// Being tried again: the first line that has to wait on brings the rest back.
    is_retried: bool,
}

impl Waiting {
    pub(super) fn new(mode: Mode) -> Self {
        Self { mode, cases: HashMap::new() }
    }

    /// The case of this line waits from now on, or goes on waiting.
    pub(super) fn begin(&mut self, due: &Due, packet: Option<&Dropped>) {
        let new = || Held { since: Instant::now(), lines: Vec::new(), is_retried: false };
        let case = Case::new(due.key, packet);
        let lines = self.cases.entry(case).or_insert_with(new);
        lines.is_retried = false;
        lines.push(due, packet, self.mode);
    }

    /// Takes a line whose case waits; false if it does not.
    pub(super) fn add(&mut self, due: &Due, packet: Option<&Dropped>) -> bool {
        if self.cases.is_empty() {
            return false;
        }
        let case = Case::new(due.key, packet);
        let Some(lines) = self.cases.get_mut(&case).filter(|lines| !lines.is_retried) else { return false };
        lines.push(due, packet, self.mode);
        true
    }

    /// Takes the lines of a case, which waits no longer.
    pub(super) fn take(&mut self, case: &Case) -> Vec<Line> {
        self.cases.remove(case).map(|case| case.lines).unwrap_or_default()
    }

    /// Takes the lines that have waited for this long.
    pub(super) fn take_older(&mut self, patience: Duration) -> Vec<Line> {
        let older = self.cases.extract_if(|_, flow| flow.since.elapsed() >= patience);
        older.flat_map(|(_, flow)| flow.lines).collect()
    }

    /// Takes the lines of these cases, which may come back to wait on.
    pub(super) fn retry(&mut self, mut wanted: impl FnMut(&Case) -> bool) -> Vec<Line> {
        self.cases.retain(|_, flow| !flow.is_retried);
        let mut lines = Vec::new();
        for (_, flow) in self.cases.iter_mut().filter(|(key, _)| wanted(key)) {
            flow.is_retried = true;
            lines.append(&mut flow.lines);
        }
        lines
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cases.values().all(|flow| flow.lines.is_empty())
    }
}

impl Held {
    fn push(&mut self, due: &Due, packet: Option<&Dropped>, mode: Mode) {
        let is_added = mode == Mode::Flows || self.lines.len() >= MOST_APART;
        match self.lines.last_mut() {
            Some(last) if is_added => last.due.since_last = add(last.due.since_last, due.since_last),
            _ => {
                let packet = packet.filter(|_| mode == Mode::Every).cloned().map(Box::new);
                self.lines.push(Line { due: *due, packet });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{FlowKey, Tally};

    use super::*;

    fn due(time: Option<u64>) -> Due {
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
        Due { key, since_last: Tally { packets: 1, bytes: 60 }, time }
    }

    #[test]
    fn what_comes_meanwhile_is_added_up_or_kept_apart() {
        for (mode, lines, packets) in [(Mode::Flows, 1, 2), (Mode::Every, 2, 1)] {
            let mut waiting = Waiting::new(mode);
            assert!(!waiting.add(&due(Some(7)), None), "nothing waits");
            waiting.begin(&due(Some(7)), None);
            assert!(waiting.add(&due(None), None));
            assert!(waiting.take_older(Duration::from_hours(1)).is_empty());
            let taken = waiting.take(&Case::new(due(None).key, None));
            assert_eq!((taken.len(), taken[0].due.since_last.packets, taken[0].due.time), (lines, packets, Some(7)));
            assert!(waiting.is_empty() && waiting.take_older(Duration::ZERO).is_empty());
        }
    }

    #[test]
    fn a_line_that_is_tried_again_keeps_its_age() {
        let mut waiting = Waiting::new(Mode::Flows);
        waiting.begin(&due(Some(7)), None);
        let since = waiting.cases[&Case::new(due(None).key, None)].since;
        assert_eq!(waiting.retry(|_| true).len(), 1);
        assert!(!waiting.add(&due(None), None), "it is being tried");
        waiting.begin(&due(Some(7)), None);
        assert_eq!(waiting.cases[&Case::new(due(None).key, None)].since, since);
        assert!(waiting.add(&due(None), None), "it waits again");
    }
}
