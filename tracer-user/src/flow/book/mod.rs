//! Joins sightings of several devices to stories, and decides them when there is nothing more to wait for.
//!
//! Rule: bounded; what does not fit is counted. Pure: the time is given.

mod decide;
mod drops;
mod join;
mod place;
mod resent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{AttemptTotals, Outcome};

use super::{
    Batch, Census, DropSeen, Lost, Point, Points, Rejection, Resent, Role, Sighting, SightingId, Story, Tuple, Way,
};
use decide::{Answering, Known, Moment, Verdict};
use drops::Drops;
use join::{Decided, Group, GroupId, Groups, Joined};
use place::Placed;
use resent::AllResent;

/// Stories that are told in detail at once, some KiB each; and of these, of one service.
const MOST_TOLD: usize = 1000;
const MOST_TOLD_OF_SERVICE: u32 = 100;
/// Devices that are known to show answers.
const MOST_ANSWERING: usize = 16_384;

/// Says whether a story is to be told and counted.
pub(super) type Wanted<'a> = dyn Fn(&Story) -> bool + 'a;

/// The attempts that are not decided yet, and what is known of those that are.
#[derive(Debug, Default)]
pub struct Book {
    groups: Groups,
    drops: Drops,
    resent: AllResent,
    points: Arc<Points>,
    answering: Answering,
    /// Begin of the last reading, `CLOCK_MONOTONIC` ns.
    read: u64,
    census: Census,
    totals: AttemptTotals,
    is_ended: bool,
}

impl Book {
    /// Takes what was read of the maps.
    pub fn add(&mut self, batch: &Batch) {
        self.read = self.read.max(batch.read);
        self.points = Arc::clone(&batch.points);
        for id in &batch.gone {
            self.lose(id);
        }
        for sighting in &batch.sightings {
            if self.groups.add(sighting, &batch.points, batch.read) == Joined::Refused {
                self.totals.not_followed += 1;
                self.census.others += 1;
            }
        }
        for resent in &batch.resent {
            self.resent.add(resent);
        }
    }

    /// The kernel had no room for a sighting any more: without an answer until then, nobody knows what became of the attempt,
    /// unless a drop tells.
    fn lose(&mut self, id: &SightingId) {
        let Some(group) = self.groups.watcher_of(id) else { return };
        let is_told = self.groups.get(group).is_some_and(|group| !self.drops.of(&group.tuples, id.first).is_empty());
        if !is_told {
            self.groups.remove(group);
            self.totals.not_followed += 1;
            self.census.others += 1;
        }
    }

    /// Takes a drop of a packet between these two ends. The client's port is 0 where it is not known; then it may be of any
    /// attempt of this client for this service.
    pub fn dropped(&mut self, tuple: &Tuple, mut drop: DropSeen) {
        if drop.time == 0 {
            // It was only counted: since the last reading, or a little before.
            drop.time = self.read;
        }
        self.drops.add(tuple, drop);
    }

    /// As [`Self::take_of`], of all attempts.
    pub fn take(&mut self, now: u64, is_end: bool) -> Vec<Story> {
        self.take_of(now, is_end, &|_| true, &mut |_| {})
    }

    /// Takes out the stories that are decided and failed; `now` is `CLOCK_MONOTONIC`, ns. At the end of the run nothing is waited
    /// for any more. Stories that are not `wanted` are neither told nor counted. `decided` is told of each of the others, also of
    /// those that went well, when it is decided for the first time.
    pub fn take_of(
        &mut self,
        now: u64,
        is_end: bool,
        wanted: &Wanted<'_>,
        decided: &mut dyn FnMut(&Story),
    ) -> Vec<Story> {
        let moment = Moment { read: self.read.min(now), is_end };
        self.groups.forget(moment.read);
        self.resent.forget(moment.read);
        let mut stories = Vec::new();
        for id in self.groups.due(moment) {
            stories.extend(self.look(id, moment, wanted, decided));
        }
        for resent in self.resent.stuck() {
            stories.extend(self.large_lost(&resent, wanted));
        }
        self.is_ended |= is_end;
        self.limit(stories)
    }

    /// Whether an attempt with these ends, whichever side began it, is not decided yet.
    pub fn is_open(&self, tuple: Tuple) -> bool {
        let group = self.groups.find(tuple).and_then(|id| self.groups.get(id));
        group.is_some_and(|group| group.decided.is_none())
    }

