//! Segments that are sent again: whether only large ones are, and without any progress.
//!
//! Rule: ordinary loss is no finding. A sender that gets nothing through waits twice as long each time (RFC 6298, section 5.5);
//! one that loses some packets does not. So what counts is that the last times were each twice as long as the ones before.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::flow::Resent;

/// Connections remembered, some 200 bytes each.
const MOST_CONNECTIONS: usize = 8192;
/// Forgotten when nothing was sent again for so long, ns.
const REMEMBERED: u64 = 60_000_000_000;
/// Large segments sent again, at least, and of all segments sent again: all but a tenth.
const LEAST_LARGE: u32 = 4;
const SMALL: u32 = 10;
/// The longest wait must be this long, ns: a lossy network is not silent for so long.
const LONGEST_WAIT: u64 = 1_000_000_000;
/// Twice as long, as the clock of the kernel's timers and the socket's own estimate have it: in tenths.
const TWICE: std::ops::RangeInclusive<u64> = 16..=26;
/// `TCP_ESTABLISHED`, `TCP_FIN_WAIT1`, `TCP_CLOSE_WAIT`, `TCP_LAST_ACK` (include/net/tcp_states.h, 5.10 to 6.18).
const SENDING: [u32; 4] = [1, 4, 8, 9];

/// A connection, from the socket that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    netns: u32,
    local: SocketAddr,
    remote: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
struct History {
    resent: Resent,
    /// The last time before that of `resent`, and the one before it; known where each came with a reading of its own.
    before: [Option<u64>; 2],
    /// When data was first sent again; the kernel's entry begins with the handshake.
    data: Option<u64>,
    is_changed: bool,
    is_told: bool,
}

/// What was sent again of late.
#[derive(Debug, Default)]
pub(super) struct AllResent(HashMap<Key, History>);

impl AllResent {
    pub(super) fn add(&mut self, resent: &Resent) {
        let key = Key { netns: resent.netns, local: resent.local, remote: resent.remote };
        if self.0.len() >= MOST_CONNECTIONS && !self.0.contains_key(&key) {
            return;
        }
        let data = (resent.handshakes == 0 || resent.segments == 1).then(|| first_data(resent));
        let new = History { resent: *resent, before: [None; 2], data, is_changed: true, is_told: false };
        let history = self.0.entry(key).or_insert(new);
        let had = history.resent;
        if had.first != resent.first || (had.segments == 0 && resent.segments > 0) {
            *history = new;
        } else if resent.segments == had.segments + 1 {
            history.before = [Some(had.last), history.before[0]];
        } else if resent.segments != had.segments {
            // Several at once: when each was is not known.
            history.before = [None; 2];
        }
        history.resent = *resent;
        history.is_changed = true;
    }

    /// Connections that get no large segment through, each once.
    pub(super) fn stuck(&mut self) -> Vec<Resent> {
        let mut stuck = Vec::new();
        for history in self.0.values_mut().filter(|history| history.is_changed && !history.is_told) {
            history.is_changed = false;
            if is_stuck(history) {
                history.is_told = true;
                stuck.push(history.resent);
            }
        }
        stuck.sort_unstable_by_key(|resent| resent.first);
        stuck
    }

    /// What was sent again between two ends, by the side that sent more of it.
    pub(super) fn between(
        &self,
        netns: impl Iterator<Item = u32>,
        one: SocketAddr,
        other: SocketAddr,
    ) -> Option<Resent> {
        let keys = netns
            .flat_map(|netns| [Key { netns, local: one, remote: other }, Key { netns, local: other, remote: one }]);
        let found = keys.filter_map(|key| self.0.get(&key).map(|history| history.resent));
        found.max_by_key(|resent| resent.segments.saturating_add(resent.handshakes))
    }

    pub(super) fn forget(&mut self, read: u64) {
        self.0.retain(|_, history| history.resent.last.saturating_add(REMEMBERED) >= read);
    }
}

fn first_data(resent: &Resent) -> u64 {
    if resent.segments == 1 { resent.last } else { resent.first }
}

