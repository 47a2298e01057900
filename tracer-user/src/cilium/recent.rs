//! What Cilium dropped lately, by five-tuple.
//!
//! Rule: bounded by number and by time; what is older makes room, whatever Hubble tells.

use std::collections::{HashMap, VecDeque};

use super::{Dropped, Key};
use crate::kubernetes::Span;

/// Flows kept, some 500 bytes each.
const MOST: usize = 16_384;
/// Of one five-tuple.
const MOST_OF_ONE: usize = 8;
/// How long a flow is kept after the newest one, ns.
const KEPT: u64 = 30_000_000_000;
/// How far Hubble's time and that of the drop may lie apart, ns: the agent stamps an event when it reads it.
const APART: u64 = 2_000_000_000;

/// The flows, and whether there is anybody to tell of more.
#[derive(Debug, Default)]
pub struct Recent {
    flows: HashMap<Key, VecDeque<(u64, Dropped)>>,
    /// By number, the oldest first.
    order: VecDeque<(u64, u64, Key)>,
    next: u64,
    /// Hubble has answered in this run, or its socket is there: Cilium runs here.
    is_here: bool,
}

impl Recent {
    pub fn add(&mut self, flow: Dropped) {
        let (number, time) = (self.next, flow.time);
        self.next += 1;
        self.order.push_back((number, time, flow.key.clone()));
        let same = self.flows.entry(flow.key.clone()).or_default();
        same.push_back((number, flow));
        if same.len() > MOST_OF_ONE {
            same.pop_front();
        }
        while self.order.len() > MOST || self.order.front().is_some_and(|front| front.1.saturating_add(KEPT) < time) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((number, _, key)) = self.order.pop_front() else { return };
        let Some(same) = self.flows.get_mut(&key) else { return };
        same.retain(|(kept, _)| *kept > number);
        if same.is_empty() {
            self.flows.remove(&key);
        }
    }

    /// The drop of this five-tuple that is nearest to the time.
    pub fn find(&self, key: &Key, span: Span) -> Option<&Dropped> {
        let same = self.flows.get(key)?.iter().map(|(_, flow)| flow);
        let distance = |flow: &&Dropped| span.from.saturating_sub(flow.time).max(flow.time.saturating_sub(span.to));
        same.rev().min_by_key(distance).filter(|flow| distance(flow) <= APART)
    }

    /// Cilium runs on this node.
    pub fn is_here(&self) -> bool {
        self.is_here
    }

    pub fn is_here_now(&mut self) {
        self.is_here = true;
    }

    /// Nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cilium::End;

    const SECOND: u64 = 1_000_000_000;

    fn dropped(port: u16, time: u64, reason: u32) -> Dropped {
        let (source, destination) = (([10, 0, 0, 5], port).into(), ([10, 0, 0, 9], 8080).into());
        let end = |address| End { address, identity: 0 };
        let key = Key::new("tcp", source, destination);
        Dropped {
            time,
            key,
            source: end(source),
            destination: end(destination),
            reason,
            direction: None,
            denied_by: Vec::new(),
        }
    }

    fn key(port: u16) -> Key {
        dropped(port, 0, 0).key
    }

    #[test]
    fn the_nearest_in_time_is_found_in_either_direction_and_not_beyond_two_seconds() {
        let mut recent = Recent::default();
        for (second, reason) in [(10, 133), (13, 155), (14, 132)] {
            recent.add(dropped(4000, second * SECOND, reason));
        }
        let back = Key::new("tcp", ([10, 0, 0, 9], 8080).into(), ([10, 0, 0, 5], 4000).into());
        let at = |second| recent.find(&back, Span::at(second * SECOND)).map(|flow| flow.reason);
        assert_eq!(
            [at(7), at(8), at(11), at(12), at(16), at(17)],
            [None, Some(133), Some(133), Some(155), Some(132), None]
        );
        let story = Span { from: 11 * SECOND, to: 20 * SECOND };
        assert_eq!(recent.find(&back, story).map(|flow| flow.reason), Some(132), "of several within it the last");
        assert_eq!(recent.find(&key(4001), story), None);
        let udp = Key::new("udp", ([10, 0, 0, 9], 8080).into(), ([10, 0, 0, 5], 4000).into());
        assert_eq!(recent.find(&udp, story), None);
    }

    #[test]
    fn it_is_bounded_by_number_by_time_and_by_five_tuple() {
        let mut recent = Recent::default();
        for number in 0..u64::try_from(MOST).unwrap() + 10 {
            recent.add(dropped(u16::try_from(number).unwrap(), SECOND, 133));
        }
        assert_eq!((recent.order.len(), recent.flows.len()), (MOST, MOST));
        assert!(recent.find(&key(9), Span::at(SECOND)).is_none() && recent.find(&key(10), Span::at(SECOND)).is_some());
        for number in 0..100 {
            recent.add(dropped(1, 32 * SECOND + number, 133));
        }
        assert_eq!((recent.flows.len(), recent.flows[&key(1)].len(), recent.order.len()), (1, MOST_OF_ONE, 100));
        recent.add(dropped(2, u64::MAX, 133));
        assert_eq!(recent.flows.len(), 1);
    }
}
