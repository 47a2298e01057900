//! Which sightings are of one attempt: those with the same tuple, and those whose tuple is what another was translated to.
//!
//! Rules: each namespace has its own translation, so the translated tuple of one is the untranslated one of the next; bounded;
//! an attempt that is decided is kept for a while, so that what its devices see later is not taken for another one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::decode::protocol;
use crate::event::Outcome;
use crate::flow::{Pair, Point, Points, Sighting, SightingId, Tuple};

use super::decide::{self, Moment};
use super::place::{self, Placed};

/// Attempts that are not decided, about a KiB each: twice as many as the kernel has entries for, since those whose entry is gone
/// are forgotten, unless something is known of their end.
pub(super) const MOST_OPEN: usize = 32_768;
/// Attempts that are decided and may still change.
pub(super) const MOST_DECIDED: usize = 16_384;
/// Sightings of one attempt: devices on its way, and what a hostile reuse of its tuple adds.
const MOST_SIGHTINGS: usize = 32;
/// How long a decided attempt is remembered after its last packet; longer than the kernel's entries are.
const REMEMBERED: u64 = 20_000_000_000;
/// An unknown entry that began so long before the reading is of an attempt that was forgotten.
const NEW: u64 = 10_000_000_000;

/// Tells groups apart; the older has the lower one.
pub(super) type GroupId = u64;

/// What one device saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    point: Option<Arc<Point>>,
    sighting: Sighting,
    /// What of it belongs to an earlier attempt with the same tuple.
    earlier: Option<Earlier>,
}

#[derive(Clone, Copy, Debug)]
struct Earlier {
    counts: [Pair; 4],
    errors: u32,
    /// When the new attempt began, `CLOCK_MONOTONIC` ns.
    began: u64,
}

impl Seen {
    fn counts(&self) -> [Pair; 4] {
        let one = &self.sighting;
        [one.opened, one.answers, one.client_resets, one.server_resets]
    }

    /// What belongs to this attempt.
    fn own(&self) -> Sighting {
        let mut own = self.sighting;
        if let Some(Earlier { counts: [opened, answers, client_resets, server_resets], errors, began }) = self.earlier {
            own.opened = own.opened - opened;
            own.answers = own.answers - answers;
            own.client_resets = own.client_resets - client_resets;
            own.server_resets = own.server_resets - server_resets;
            own.answered = own.answers.any().then_some(own.last);
            own.icmp = own.icmp.filter(|icmp| icmp.count > errors);
            own.id.first = began;
        }
        own
    }
}

/// An attempt that is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) outcome: Outcome,
    /// When, `CLOCK_MONOTONIC` ns.
    pub(super) time: u64,
    /// Large segments were told of.
    pub(super) is_large_told: bool,
}

/// The sightings of one attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    seen: Vec<Seen>,
    /// All tuples that lead to it.
    pub(super) tuples: Vec<Tuple>,
    pub(super) decided: Option<Decided>,
    /// Something came since it was last looked at.
    pub(super) is_changed: bool,
    /// There is nothing to decide until then, if nothing more comes; `CLOCK_MONOTONIC` ns.
    pub(super) sleeps_until: u64,
}

impl Group {
    /// The sightings with their devices, in the order of the first packet.
    pub(super) fn placed(&self, points: &Points) -> Vec<Placed> {
        let place = |seen: &Seen| {
            let point = seen.point.as_ref().or_else(|| points.get(seen.sighting.netns, seen.sighting.ifindex))?;
            Some((Arc::clone(point), seen.own()))
        };
        let mut placed: Vec<Placed> = self.seen.iter().filter_map(place).collect();
        // Of one that began again: devices that saw only the earlier one.
        placed.retain(|(_, sighting)| !sighting.is_empty());
        let own: Vec<Sighting> = placed.iter().map(|(_, sighting)| *sighting).collect();
        placed.sort_by_key(|(_, sighting)| place::order(&own, sighting));
        placed
    }

    /// As [`place::tuples`]; also where the devices are not known.
    pub(super) fn ends(&self) -> Option<(Tuple, Option<Tuple>)> {
        let own: Vec<Sighting> = self.seen.iter().map(Seen::own).collect();
        place::tuples(&own)
    }

