//! Which queue of a device dropped the packet, and why.
//!
//! Rule: the queue whose counter rose is `certain`; where counters cannot be compared, it is the only one that has ever
//! dropped (`derived`), or the fullest of several (`inferred`). A device that does not work has no queue to blame.

mod remedy;
mod sentence;

use super::device;
use crate::event::{Confidence, Explanation};
use crate::explain::Observation;
use crate::node::qdisc::print::handle;
use crate::node::qdisc::{Limit, Qdisc, Queue};

/// Queues and classes that are listed.
const MOST: usize = 4;
/// Queues with drops that are compared with each other, pair by pair.
const COMPARED: usize = 512;
/// Queues that drop nothing of what leaves.
const PASSIVE: &[&str] = &["noqueue", "ingress", "clsact"];

/// The queue that did it.
#[derive(Clone, Copy, Debug)]
struct Culprit<'a> {
    queue: &'a Queue,
    /// The class of it whose own queue it was.
    class: Option<&'a Queue>,
    confidence: Confidence,
}

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, facts: &Qdisc, drop: &Observation<'_>) {
    let Some(link) = &facts.link else { return };
    let culprit = culprit(facts, drop);
    let seen = culprit.is_some_and(|culprit| culprit.confidence == Confidence::Certain);
    let may_be_off = drop.reason.is_none_or(|reason| matches!(reason, "QDISC_DROP" | "QDISC_DROP_GENERIC"));
    if !link.works() && !seen && may_be_off {
        // Without a carrier all packets go into the queue that drops everything (`noop_qdisc`).
        return device::out_of_order(explanation, link, facts.peer.as_ref(), facts.holders.as_ref(), drop);
    }
    let Some(culprit) = culprit else {
        explanation.evidence.extend(active(facts).take(MOST).map(Queue::text));
        let nothing = format!("no queue of {} had counted a drop when they were read", link.name);
        explanation.unknown = Some(format!("which queue dropped it: {nothing}"));
        return;
    };
    explanation.summary = sentence::summary(culprit, facts, link);
    explanation.confidence = culprit.confidence;
    explanation.evidence.extend(evidence(culprit, facts));
    explanation.remedy = remedy::remedies(culprit, link, drop);
    // The name that the CNI bandwidth plugin gives to the device by which it limits what a pod sends.
    if link.kind.as_deref() == Some("ifb") && link.name.starts_with("bwp") {
        explanation.owner = Some("bandwidth plugin".to_owned());
        explanation.remedy.push("change the pod's annotation kubernetes.io/egress-bandwidth".to_owned());
    }
}

fn active(facts: &Qdisc) -> impl Iterator<Item = &Queue> {
    facts.queues.iter().filter(|queue| !PASSIVE.contains(&queue.kind.as_str()))
}

fn culprit<'a>(facts: &'a Qdisc, drop: &Observation<'_>) -> Option<Culprit<'a>> {
    let kind = drop.reason.and_then(of_kind);
    let fits = |queue: &&Queue| kind.is_none_or(|kind| queue.kind == kind);
    let all = active(facts).filter(fits).collect::<Vec<_>>();
    let (queue, confidence) =
        choose(&all, |queue| queue.rose.unwrap_or_default(), Confidence::Certain, facts.length)
            .or_else(|| choose(&all, |queue| queue.counters.drops, Confidence::Derived, facts.length))?;
    let own = facts.classes.iter().filter(|class| class.kind == queue.kind && class.handle >> 16 == queue.handle >> 16);
    let own = own.collect::<Vec<_>>();
    let class = choose(&own, |class| class.rose.unwrap_or_default(), confidence, facts.length)
        .or_else(|| choose(&own, |class| class.counters.drops, confidence, facts.length));
    Some(Culprit { queue, class: class.map(|(class, _)| class), confidence })
}

/// The kind of queue that alone gives a reason.
fn of_kind(reason: &str) -> Option<&'static str> {
    match reason {
        reason if reason.starts_with("FQ_") => Some("fq"),
        "CAKE_FLOOD" => Some("cake"),
        reason if reason.starts_with("DUALPI2_") => Some("dualpi2"),
        _ => None,
    }
}

/// The lowest queue that dropped by this count: a queue above counts what is dropped below it as well.
fn choose<'a>(
    queues: &[&'a Queue],
    count: impl Fn(&Queue) -> u32,
    sure: Confidence,
    length: u32,
) -> Option<(&'a Queue, Confidence)> {
    let dropped = queues.iter().copied().filter(|queue| count(queue) > 0).take(COMPARED).collect::<Vec<_>>();
    let lowest = dropped.iter().copied().filter(|queue| !dropped.iter().any(|other| is_below(other, queue)));
    let lowest = lowest.collect::<Vec<_>>();
    match &*lowest {
        [one] => Some((*one, sure)),
        several => {
            let fullest = several.iter().max_by_key(|queue| (is_full(queue, length), count(queue)))?;
            Some((*fullest, Confidence::Inferred))
        }
    }
}

/// Whether one queue hangs below another of the same device. The kernel's own queues have no handle: those below the
/// root are told by their parent alone.
fn is_below(lower: &Queue, upper: &Queue) -> bool {
    let is_root = |queue: &Queue| queue.parent == u32::MAX;
    !is_root(lower)
        && (lower.handle, lower.parent) != (upper.handle, upper.parent)
        && lower.parent >> 16 == upper.handle >> 16
        && (upper.handle != 0 || is_root(upper))
        // Classes hang by their whole number.
        && (upper.handle.trailing_zeros() >= 16 || lower.parent == upper.handle)
}

/// Whether one more packet of this length would not fit.
fn is_full(queue: &Queue, length: u32) -> bool {
    match queue.options.limit {
        Some(Limit::Bytes(limit)) => u64::from(queue.counters.backlog) + u64::from(length) > limit,
        Some(Limit::Packets(limit)) => queue.counters.length >= limit,
        None => false,
    }
}

fn evidence(culprit: Culprit<'_>, facts: &Qdisc) -> Vec<String> {
    let Culprit { queue, class, .. } = culprit;
    let mut facts_said = vec![counted(&queue.text(), queue)];
    if let Some(class) = class {
        facts_said.push(counted(&class.class_text(), class));
    }
    let above = facts.queues.iter().filter(|above| is_below(queue, above)).take(MOST);
    facts_said.extend(above.map(|above| format!("it hangs below {}", above.text())));
    let around = facts.classes.iter().filter(|class| class.handle == queue.parent).take(1);
    facts_said.extend(around.map(|class| format!("it is the queue of {}", class.class_text())));
    let others = active(facts).filter(|other| other.key() != queue.key() && other.counters.drops > 0).count();
    match others {
        0 => {}
        1 => facts_said.push("one more queue of the device has dropped packets".to_owned()),
        others => facts_said.push(format!("{others} more queues of the device have dropped packets")),
    }
    facts_said
}

fn counted(text: &str, queue: &Queue) -> String {
    let counters = queue.counters;
    let rose = match queue.rose {
        Some(rose) if rose > 0 => format!(", {rose} more than when it was read before"),
        _ => String::new(),
    };
    format!(
        "{text} counts {} drops{rose}; {} packets ({} bytes) wait, {} went through",
        counters.drops, counters.length, counters.backlog, counters.packets
    )
}

/// A queue in a few words: `tbf qdisc 8001:`.
fn named(queue: &Queue) -> String {
    match queue.handle {
        0 => format!("{} qdisc", queue.kind),
        number => format!("{} qdisc {}", queue.kind, handle(number)),
    }
}

#[cfg(test)]
mod tests;
