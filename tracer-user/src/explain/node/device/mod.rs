//! What the state of a device adds: whether it works, and what a bridge, an overlay network, a tun device or the
//! receive queue of a CPU decided.

mod backlog;
mod bridge;
mod link;
mod overlay;
mod tun;

pub(super) use link::out_of_order;

use crate::event::Explanation;
use crate::explain::Observation;
use crate::node::device::Device;

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, facts: &Device, drop: &Observation<'_>) {
    let link = facts.link.as_ref();
    if let Some(found) = &facts.backlog {
        backlog::refine(explanation, found, drop);
    } else if let Some(found) = &facts.overlay {
        overlay::refine(explanation, found, facts, drop);
    } else if let Some(found) = &facts.bridge {
        bridge::refine(explanation, found, facts, drop);
    } else if let Some(link) = link.filter(|link| !link.works()) {
        out_of_order(explanation, link, facts.peer.as_ref(), facts.holders.as_ref(), drop);
        return;
    } else if let (Some(link), Some(holders)) = (link, &facts.holders) {
        tun::refine(explanation, link, holders, drop);
    }
    explanation.evidence.extend(link.map(link::state));
}
