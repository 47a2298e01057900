//! TTL and hop limit.
//!
//! Rule: a loop is only told where the next hop is the very neighbour that the packet came from, by its link-layer
//! address.

use super::{destination, ip};
use crate::event::{Confidence, Explanation, Route};
use crate::explain::Observation;
use crate::explain::node::command;
use crate::node::route::{End, Next, Routing, Told};

pub(super) fn refine(explanation: &mut Explanation, state: &Routing, drop: &Observation<'_>) {
    let route = match state.way.as_ref().map(|way| &way.end) {
        Some(End::Route(route)) => Some(route),
        _ => None,
    };
    if let Some(route) = route {
        explanation.route = Some(Route { text: route.text.clone(), table: Some(route.table.clone()) });
        explanation.evidence.push(format!("its route is `{}` (table {})", route.text, route.table));
    }
    let Some(next) = &state.next else { return };
    let came_from = state.from.filter(|from| next.is_back && next.link.as_deref() == Some(from));
    explanation.evidence.push(going(next));
    match (came_from, route) {
        (Some(from), Some(route)) => back(explanation, state, (next, from), route, drop),
        _ => used_up(explanation, drop),
    }
}

fn going(next: &Next) -> String {
    let link = next.link.as_deref().map(|link| format!(" ({})", mac(link))).unwrap_or_default();
    let what = if next.is_router { "the router" } else { "its destination" };
    let back = if next.is_back { ", the interface that it came in by" } else { "" };
    format!("it would go on to {what} {}{link} by {}{back}", next.address, next.device)
}

/// The next hop is where it came from.
fn back(
    explanation: &mut Explanation,
    state: &Routing,
    (next, from): (&Next, [u8; 6]),
    route: &Told,
    drop: &Observation<'_>,
) {
    let to = destination(drop);
    let Next { address, device, .. } = next;
    explanation.confidence = Confidence::Derived;
    explanation.summary = format!(
        "routing loop: the route `{}` (table {}) sends packets to {to} back to {address} on {device}, where they come \
         from, until their TTL is used up",
        route.text, route.table
    );
    explanation.evidence.push(format!("it came from {}, which is {address}", mac(&from)));
    let delete = command(drop, &format!("{} route del {}", ip(drop), route.key));
    explanation.remedy = match &state.otherwise {
        Some(End::Route(other)) if other.device != route.device => {
            explanation
                .evidence
                .push(format!("without that route, `{}` (table {}) leads there", other.text, other.table));
            vec![format!("correct the route on {address} or here, so that one of the two sends {to} elsewhere"), delete]
        }
        _ => vec![
            command(drop, &format!("{} route get {to}", ip(drop))),
            format!("correct the route on {address} or here, so that one of the two sends {to} elsewhere"),
        ],
    };
}

/// No sign of a loop.
fn used_up(explanation: &mut Explanation, drop: &Observation<'_>) {
    let to = destination(drop);
    let limit = if drop.is_ipv6() { "hop limit" } else { "TTL" };
    explanation.remedy.push(format!(
        "if the way is right, let the sender start with a larger {limit}: Linux takes net.{}=64",
        if drop.is_ipv6() { "ipv6.conf.all.hop_limit" } else { "ipv4.ip_default_ttl" }
    ));
    explanation.unknown = Some(format!(
        "whether it has gone in a circle: its next hop is not where it came from, so ask the routers on the way to {to}"
    ));
}

fn mac(address: &[u8]) -> String {
    address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
