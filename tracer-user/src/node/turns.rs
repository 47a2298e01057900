//! Whose question is answered next, where there are more than can be answered.
//!
//! Rules: each topic of a namespace has its turn after the others, so a flood of one delays no other; only so many wait
//! ([`MOST_OF_A_TOPIC`], [`MOST`]), and for what has waited for [`LONGEST`] nothing is read any more.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Question, Topic};
use crate::inquiry::QUEUE;

/// Questions of one topic of one namespace that wait: as many as a tick has lines.
const MOST_OF_A_TOPIC: usize = QUEUE;
/// Questions that wait in all, about 1 KiB each.
const MOST: usize = 4 * QUEUE;
/// Less than lines wait (5 s), so that their time is not over when the answer is there.
const LONGEST: Duration = Duration::from_secs(3);

/// Namespace inode and topic.
type Kind = (u32, Topic);

/// The questions that wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: HashMap<Kind, VecDeque<(Instant, Question)>>,
    /// The kinds above, the next one first.
    order: VecDeque<Kind>,
    count: usize,
}

impl Turns {
    /// Takes a question, or gives it back where too many wait.
    pub(super) fn add(&mut self, question: Question) -> Option<Question> {
        let kind = (question.netns.inode, question.topic);
        if self.count >= MOST {
            return Some(question);
        }
        match self.waiting.get_mut(&kind) {
            Some(waiting) if waiting.len() >= MOST_OF_A_TOPIC => return Some(question),
            Some(waiting) => waiting.push_back((Instant::now(), question)),
            None => {
                self.order.push_back(kind);
                self.waiting.insert(kind, VecDeque::from([(Instant::now(), question)]));
            }
        }
        self.count += 1;
        None
    }

    /// The next question; its kind has its turn again after the others.
    pub(super) fn next(&mut self) -> Option<Question> {
        let kind = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&kind)?;
        let (_, question) = waiting.pop_front()?;
        self.count -= 1;
        if waiting.is_empty() {
            self.waiting.remove(&kind);
        } else {
            self.order.push_back(kind);
        }
        Some(question)
    }

    /// Takes the questions that have waited for too long.
    pub(super) fn take_late(&mut self) -> Vec<Question> {
        self.take_older(LONGEST)
    }

    fn take_older(&mut self, age: Duration) -> Vec<Question> {
        let mut late = Vec::new();
        for waiting in self.waiting.values_mut() {
            // The oldest is the first.
            while waiting.front().is_some_and(|(since, _)| since.elapsed() >= age) {
                late.extend(waiting.pop_front().map(|(_, question)| question));
            }
        }
        if !late.is_empty() {
            self.count -= late.len();
            self.waiting.retain(|_, waiting| !waiting.is_empty());
            self.order.retain(|kind| self.waiting.contains_key(kind));
        }
        late
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::FlowKey;

    use super::*;
    use crate::host::{Netns, NetnsName};
    use crate::inquiry::Case;
    use crate::node::Packet;

    fn question(netns: u32, topic: Topic, port: u16) -> Question {
        let flow = FlowKey {
            location: 1,
            netns,
            reason: 3,
            ifindex: 4,
            port,
            protocol: 6,
            family: 4,
            source: [0; 4],
            destination: [0; 4],
        };
        let netns = Netns { inode: netns, name: NetnsName::Host, doors: Vec::new() };
        let packet = Packet::default();
        Question { case: Case::new(flow, None), topic, netns, netns_cookie: 0, packet, time: 0 }
    }

    #[test]
    fn a_flood_of_one_kind_delays_no_other() {
        let mut turns = Turns::default();
        let refused = (0..2000).filter_map(|port| turns.add(question(1, Topic::Socket, port))).count();
        assert_eq!(refused, 2000 - MOST_OF_A_TOPIC);
        assert!(
            turns.add(question(1, Topic::Route, 7)).is_none() && turns.add(question(2, Topic::Socket, 8)).is_none()
        );
        let next: Vec<u16> = std::iter::from_fn(|| turns.next()).map(|question| question.case.flow.port).collect();
        assert_eq!(next[..5], [0, 7, 8, 1, 2], "each kind in turn, and each in its order");
        assert!(next.len() == MOST_OF_A_TOPIC + 2 && turns.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_whatever_is_asked() {
        let mut turns = Turns::default();
        let refused = (0..10_000).filter_map(|netns| turns.add(question(netns, Topic::Mtu, 1))).count();
        assert_eq!(refused, 10_000 - MOST);
        assert!(turns.take_late().is_empty());
        assert_eq!(turns.take_older(Duration::ZERO).len(), MOST);
        assert!(turns.is_empty() && turns.next().is_none());
        assert!(turns.add(question(1, Topic::Mtu, 1)).is_none(), "there is room again");
    }
}
