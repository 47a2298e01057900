//! The flows that user space remembers: what was counted, what was printed, and the last packet seen of each.

use std::collections::HashMap;

use tracer_common::{FlowKey, Tally};

use super::{Due, add};
use crate::decode::Dropped;

/// Flows remembered at most: about 2.5 KiB each with their last packet and its explanation, so 10 MiB.
const MOST_FLOWS: usize = 4096;
/// Ticks after which a silent flow may be forgotten to make room.
const IDLE_TICKS: u64 = 2;

/// Whether single events are lines of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The first packet of a flow is a line at once; the rest is a line each tick.
    Flows,
    /// Each event is a line; what has no event is a line each tick.
    Every,
}

/// One flow. `T` is what the next stages have worked out about it and want to keep.
#[derive(Debug)]
pub struct Flow<T> {
    counted: Tally,
    printed: Tally,
    last_tick: u64,
    /// The last packet that came as an event, with the last stack.
    sample: Option<Box<Dropped>>,
    /// Boxed: only flows that had a line lately have it, and the table has room for all.
    known: Option<Box<T>>,
    known_tick: u64,
}

impl<T> Flow<T> {
    fn new(tick: u64) -> Self {
        Self {
            counted: Tally::default(),
            printed: Tally::default(),
            last_tick: tick,
            sample: None,
            known: None,
            known_tick: tick,
        }
    }

    /// Everything that was printed of it.
    pub fn printed(&self) -> Tally {
        self.printed
    }

    /// The last packet, and the place for what the next stages work out.
    pub fn parts(&mut self) -> (Option<&Dropped>, &mut Option<Box<T>>) {
        (self.sample.as_deref(), &mut self.known)
    }

    fn keep(&mut self, mut dropped: Dropped) {
        let old = self.sample.take();
        let had_stack = old.as_ref().is_some_and(|old| !old.stack.is_empty());
        if dropped.stack.is_empty() {
            dropped.stack = old.map(|old| old.stack).unwrap_or_default();
        } else if !had_stack {
            // With the first stack more can be said.
            self.known = None;
        }
        self.sample = Some(Box::new(dropped));
    }
}

/// The table of flows.
#[derive(Debug)]
pub struct Flows<T> {
    table: HashMap<FlowKey, Flow<T>>,
    mode: Mode,
    tick: u64,
    evicted: u64,
}

impl<T> Flows<T> {
    pub fn new(mode: Mode) -> Self {
        Self { table: HashMap::new(), mode, tick: 0, evicted: 0 }
    }

    /// Takes an event; says what is due now (the first packet of a flow, or in [`Mode::Every`] each one).
    pub fn seen(&mut self, dropped: Dropped) -> Option<Due> {
        let key = dropped.event.flow;
        let one = Tally { packets: 1, bytes: u64::from(dropped.event.length) };
        let (mode, tick, time) = (self.mode, self.tick, Some(dropped.event.time));
        // With no room it stays unprinted: the drained count will say it.
        let flow = self.flow(key)?;
        flow.keep(dropped);
        flow.last_tick = tick;
        let first = flow.printed.packets == 0 && flow.counted.packets == 0;
        if !first && mode == Mode::Flows {
            return None;
        }
        flow.printed = add(flow.printed, one);
        Some(Due { key, since_last: one, time })
    }

    /// Takes a drained count; says what is due of it.
    pub fn counted(&mut self, key: FlowKey, tally: Tally) -> Option<Due> {
        let tick = self.tick;
        let Some(flow) = self.flow(key) else {
            self.evicted += 1;
            return Some(Due { key, since_last: tally, time: None });
        };
        flow.last_tick = tick;
        flow.counted = add(flow.counted, tally);
        let since_last = Tally {
            packets: flow.counted.packets.saturating_sub(flow.printed.packets),
            bytes: flow.counted.bytes.saturating_sub(flow.printed.bytes),
        };
        if since_last.packets == 0 {
            return None;
        }
        flow.printed = flow.counted;
        Some(Due { key, since_last, time: None })
    }

    /// Starts the next tick. What was worked out about flows without a line in the last ones is dropped: it is large.
    pub fn next_tick(&mut self) {
        self.tick += 1;
        for flow in self.table.values_mut().filter(|flow| flow.known_tick + IDLE_TICKS < self.tick) {
            flow.known = None;
        }
    }

    /// A remembered flow that has a line.
    pub fn get_mut(&mut self, key: &FlowKey) -> Option<&mut Flow<T>> {
        let flow = self.table.get_mut(key)?;
        flow.known_tick = self.tick;
        Some(flow)
    }