    pub(super) fn last(&self) -> u64 {
        self.seen.iter().map(|seen| seen.sighting.last).max().unwrap_or(0)
    }

    fn has(&self, id: &SightingId) -> bool {
        self.seen.iter().any(|seen| seen.sighting.id == *id)
    }

    fn set(&mut self, sighting: &Sighting, points: &Points) {
        self.is_changed = true;
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.sighting.id == sighting.id) {
            seen.sighting = *sighting;
        } else if self.seen.len() < MOST_SIGHTINGS {
            let point = points.get(sighting.netns, sighting.ifindex).cloned();
            // Most pass one or two devices: room for four, as a `Vec` grows, would take most of the memory.
            self.seen.reserve_exact(1);
            self.seen.push(Seen { point, sighting: *sighting, earlier: None });
        }
    }

    /// Whether the same client asks once more by the same ports, after it was answered: openers that nobody has answered yet.
    fn asks_again(&self, sighting: &Sighting) -> bool {
        let Some(Decided { outcome: Outcome::Established, .. }) = self.decided else { return false };
        let Some(seen) = self.seen.iter().find(|seen| seen.sighting.id == sighting.id) else { return false };
        let had = &seen.sighting;
        let is_more = |now: Pair, earlier: Pair| (now - earlier).any();
        is_more(sighting.opened, had.opened) && !is_more(sighting.answers, had.answers) && had.answers.any()
    }

    /// Begins a new attempt: all that was counted so far is of the earlier one.
    fn begin_again(&mut self, began: u64) {
        for seen in &mut self.seen {
            let errors = seen.sighting.icmp.map_or(0, |icmp| icmp.count);
            seen.earlier = Some(Earlier { counts: seen.counts(), errors, began });
        }
        self.decided = None;
    }
}

/// All attempts.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: HashMap<GroupId, Group>,
    by_tuple: HashMap<Tuple, GroupId>,
    next: GroupId,
    open: usize,
    decided: VecDeque<GroupId>,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Known,
    New,
    /// There is no room.
    Refused,
}

impl Groups {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Takes a sighting of a reading that began at `read`.
    pub(super) fn add(&mut self, sighting: &Sighting, points: &Points, read: u64) -> Joined {
        let tuples = [Some(sighting.id.tuple), sighting.original.filter(|original| *original != sighting.id.tuple)];
        let mut ids = tuples.into_iter().flatten().filter_map(|tuple| self.current(&tuple, sighting));
        let (one, other) = (ids.next(), ids.next());
        let (id, joined) = match (one, other) {
            (Some(one), Some(other)) if one != other => (self.merge(one, other), Joined::Known),
            (Some(id), _) | (None, Some(id)) => (id, Joined::Known),
            // Its attempt was answered and forgotten, or had no room.
            (None, None) if sighting.id.first.saturating_add(NEW) < read => return Joined::Known,
            (None, None) if self.open >= MOST_OPEN => return Joined::Refused,
            (None, None) => (self.begin(), Joined::New),
        };
        let Some(group) = self.all.get_mut(&id) else { return joined };
        if group.asks_again(sighting) {
            group.begin_again(sighting.last);
            self.open += 1;
        }
        group.set(sighting, points);
        for tuple in tuples.into_iter().flatten() {
            if !group.tuples.contains(&tuple) && group.tuples.len() < MOST_SIGHTINGS {
                group.tuples.reserve_exact(1);
                group.tuples.push(tuple);
            }
            self.by_tuple.insert(tuple, id);
        }
        joined
    }

    /// The attempt that a sighting with this tuple is of; a decided one only if it had begun by then.
    fn current(&self, tuple: &Tuple, sighting: &Sighting) -> Option<GroupId> {
        let id = *self.by_tuple.get(tuple)?;
        let group = self.all.get(&id)?;
        let is_of_it = group.decided.is_none_or(|decided| sighting.id.first <= decided.time || group.has(&sighting.id));
        is_of_it.then_some(id)
    }

    fn begin(&mut self) -> GroupId {
        self.next += 1;
        self.open += 1;
        self.all.insert(self.next, Group::default());
        self.next
    }