fn is_stuck(history: &History) -> bool {
    let resent = &history.resent;
    let is_large = resent.large >= LEAST_LARGE
        && resent.segments.saturating_sub(resent.large).saturating_mul(SMALL) <= resent.segments;
    let ([Some(second), Some(third)], Some(first)) = (history.before, history.data) else { return false };
    let (wait, earlier) = (resent.last.saturating_sub(second), second.saturating_sub(third));
    let is_doubled = earlier > 0 && TWICE.contains(&(wait.saturating_mul(10) / earlier.max(1)));
    // If the waits before the last two doubled as well, they add up to between half of the shorter one (there was one) and all
    // of it; a tail loss probe adds a little.
    let before = third.saturating_sub(first);
    let is_steady = before >= earlier * 2 / 5 && before <= earlier + earlier / 2;
    is_large && SENDING.contains(&resent.state) && wait >= LONGEST_WAIT && is_doubled && is_steady
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn resent(times: &[u64], small: u32) -> Resent {
        let large = u32::try_from(times.len()).unwrap();
        Resent {
            netns: 1,
            netns_cookie: 0,
            local: "10.0.0.1:443".parse().unwrap(),
            remote: "10.0.0.2:40000".parse().unwrap(),
            first: times[0] * MS,
            last: times[times.len() - 1] * MS,
            segments: large + small,
            large,
            handshakes: 0,
            longest: 1448,
            mss: 1448,
            state: 1,
        }
    }

    /// Reads after each half second, as the line does.
    fn read(times: &[u64], small: u32) -> Vec<Resent> {
        let mut all = AllResent::default();
        let mut stuck = Vec::new();
        for now in (500..times[times.len() - 1] + 1000).step_by(500) {
            let seen: Vec<u64> = times.iter().copied().filter(|time| *time < now).collect();
            if !seen.is_empty() {
                all.add(&resent(&seen, small));
            }
            stuck.extend(all.stuck());
        }
        stuck
    }

    #[test]
    fn a_sender_that_gets_nothing_through_waits_twice_as_long_each_time() {
        let stuck = read(&[200, 620, 1450, 3100, 6400, 13_000], 0);
        assert_eq!(stuck.len(), 1, "told once");
        assert_eq!((stuck[0].large, stuck[0].last), (4, 3100 * MS), "as soon as it is clear");
        // A tail loss probe comes first.
        assert_eq!(read(&[20, 240, 660, 1500, 3150], 0).len(), 1);
    }

    #[test]
    fn ordinary_loss_is_no_finding() {
        let lossy: Vec<u64> = (0..60).map(|index| 100 + index * 330).collect();
        assert_eq!(read(&lossy, 0), [], "steady loss");
        assert_eq!(read(&[100, 101, 102, 103, 104, 105], 0), [], "one burst");
        assert_eq!(read(&[100, 3000, 9000, 11_000, 19_000], 0), [], "now and then");
        assert_eq!(read(&[100, 2000, 6000], 0), [], "three, long after one another");
    }

    #[test]
    fn small_segments_that_are_lost_too_are_another_case() {
        assert_eq!(read(&[200, 620, 1450, 3100, 6400], 2), []);
    }

    #[test]
    fn a_handshake_that_was_sent_again_before_does_not_count() {
        let mut all = AllResent::default();
        let times = [3200, 3620, 4450, 6100];
        let after_handshake = |end: usize| Resent { first: 1000 * MS, handshakes: 1, ..resent(&times[..end], 0) };
        all.add(&Resent { last: 1000 * MS, segments: 0, large: 0, ..after_handshake(1) });
        (1..=4).for_each(|end| all.add(&after_handshake(end)));
        assert_eq!(all.stuck().len(), 1);
    }

    #[test]
    fn a_handshake_is_no_data() {
        let mut all = AllResent::default();
        for end in 1..=5 {
            let times = [200, 620, 1450, 3100, 6400];
            all.add(&Resent { state: 2, ..resent(&times[..end], 0) });
        }
        assert_eq!(all.stuck(), []);
    }
}
