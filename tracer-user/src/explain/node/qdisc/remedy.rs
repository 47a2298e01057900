//! What to do about a queue that drops.
//!
//! Rule: a command keeps all settings but the one that it is about; where tc takes only all of them at once, they are
//! all given. Queues that nobody added (without a handle) are replaced, not changed or deleted.

use super::super::command;
use super::Culprit;
use crate::explain::{Observation, quoted};
use crate::node::device::Link;
use crate::node::qdisc::print::handle;
use crate::node::qdisc::{Limit, Queue};

/// The least limits that are proposed: the kernel's own default for queues of packets, and as many bytes at 100 each.
const PACKETS: u32 = 1000;
const BYTES: u64 = 100_000;

pub(super) fn remedies(culprit: Culprit<'_>, link: &Link, drop: &Observation<'_>) -> Vec<String> {
    let Culprit { queue, class, .. } = culprit;
    let device = quoted(&link.name);
    let mut remedy = vec![command(drop, &format!("tc -s qdisc show dev {device}"))];
    if queue.options.direct_limit.is_some() || class.is_some() {
        remedy.push(command(drop, &format!("tc -s class show dev {device}")));
    }
    let longer = class.is_none().then(|| longer(queue, link, &device)).flatten();
    remedy.extend(longer.map(|text| command(drop, &text)));
    if let Some(class) = class {
        let number = handle(class.handle);
        remedy.push(format!("raise the rate of class {number}, or send less by it"));
    } else if queue.options.direct_limit.is_some() {
        let kind = &queue.kind;
        remedy.push(format!("send it to a class; {kind} takes its default and direct_qlen only when it is added"));
    }
    // The kernel's own would only come back.
    if queue.handle != 0 {
        remedy.push(command(drop, &format!("tc qdisc del dev {device} {}", place(queue))));
    }
    remedy
}

/// The command for a longer queue.
fn longer(queue: &Queue, link: &Link, device: &str) -> Option<String> {
    // Below the kernel's own mq nothing can be addressed.
    if queue.options.loss.is_some() || (queue.handle == 0 && queue.parent != u32::MAX) {
        return None;
    }
    let limit = match queue.options.limit {
        Some(Limit::Bytes(bytes)) => bytes.saturating_mul(2).max(BYTES),
        Some(Limit::Packets(packets)) => packets.saturating_mul(2).max(PACKETS).into(),
        None if queue.kind == "pfifo_fast" => {
            let longer = link.queue_length?.saturating_mul(2).max(PACKETS);
            return Some(format!("ip link set dev {device} txqueuelen {longer}"));
        }
        None => return None,
    };
    let rest = match &*queue.kind {
        // All that tbf must be told; in bits a second and bytes, as tc reads them.
        "tbf" => {
            let (rate, burst) = (queue.options.rate?, queue.options.burst?);
            format!("tbf rate {}bit burst {burst} limit {limit}", rate.saturating_mul(8))
        }
        // red wants its averages and netem its delays again.
        "red" | "netem" | "sfq" => return None,
        kind => format!("{kind} limit {limit}"),
    };
    let place = place(queue);
    Some(match queue.handle {
        0 => format!("tc qdisc replace dev {device} {place} {rest}"),
        number => format!("tc qdisc change dev {device} {place} handle {} {rest}", handle(number)),
    })
}

fn place(queue: &Queue) -> String {
    match queue.parent {
        u32::MAX => "root".to_owned(),
        parent => format!("parent {}", handle(parent)),
    }
}
