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

use netlink_packet_route::route::RouteType;

use crate::event::{Confidence, Explanation};
use crate::explain::Observation;
use crate::node::reverse_path::{Again, Checked, End, ReversePath, is_never_a_source};

pub(in crate::explain) use wording::way_back;

/// What the check refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The route back, by `rp_filter`.
    Filter,
    /// An address of this machine as source.
    LocalSource,
    /// An address that can't be a source.
    NeverASource,
    /// An address of 127.0.0.0/8.
    Loopback,
    /// An option that names routers to pass.
    SourceRoute,
}

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &ReversePath, drop: &Observation<'_>) {
    let Some(checked) = state.checked.as_deref() else { return };
    let by_reason = match drop.reason {
        Some("IP_RPFILTER") => Some(Why::Filter),
        Some("IP_LOCAL_SOURCE") => Some(Why::LocalSource),
        Some("IP_INVALID_SOURCE") => Some(Why::NeverASource),
        Some("IP_LOCALNET") => Some(Why::Loopback),
        _ => None,
    };
    let refused = by_state(checked);
    let Some(why) = by_reason.or(refused).or_else(|| checked.source_route.map(|_| Why::SourceRoute)) else {
        explanation.unknown = joined(explanation.unknown.take(), undecided(checked));
        return;
    };
    if by_reason.is_some() && takes_now(checked, why) {
        let why = "what has changed since: the kernel would take such a packet now".to_owned();
        explanation.unknown = joined(explanation.unknown.take(), why);
        return;
    }
    explanation.confidence = Confidence::Derived;
    match why {
        Why::Filter => filter::explain(explanation, checked, drop),
        Why::LocalSource => other::local_source(explanation, checked, drop),
        Why::NeverASource => other::never_a_source(explanation, checked, drop),
        Why::Loopback => other::loopback(explanation, checked, drop),
        Why::SourceRoute => other::source_route(explanation, checked, drop),
    }
}

/// What the live state refuses, in the order in which the kernel looks.
fn by_state(checked: &Checked) -> Option<Why> {
    if checked.again == Again::Takes {
        return None;
    }
    if is_never_a_source(checked.source) {
        return Some(Why::NeverASource);
    }
    if is_loopback(checked) && checked.settings.route_localnet.is_off() {
        return Some(Why::Loopback);
    }
    if let Some(End::Route(route)) = checked.back.as_ref().map(|back| &back.end) {
        match route.kind {
            RouteType::Unicast => {}
            RouteType::Local if checked.settings.accept_local.is_on() => {}
            RouteType::Local => return Some(Why::LocalSource),
            _ => return Some(Why::NeverASource),
        }
    }
    (filter::refuses(checked) == Some(true)).then_some(Why::Filter)
}

fn is_loopback(checked: &Checked) -> bool {
    checked.source.is_loopback() || checked.destination.is_loopback()
}

/// Whether the live state contradicts the reason that the kernel gave.
fn takes_now(checked: &Checked, why: Why) -> bool {
    match (&checked.again, why) {
        (Again::Takes, _) => true,
        (Again::Refuses, _) => false,
        (Again::Unasked(_), Why::Filter) => filter::refuses(checked) == Some(false),
        (Again::Unasked(_), Why::LocalSource) => checked.settings.accept_local.is_on(),
        (Again::Unasked(_), Why::Loopback) => checked.settings.route_localnet.is_on(),
        (Again::Unasked(_), Why::NeverASource | Why::SourceRoute) => false,
    }
}

fn undecided(checked: &Checked) -> String {
    match &checked.again {
        Again::Takes => "what it was: the kernel would take such a packet now".to_owned(),
        Again::Refuses => "what it was: the kernel refuses such a packet, for none of the known reasons".to_owned(),
        Again::Unasked(why) => format!("whether the kernel would take such a packet now: {why}"),
    }
}

fn joined(old: Option<String>, new: String) -> Option<String> {
    Some(old.map_or_else(|| new.clone(), |old| format!("{old}; {new}")))
}
