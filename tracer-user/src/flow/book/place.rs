//! From sightings to a way: which device came first, which last, and how the attempt went through this node.
//!
//! Rule: the order is that of each device's first packet, except where a device was attached to later than the next. An answer that was seen without what it answers gives no place on
//! the way there.

use std::sync::Arc;

use crate::flow::{Lost, Point, Role, Sighting, Tuple, Way};

/// A sighting with its device.
pub(super) type Placed = (Arc<Point>, Sighting);

/// One passage of an opener through a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) point: &'a Arc<Point>,
    pub(super) is_ingress: bool,
}

impl Step<'_> {
    fn leads_out(&self) -> bool {
        matches!(self.point.role, Role::Uplink | Role::Tunnel)
    }
}

/// The way of the openers, in order. A device that they came in and left by is passed twice.
pub(super) fn steps(placed: &[Placed]) -> Vec<Step<'_>> {
    let mut steps = Vec::with_capacity(placed.len());
    for (point, sighting) in placed {
        if sighting.opened.ingress > 0 {
            steps.push(Step { point, is_ingress: true });
        }
        if sighting.opened.egress > 0 {
            steps.push(Step { point, is_ingress: false });
        }
    }
    steps
}

/// By what sightings of one attempt are put in order: the time of the first packet, `CLOCK_MONOTONIC` ns. A device that was attached
/// to between two tries has fewer than the one that these left the namespace by; it stands before that one nevertheless.
pub(super) fn order(all: &[Sighting], one: &Sighting) -> u64 {
    let only_enters = one.opened.ingress > 0 && one.opened.egress == 0;
    let is_left_by = |other: &&Sighting| {
        other.netns == one.netns && other.opened.ingress == 0 && other.opened.egress > one.opened.ingress
    };
    let is_late = |other: &&Sighting| other.id.first < one.id.first && one.id.first <= other.last;
    let next = all.iter().filter(is_left_by).filter(is_late).map(|other| other.id.first).min();
    match next {
        Some(next) if only_enters => next.saturating_sub(1),
        _ => one.id.first,
    }
}

/// How it went through this node. What came from here and was not seen any further was to leave.
pub(super) fn way(steps: &[Step<'_>], is_answered: bool) -> Way {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Way::Out };
    let is_from_outside = first.is_ingress && first.leads_out();
    // It came in by an uplink of its own namespace, or was handed to another namespace.
    let is_delivered = last.is_ingress == last.leads_out();
    match (is_from_outside, is_delivered) {
        (true, true) => Way::In,
        (true, false) if last.is_ingress => Way::In,
        (true, false) => Way::Through,
        (false, true) => Way::Local,
        // From a pod, and answered, but by nobody behind a device: by this namespace itself.
        (false, false) if last.is_ingress && is_answered => Way::Local,
        (false, false) => Way::Out,
    }
}

/// Where an attempt that nobody answered went missing: behind the last device that it was seen at.
pub(super) fn lost(steps: &[Step<'_>]) -> Option<Lost> {
    let last = steps.last()?;
    let at = Arc::clone(last.point);
    Some(match (last.is_ingress, last.point.role) {
        (false, Role::Uplink | Role::Tunnel) => Lost::AfterNode { at },
        (false, Role::Pod) => Lost::InPod { at },
        (true, _) if is_handed_over(steps) => Lost::InNetns { at },
        (true, _) => Lost::Between { from: at },
    })
}

/// Whether the last step is the arrival in a namespace that the step before leads to: nobody forwards from there.
fn is_handed_over(steps: &[Step<'_>]) -> bool {
    let [.., before, last] = steps else { return false };
    let is_there = before.point.leads_to.as_ref().is_some_and(|netns| netns.inode == last.point.netns.inode);
    !before.is_ingress && before.point.role == Role::Pod && last.is_ingress && is_there
}

/// Where an answer got lost that some device saw and the one nearest to the client did not.
pub(super) fn answer_lost(placed: &[Placed]) -> Option<Lost> {
    let is_answer = |(_, sighting): &&Placed| sighting.answers.any();
    for (answered, _) in placed.iter().filter(is_answer).filter(|(_, sighting)| !sighting.opened.any()) {
        let is_beside =
            |point: &Point| point.netns.inode == answered.netns.inode && is_outer(point) == is_outer(answered);
        let asked = placed.iter().find(|(point, sighting)| sighting.opened.any() && is_beside(point));
        if let Some((asked, _)) = asked {
            return Some(Lost::AnswerElsewhere { asked: Arc::clone(asked), answered: Arc::clone(answered) });
        }
    }
    let last = placed.iter().filter(is_answer).max_by_key(|(_, sighting)| sighting.answered)?;
    Some(Lost::Answer { from: Arc::clone(&last.0) })
}

fn is_outer(point: &Point) -> bool {
    point.role != Role::Pod
}

/// The tuple as the client has it, and as it was last seen, if that is another.
pub(super) fn tuples(sightings: &[Sighting]) -> Option<(Tuple, Option<Tuple>)> {
    let openers = || sightings.iter().filter(|sighting| sighting.opened.any());
    let order = |sighting: &&Sighting| order(sightings, sighting);
    let first = openers().min_by_key(order).or(sightings.first())?;
    let mut client = first.id.tuple;
    // Bounded: one translation a sighting, and a circle ends too.
    for _ in sightings {
        let original = sightings.iter().filter(|sighting| sighting.id.tuple == client).find_map(|one| one.original);
        match original {
            Some(original) if original != client => client = original,
            _ => break,
        }
    }
    let last = openers().max_by_key(order).map(|sighting| sighting.id.tuple);
    Some((client, last.filter(|last| *last != client)))
}