    /// Forgets what the next stages worked out, because names have changed.
    pub fn forget_known(&mut self) {
        self.table.values_mut().for_each(|flow| flow.known = None);
    }

    /// Flows that were forgotten or never remembered, for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn flow(&mut self, key: FlowKey) -> Option<&mut Flow<T>> {
        if self.table.len() >= MOST_FLOWS && !self.table.contains_key(&key) {
            self.make_room();
            if self.table.len() >= MOST_FLOWS {
                return None;
            }
        }
        let tick = self.tick;
        Some(self.table.entry(key).or_insert_with(|| Flow::new(tick)))
    }

    /// Forgets flows that have been silent; nothing of them is unprinted, as each tick prints all that was counted.
    fn make_room(&mut self) {
        let (before, now) = (self.table.len(), self.tick);
        self.table.retain(|_, flow| flow.last_tick + IDLE_TICKS > now);
        self.evicted += (before - self.table.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Headers;
    use tracer_common::{DropEvent, read_plain};

    fn key(port: u16) -> FlowKey {
        let mut key: FlowKey = read_plain(&[0; size_of::<FlowKey>()]).unwrap();
        key.port = port;
        key
    }

    fn event(port: u16) -> Dropped {
        let mut event: DropEvent = read_plain(&[0; size_of::<DropEvent>()]).unwrap();
        event.flow = key(port);
        event.length = 60;
        Dropped { event, stack: Vec::new(), headers: Headers::default() }
    }

    fn tally(packets: u64) -> Tally {
        Tally { packets, bytes: packets * 60 }
    }

    fn packets(due: Option<Due>) -> u64 {
        due.map_or(0, |due| due.since_last.packets)
    }

    #[test]
    fn lines_add_up_to_the_count_in_any_order_of_events_and_counts() {
        let mut flows = Flows::<()>::new(Mode::Flows);
        assert_eq!(packets(flows.seen(event(1))), 1);
        assert_eq!(packets(flows.seen(event(1))), 0);
        assert_eq!(packets(flows.counted(key(1), tally(5))), 4);
        // The next generation's event comes before its count, then the count alone.
        assert_eq!(packets(flows.seen(event(1))), 0);
        assert_eq!(packets(flows.counted(key(1), tally(3))), 3);
        // A flow whose event was suppressed, and whose event comes late.
        assert_eq!(packets(flows.counted(key(2), tally(7))), 7);
        assert_eq!(packets(flows.seen(event(2))), 0);
    }

    #[test]
    fn with_every_event_a_line_the_count_adds_only_what_was_missed() {
        let mut flows = Flows::<()>::new(Mode::Every);
        let shown: u64 = (0..10).map(|_| packets(flows.seen(event(1)))).sum();
        assert_eq!(shown, 10);
        assert_eq!(packets(flows.counted(key(1), tally(12))), 2);
        assert_eq!(packets(flows.seen(event(1))), 1);
        assert_eq!(packets(flows.counted(key(1), tally(1))), 0);
    }

    #[test]
    fn a_full_table_forgets_silent_flows_and_still_says_every_count() {
        let mut flows = Flows::<()>::new(Mode::Flows);
        let all = MOST_FLOWS as u64 + 100;
        let said = |flows: &mut Flows<()>| {
            (0..all).map(|port| packets(flows.counted(key(port as u16), tally(2)))).sum::<u64>()
        };
        assert_eq!(said(&mut flows), 2 * all);
        assert_eq!(flows.evicted(), 100);
        (0..IDLE_TICKS).for_each(|_| flows.next_tick());
        assert_eq!(packets(flows.counted(key(60_000), tally(1))), 1);
        assert_eq!(flows.evicted(), all);
        assert_eq!(flows.table.len(), 1);
    }
    #[test]
    fn what_was_worked_out_lasts_as_long_as_a_flow_has_lines() {
        let mut flows = Flows::<u32>::new(Mode::Flows);
        for port in [1, 2] {
            flows.counted(key(port), tally(1));
            *flows.get_mut(&key(port)).unwrap().parts().1 = Some(Box::new(7));
        }
        for _ in 0..=IDLE_TICKS {
            flows.next_tick();
            assert!(flows.get_mut(&key(1)).unwrap().parts().1.is_some());
        }
        assert!(flows.get_mut(&key(2)).unwrap().parts().1.is_none());
    }
}
