//! What the node's own state, read after the drop, adds to what the kernel's event says.
//!
//! Rule: pure functions of the event and what was read. A family's function names the object that decided (setting,
//! route, socket, neighbour, program, queue) with its value, and gives a remedy that works when it is pasted; where the
//! state explains nothing (it has changed since, or it was another reason), what the event says stands as it was.

mod checksum;
mod device;
mod fragment;
mod ipsec;
mod mtu;
mod neighbour;
mod program;
mod qdisc;
mod reverse_path;
pub(super) mod route;
mod setting;
pub(super) mod socket;

pub(super) use program::cilium_reason;
pub(super) use reverse_path::way_back;

use super::location::NOT_SPECIFIED;
use super::observation::Observation;
use crate::event::{Cause, Explanation};
use crate::node::{Facts, State, Topic, setting::decides};

/// What is to be read about a drop that was judged so; `None` if nothing would tell more.
pub(super) fn topic(cause: Cause, drop: &Observation<'_>) -> Option<Topic> {
    let fragments = ["ip_defrag", "ip_frag_queue", "ip6_frag_queue", "ipv6_frag_rcv", "nf_ct_frag6_gather"];
    let is_fragment = drop.reason.is_some_and(|reason| reason.contains("FRAG") && !reason.contains("NEEDED"))
        || drop.symbol().contains("frag_expire")
        || drop.symbol() == "ip_expire"
        || fragments.contains(&drop.symbol());
    // The kernel has no reason for an IPsec policy that refuses to forward IPv6 (`ip6_forward`, net/ipv6/ip6_output.c, 6.18).
    let is_ipsec = drop.reason == Some(NOT_SPECIFIED) && drop.symbol() == "ip6_forward";
    Some(match cause {
        _ if drop.reason.is_some_and(decides) => Topic::Setting,
        _ if is_ipsec => Topic::Ipsec,
        Cause::Ipsec => Topic::Ipsec,
        Cause::Mtu | Cause::Checksum if is_fragment => Topic::Fragment,
        Cause::Checksum if drop.symbol().starts_with("vxlan_") => Topic::Device,
        Cause::ReversePath => Topic::ReversePath,
        Cause::NoRoute | Cause::RouteReject | Cause::Ttl => Topic::Route,
        Cause::NoSocket | Cause::SocketBuffer | Cause::ListenOverflow => Topic::Socket,
        Cause::Neighbour => Topic::Neighbour,
        Cause::Mtu => Topic::Mtu,
        Cause::BpfProgram => Topic::Program,
        Cause::Qdisc => Topic::Qdisc,
        Cause::Device => Topic::Device,
        Cause::Checksum => Topic::Checksum,
        _ => return None,
    })
}

/// Adds what was read.
pub(super) fn refine(explanation: &mut Explanation, state: &State, drop: &Observation<'_>) {
    match &state.facts {
        // Of attempts, not of drops.
        Facts::None | Facts::Silence(_) => {}
        Facts::ReversePath(facts) => reverse_path::refine(explanation, facts, drop),
        Facts::Route(facts) => route::refine(explanation, facts, drop),
        Facts::Socket(facts) => socket::refine(explanation, facts, drop),
        Facts::Neighbour(facts) => neighbour::refine(explanation, facts, drop),
        Facts::Mtu(facts) => mtu::refine(explanation, facts, drop),
        Facts::Fragment(facts) => fragment::refine(explanation, facts, drop),
        Facts::Program(facts) => program::refine(explanation, facts, drop),
        Facts::Qdisc(facts) => qdisc::refine(explanation, facts, drop),
        Facts::Device(facts) => device::refine(explanation, facts, drop),
        Facts::Setting(facts) => setting::refine(explanation, facts, drop),
        Facts::Ipsec(facts) => ipsec::refine(explanation, facts, drop),
        Facts::Checksum(facts) => checksum::refine(explanation, facts, drop),
    }
    let open = explanation.unknown.take().into_iter().chain(state.unknown.iter().cloned()).collect::<Vec<_>>();
    explanation.unknown = (!open.is_empty()).then(|| open.join("; "));
}

/// A complete command: with the packet's namespace entered.
fn command(drop: &Observation<'_>, command: &str) -> String {
    match drop.netns_entry {
        Some(entry) => format!("{entry} {command}"),
        None => command.to_owned(),
    }
}

/// Says what could not be decided, or what the state says to the contrary by now.
pub(super) fn doubt(explanation: &mut Explanation, doubt: String) {
    explanation.unknown = Some(match explanation.unknown.take() {
        Some(open) => format!("{open}; {doubt}"),
        None => doubt,
    });
}