    pub fn totals(&self) -> AttemptTotals {
        AttemptTotals { pending: self.groups.open() as u64, ..self.totals }
    }

    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Looks at one attempt; gives its story if it has failed.
    fn look(
        &mut self,
        id: GroupId,
        moment: Moment,
        wanted: &Wanted<'_>,
        decided: &mut dyn FnMut(&Story),
    ) -> Option<Story> {
        let group = self.groups.get_mut(id)?;
        let (earlier, placed) = (group.decided, group.placed(&self.points));
        group.is_changed = false;
        group.sleeps_until = decide::silent_at(&placed).unwrap_or(0);
        let steps = place::steps(&placed);
        let since = placed.first().map_or(0, |(_, sighting)| sighting.id.first);
        let (drops, last) = (self.drops.of(&group.tuples, since), group.last());
        let known = Known { placed: &placed, steps: &steps, drops: &drops, answering: &self.answering, last };
        match decide::decide(&known, moment) {
            Verdict::Wait => {
                let is_pending = moment.is_end && earlier.is_none() && !self.is_ended;
                if let (true, Some(story)) =
                    (is_pending, self.story(id, &placed, Verdict::Wait, Vec::new()).filter(wanted))
                {
                    self.census.add_pending(&story);
                }
                None
            }
            Verdict::NoAttempt => {
                if earlier.is_none() {
                    self.groups.remove(id);
                }
                None
            }
            verdict @ Verdict::Is { .. } => {
                let story = self.story(id, &placed, verdict, drops)?;
                if !wanted(&story) {
                    self.groups.decide(id, story.outcome, moment.read);
                    self.learn_answering(&story);
                    return None;
                }
                if earlier.is_none() {
                    decided(&story);
                }
                self.decided(id, story, earlier, moment)
            }
        }
    }

    /// Counts an attempt that is decided, or decided otherwise; gives it if it is to be told.
    fn decided(&mut self, id: GroupId, story: Story, earlier: Option<Decided>, moment: Moment) -> Option<Story> {
        match earlier {
            None => self.census.add(&story),
            // More of the same, or what a client does that was refused; but an answer may come late, or not be confirmed.
            Some(earlier) if earlier.outcome == story.outcome => return None,
            Some(earlier) if story.outcome != Outcome::Established && earlier.outcome != Outcome::Established => {
                return None;
            }
            Some(earlier) => {
                let count = self.total(earlier.outcome);
                *count = count.saturating_sub(1);
                self.census.change(&story, earlier.outcome);
            }
        }
        *self.total(story.outcome) += 1;
        self.groups.decide(id, story.outcome, moment.read);
        self.learn_answering(&story);
        story.is_failing().then_some(story)
    }