    /// The attempt that is not decided and whose end would be seen by this sighting: it is the one nearest to the client, nothing
    /// has come back so far, and the client has not been seen to try again for so long that it can't have been answered.
    pub(super) fn watcher_of(&self, id: &SightingId) -> Option<GroupId> {
        let at = *self.by_tuple.get(&id.tuple)?;
        let group = self.all.get(&at).filter(|group| group.decided.is_none() && group.has(id))?;
        let own: Vec<Sighting> = group.seen.iter().map(Seen::own).collect();
        let is_tcp = id.tuple.protocol == protocol::TCP;
        // An answer over UDP that other devices saw may have come here as well.
        let is_back = |one: &Sighting| one.server_resets.any() || one.icmp.is_some() || (is_tcp && one.answers.any());
        let nearest = own.iter().filter(|one| one.opened.any()).min_by_key(|one| one.id.first);
        let is_nearest = nearest.is_none_or(|one| {
            one.id.device == id.device && one.last.saturating_sub(one.id.first) < decide::SILENCE_OF_MORE
        });
        (is_nearest && !own.iter().any(is_back)).then_some(at)
    }

    /// Makes one of two; what is decided stays so.
    fn merge(&mut self, one: GroupId, other: GroupId) -> GroupId {
        let is_decided = |id: &GroupId| self.all.get(id).is_some_and(|group| group.decided.is_some());
        let (kept, gone) = match (is_decided(&one), is_decided(&other)) {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => (one.min(other), one.max(other)),
        };
        let Some(gone) = self.all.remove(&gone) else { return kept };
        if gone.decided.is_none() {
            self.open -= 1;
        }
        let Some(group) = self.all.get_mut(&kept) else { return kept };
        let room = MOST_SIGHTINGS.saturating_sub(group.seen.len());
        group.seen.extend(gone.seen.into_iter().take(room));
        for tuple in gone.tuples {
            self.by_tuple.insert(tuple, kept);
            if !group.tuples.contains(&tuple) && group.tuples.len() < MOST_SIGHTINGS {
                group.tuples.push(tuple);
            }
        }
        kept
    }

    /// Those that are to be looked at, the oldest first: those that something came for, and those that have waited.
    pub(super) fn due(&self, moment: Moment) -> Vec<GroupId> {
        let has_waited = |group: &Group| group.sleeps_until <= moment.read || moment.is_end;
        let is_due = |group: &Group| group.is_changed || (group.decided.is_none() && has_waited(group));
        let mut due: Vec<GroupId> = self.all.iter().filter(|(_, group)| is_due(group)).map(|(id, _)| *id).collect();
        due.sort_unstable();
        due
    }

    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(&id)
    }

    /// The attempt with this tuple, whichever side began it.
    pub(super) fn find(&self, tuple: Tuple) -> Option<GroupId> {
        self.by_tuple.get(&tuple).or_else(|| self.by_tuple.get(&tuple.reversed())).copied()
    }

    pub(super) fn decide(&mut self, id: GroupId, outcome: Outcome, time: u64) {
        let Some(group) = self.all.get_mut(&id) else { return };
        group.is_changed = false;
        let is_large_told = group.decided.is_some_and(|decided| decided.is_large_told);
        if group.decided.replace(Decided { outcome, time, is_large_told }).is_none() {
            self.open -= 1;
            self.decided.push_back(id);
        }
    }

    /// Forgets an attempt.
    pub(super) fn remove(&mut self, id: GroupId) {
        let Some(group) = self.all.remove(&id) else { return };
        self.open -= usize::from(group.decided.is_none());
        for tuple in &group.tuples {
            if self.by_tuple.get(tuple) == Some(&id) {
                self.by_tuple.remove(tuple);
            }
        }
    }

    /// Forgets decided attempts that nothing came for lately, and the oldest where there are too many.
    pub(super) fn forget(&mut self, read: u64) {
        let mut too_many = self.decided.len().saturating_sub(MOST_DECIDED);
        for id in std::mem::take(&mut self.decided) {
            let Some(group) = self.all.get(&id) else { continue };
            // It begins again: it comes back here when it is decided.
            if group.decided.is_none() {
                continue;
            }
            if too_many > 0 || group.last().saturating_add(REMEMBERED) < read {
                too_many = too_many.saturating_sub(1);
                self.remove(id);
            } else {
                self.decided.push_back(id);
            }
        }
    }
}
