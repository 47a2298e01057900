//! A source (or a loopback destination) that may not come in by the interface: which setting refuses it, and the route back
//! that the kernel compared with.
//!
//! Rule: the kernel's reason decides what is explained; where it gives none, what the live state refuses. If that would take
//! the packet now, nothing but that is said.

mod filter;
mod other;
mod wording;

#[cfg(test)]
mod tests;

use crate::event::{Confidence, Explanation};
use crate::explain::Observation;
use crate::node::reverse_path::{Again, Checked, Refusal, ReversePath};

pub(in crate::explain) use wording::way_back;

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &ReversePath, drop: &Observation<'_>) {
    let Some(checked) = state.checked.as_deref() else { return };
    let by_reason = match drop.reason {
        Some("IP_RPFILTER") => Some(Refusal::Filter),
        Some("IP_LOCAL_SOURCE") => Some(Refusal::LocalSource),
        Some("IP_INVALID_SOURCE") => Some(Refusal::NeverASource),
        Some("IP_LOCALNET") => Some(Refusal::Loopback),
        _ => None,
    };
    let by_state = checked.refusal().filter(|_| checked.again != Again::Takes);
    if let Some(changed) = by_reason.and_then(|reason| changed(checked, reason)) {
        wording::note(explanation, changed);
        return;
    }
    let refusal = by_reason.or(by_state);
    // Options are looked at last.
    if refusal.is_none() && checked.source_route.is_none() {
        wording::note(explanation, &undecided(checked));
        return;
    }
    explanation.confidence = Confidence::Derived;
    match refusal {
        Some(Refusal::Filter) => filter::explain(explanation, checked, drop),
        Some(Refusal::LocalSource) => other::local_source(explanation, checked, drop),
        Some(Refusal::NeverASource) => other::never_a_source(explanation, checked, drop),
        Some(Refusal::Loopback) => other::loopback(explanation, checked, drop),
        None => other::source_route(explanation, checked, drop),
    }
}

/// How the live state contradicts the reason that the kernel gave.
fn changed(checked: &Checked, reason: Refusal) -> Option<&'static str> {
    const OTHER: &str = "what has changed since: as it is set now, it would not be refused for that";
    let is_off = match (&checked.again, checked.refusal()) {
        (Again::Takes, _) => return Some("what has changed since: the kernel would take such a packet now"),
        (Again::Refuses, _) => false,
        (_, Some(refusal)) => refusal != reason,
        (_, None) => match reason {
            Refusal::Filter => checked.filter_refuses() == Some(false),
            Refusal::LocalSource => checked.settings.accept_local.is_on(),
            Refusal::Loopback => checked.settings.route_localnet.is_on(),
            Refusal::NeverASource => false,
        },
    };
    is_off.then_some(OTHER)
}

fn undecided(checked: &Checked) -> String {
    match &checked.again {
        Again::Takes => "what it was: the kernel would take such a packet now".to_owned(),
        Again::Refuses => "what it was: the kernel refuses such a packet, for none of the known reasons".to_owned(),
        Again::Unasked => "what it was".to_owned(),
        Again::Unknown(why) => format!("whether the kernel would take such a packet now: {why}"),
    }
}