    fn total(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Established => &mut self.totals.established,
            Outcome::Rejected => &mut self.totals.rejected,
            Outcome::Dropped => &mut self.totals.dropped,
            Outcome::NoAnswer => &mut self.totals.no_answer,
        }
    }

    /// Remembers that the device nearest to the client shows answers, if it did.
    fn learn_answering(&mut self, story: &Story) {
        if story.outcome != Outcome::Established {
            return;
        }
        let nearest = story.sightings.iter().find(|(_, sighting)| sighting.opened.any());
        let Some((_, sighting)) = nearest.filter(|(_, sighting)| sighting.answers.any()) else { return };
        if self.answering.len() < MOST_ANSWERING {
            self.answering.insert((sighting.netns, sighting.ifindex));
        }
    }

    /// Tells what is known of an attempt.
    fn story(&self, id: GroupId, placed: &[Placed], verdict: Verdict, drops: Vec<DropSeen>) -> Option<Story> {
        let group = self.groups.get(id)?;
        let sightings: Vec<Sighting> = placed.iter().map(|(_, sighting)| *sighting).collect();
        let (tuple, translated) = place::tuples(&sightings).or_else(|| group.ends())?;
        // What was translated and then dropped was seen at no device afterwards.
        let at_drop =
            || drops.iter().map(|drop| drop.tuple).find(|at| at.client == tuple.client && at.server != tuple.server);
        let translated = translated.or_else(at_drop);
        let (outcome, rejection, lost) = match verdict {
            Verdict::Is { outcome, rejection, lost } => (outcome, rejection, lost),
            Verdict::Wait | Verdict::NoAttempt => (Outcome::NoAnswer, None, None),
        };
        let is_answered = placed.iter().any(|(_, sighting)| sighting.answers.any() || sighting.server_resets.any());
        let nearest = placed.iter().map(|(_, sighting)| sighting).find(|sighting| sighting.opened.any());
        let rtt = nearest.and_then(|nearest| nearest.answered?.checked_sub(nearest.id.first));
        Some(Story {
            tuple,
            translated,
            way: place::way(&place::steps(placed), is_answered),
            outcome,
            rejection,
            lost,
            attempts: placed.iter().map(|(_, sighting)| sighting.opened.most()).max().unwrap_or(0),
            first: placed.iter().map(|(_, sighting)| sighting.id.first).min().unwrap_or(0),
            last: group.last(),
            resent: self.resent_of(group, placed),
            sightings: placed.to_vec(),
            drops,
            rtt,
        })
    }

    fn resent_of(&self, group: &Group, placed: &[Placed]) -> Option<Resent> {
        // The sender's namespace is that of a device, or one that a device leads to.
        let netns = || {
            let of = |(point, _): &Placed| [Some(point.netns.inode), point.leads_to.as_ref().map(|netns| netns.inode)];
            placed.iter().flat_map(of).flatten()
        };
        group.tuples.iter().find_map(|tuple| self.resent.between(netns(), tuple.client, tuple.server))
    }

    /// The story of a connection that gets no large segment through.
    fn large_lost(&mut self, resent: &Resent, wanted: &Wanted<'_>) -> Option<Story> {
        let tuple = Tuple { protocol: crate::decode::protocol::TCP, client: resent.local, server: resent.remote };
        let story = match self.groups.find(tuple) {
            Some(id) => self.large_lost_of_known(id, resent)?,
            None if self.is_watched(resent.netns) => large_lost_of_unknown(resent),
            None => return None,
        };
        if !wanted(&story) {
            return None;
        }
        self.census.add_large_lost(&story);
        Some(story)
    }

    /// Whether a namespace has a device that is watched, or is a pod behind one: the kernel tells of all sockets there are.
    fn is_watched(&self, netns: u32) -> bool {
        let is_behind = |point: &Point| {
            point.role == Role::Pod && point.leads_to.as_ref().is_some_and(|behind| behind.inode == netns)
        };
        self.points.iter().any(|point| point.netns.inode == netns || is_behind(point))
    }

    fn large_lost_of_known(&mut self, id: GroupId, resent: &Resent) -> Option<Story> {
        let group = self.groups.get_mut(id)?;
        // One that was not answered is told as that.
        let decided = group.decided.as_mut().filter(|decided| decided.outcome == Outcome::Established)?;
        if std::mem::replace(&mut decided.is_large_told, true) {
            return None;
        }
        let is_by_client = group.tuples.iter().any(|tuple| tuple.client == resent.local);
        let placed = group.placed(&self.points);
        let steps = place::steps(&placed);
        let outermost = |point: &&Arc<Point>| matches!(point.role, Role::Uplink | Role::Tunnel);
        let mut points = steps.iter().map(|step| step.point);
        let at = if is_by_client { points.rfind(outermost) } else { points.find(outermost) };
        let at = at.or(steps.last().map(|step| step.point)).cloned();
        let lost = Some(Lost::LargeSegments { at });
        let verdict = Verdict::Is { outcome: Outcome::Established, rejection: None::<Rejection>, lost };
        let mut story = self.story(id, &placed, verdict, Vec::new())?;
        story.last = story.last.max(resent.last);
        story.drops = self.drops.of(&self.groups.get(id)?.tuples, resent.first);
        story.resent = Some(*resent);
        Some(story)
    }

    /// Keeps some of each service, and counts the others.
    fn limit(&mut self, stories: Vec<Story>) -> Vec<Story> {
        let mut by_service: HashMap<_, u32> = HashMap::new();
        let mut told = Vec::with_capacity(stories.len().min(MOST_TOLD));
        for story in stories {
            let of_service = by_service.entry((story.tuple.protocol, story.tuple.server)).or_default();
            *of_service += 1;
            if *of_service > MOST_TOLD_OF_SERVICE || told.len() >= MOST_TOLD {
                self.census.add_untold(&story);
            } else {
                told.push(story);
            }
        }
        told
    }
}

/// A connection that was begun before, or is not watched: the lower port is taken for the server's.
fn large_lost_of_unknown(resent: &Resent) -> Story {
    let is_server = resent.local.port() < resent.remote.port();
    let (client, server) = if is_server { (resent.remote, resent.local) } else { (resent.local, resent.remote) };
    Story {
        tuple: Tuple { protocol: crate::decode::protocol::TCP, client, server },
        translated: None,
        way: if is_server { Way::In } else { Way::Out },
        outcome: Outcome::Established,
        rejection: None,
        lost: Some(Lost::LargeSegments { at: None }),
        sightings: Vec::new(),
        drops: Vec::new(),
        resent: Some(*resent),
        attempts: 0,
        first: resent.first,
        last: resent.last,
        rtt: None,
    }
}
