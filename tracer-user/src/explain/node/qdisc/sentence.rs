//! The sentence about the queue that dropped.

use super::{Culprit, is_full, named};
use crate::node::device::Link;
use crate::node::qdisc::print::{handle, rate_in_words, share};
use crate::node::qdisc::{Limit, Qdisc, Queue};

/// Kinds that drop nothing before they are full.
const FULL_ONLY: &[&str] = &["tbf", "pfifo", "bfifo", "pfifo_fast"];

pub(super) fn summary(culprit: Culprit<'_>, facts: &Qdisc, link: &Link) -> String {
    let Culprit { queue, class, .. } = culprit;
    let (name, what) = (&link.name, named(queue));
    let drops = so_far(queue);
    if let Some(class) = class {
        let rate = class.options.rate.map_or_else(String::new, |rate| format!(" ({})", rate_in_words(rate)));
        return format!(
            "class {} of the {what} of {name}{rate} takes no more: {}",
            handle(class.handle),
            waiting(class)
        );
    }
    match (queue.options.loss, queue.options.direct_limit) {
        (Some(loss), _) if !is_full(queue, facts.length) => {
            format!("the {what} of {name} drops {} of the packets on purpose, {drops}", share(loss))
        }
        (_, Some(limit)) => direct(queue, facts, name, limit),
        _ => {
            let settings = settings(queue, facts, link);
            let larger = queue.options.burst.filter(|burst| u64::from(facts.length) > *burst);
            if is_full(queue, facts.length) {
                format!("the {what} of {name}{settings} is full: {}", waiting(queue))
            } else if let Some(burst) = larger {
                let length = facts.length;
                format!("the {what} of {name}{settings} takes no packet of {length} bytes: its burst is {burst} bytes")
            } else if FULL_ONLY.contains(&&*queue.kind) {
                format!("the {what} of {name}{settings} was full: by now {}", waiting(queue))
            } else {
                format!("the {what} of {name}{settings} was full or dropped it early: {}", waiting(queue))
            }
        }
    }
}

/// htb without a class for the packet.
fn direct(queue: &Queue, facts: &Qdisc, device: &str, limit: u32) -> String {
    let class = queue.options.default_class.unwrap_or_default();
    let number = queue.handle | class;
    let default = if class == 0 {
        "it has no default class".to_owned()
    } else if facts.classes.iter().any(|class| class.handle == number) {
        format!("the default is {}", handle(number))
    } else {
        format!("its default class {} does not exist", handle(number))
    };
    let what = named(queue);
    format!(
        "the {what} of {device} has no class for it ({default}), and the queue for such packets (direct_qlen {limit}) is full: {}",
        so_far(queue)
    )
}

/// Rate and limit, and those of the class that it is the queue of.
fn settings(queue: &Queue, facts: &Qdisc, link: &Link) -> String {
    let rate = queue.options.rate.map(|rate| format!("rate {}", rate_in_words(rate)));
    let limit = match queue.options.limit {
        Some(Limit::Bytes(bytes)) => Some(format!("limit {bytes} bytes")),
        Some(Limit::Packets(1)) => Some("limit 1 packet".to_owned()),
        Some(Limit::Packets(packets)) => Some(format!("limit {packets} packets")),
        None if queue.kind == "pfifo_fast" => link.queue_length.map(|packets| format!("txqueuelen {packets} packets")),
        None => None,
    };
    let flow = queue.options.flow_limit.map(|packets| format!("{packets} packets a flow"));
    let class = facts.classes.iter().find(|class| class.handle == queue.parent);
    let class = class.map(|class| {
        let rate = class.options.rate.map_or_else(String::new, |rate| format!(" with {}", rate_in_words(rate)));
        format!("in class {}{rate}", handle(class.handle))
    });
    let parts = [rate, limit, flow, class].into_iter().flatten().collect::<Vec<_>>();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn waiting(queue: &Queue) -> String {
    let counters = &queue.counters;
    let amount = match queue.options.limit {
        Some(Limit::Bytes(_)) => format!("{} bytes", counters.backlog),
        _ if counters.length == 1 => "1 packet".to_owned(),
        _ => format!("{} packets", counters.length),
    };
    format!("{amount} queued, {}", so_far(queue))
}

fn so_far(queue: &Queue) -> String {
    match queue.counters.drops {
        1 => "1 packet dropped so far".to_owned(),
        drops => format!("{drops} packets dropped so far"),
    }
}
