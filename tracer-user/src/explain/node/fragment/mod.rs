//! Fragments that were not put together.
//!
//! Rule: the event says what the kernel did with a fragment; settings and memory say why. Memory that is full now was full
//! at the drop: it is only given back when datagrams are whole or their time is over.

#[cfg(test)]
mod tests;

use super::command;
use crate::event::{Cause, Confidence, Explanation, Sysctl};
use crate::explain::{Observation, quoted};
use crate::node::fragment::Fragments;

/// What kernels use without a setting (`ipv4_frags_init_net` and `ipv6_frags_init_net`, 5.10 to 6.18).
const USUAL_MEMORY: u64 = 4 << 20;
const USUAL_DISTANCE: u64 = 64;
const MAX_DIST: &str = "net.ipv4.ipfrag_max_dist";

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &Fragments, drop: &Observation<'_>) {
    if state.time.is_none() && state.high_thresh.is_none() {
        return;
    }
    if let Some(piece) = state.piece {
        let end = piece.offset.saturating_add(piece.length).saturating_sub(1);
        let rest = if piece.more { "more were to follow" } else { "it is the last" };
        explanation.evidence.push(format!(
            "this fragment of datagram id {} holds bytes {} to {end}; {rest}",
            id(state),
            piece.offset
        ));
    }
    memory(explanation, state);
    let is_late = drop.reason == Some("FRAG_REASM_TIMEOUT") || drop.symbol().contains("expire");
    if drop.reason == Some("FRAG_TOO_FAR") {
        too_far(explanation, state, drop);
    } else if is_late {
        late(explanation, state, drop);
    } else if is_full(state) {
        full(explanation, state, drop);
    } else {
        contradicting(explanation, state, drop);
    }
    counters(explanation, state);
}

/// The kernel refuses a new datagram when more is taken (`inet_frag_create`, `net/ipv4/inet_fragment.c`).
fn is_full(state: &Fragments) -> bool {
    match (state.memory, state.high_thresh) {
        (_, Some(0)) => true,
        (Some((bytes, _)), Some(high)) => bytes > high,
        _ => false,
    }
}

/// Hexadecimal, as captures show it.
fn id(state: &Fragments) -> String {
    state.piece.map_or_else(|| "unknown".to_owned(), |piece| format!("{:#06x}", piece.id))
}

/// ` of datagram id 0x0009 from 10.0.0.1`, as much as is known.
fn datagram(state: &Fragments, drop: &Observation<'_>) -> String {
    let from = drop.source.map(|source| format!(" from {source}")).unwrap_or_default();
    match state.piece {
        Some(_) => format!("datagram id {}{from}", id(state)),
        None => format!("a datagram{from}"),
    }
}

fn setting(explanation: &mut Explanation, name: &str, value: u64) {
    let value = value.to_string();
    explanation.sysctl = Some(vec![Sysctl { name: name.to_owned(), value: value.clone(), effective: value }]);
}

fn late(explanation: &mut Explanation, state: &Fragments, drop: &Observation<'_>) {
    let name = state.names.time;
    let within = state.time.map(|time| format!(" within {time} s ({name})")).unwrap_or_default();
    explanation.summary = format!("only some fragments of {} came{within}", datagram(state, drop));
    explanation.remedy = looks(drop);
    if let Some(time) = state.time {
        setting(explanation, name, time);
        let usual = if drop.is_ipv6() { 60 } else { 30 };
        if time < usual {
            explanation.remedy.push(command(drop, &format!("sysctl -w {name}={usual}")));
        }
    }
    if is_full(state) {
        explanation.evidence.push("the memory of reassembly is full: other fragments may have been refused".to_owned());
        explanation.remedy.push(more_memory(state, drop));
    }
    explanation.remedy.push(avoid(drop));
}

fn too_far(explanation: &mut Explanation, state: &Fragments, drop: &Observation<'_>) {
    explanation.remedy = looks(drop);
    if let Some(distance) = state.max_dist {
        explanation.summary = format!(
            "more than {distance} fragments of other datagrams came between those of {}: {MAX_DIST} is {distance}",
            datagram(state, drop)
        );
        explanation.evidence.push(format!("{MAX_DIST} is {distance}: a sender's fragments may be mixed up so far"));
        setting(explanation, MAX_DIST, distance);
        let more = distance.saturating_mul(2).max(USUAL_DISTANCE);
        explanation.remedy.push(command(drop, &format!("sysctl -w {MAX_DIST}={more}")));
    }
    explanation.remedy.push(avoid(drop));
}

fn full(explanation: &mut Explanation, state: &Fragments, drop: &Observation<'_>) {
    let name = state.names.high_thresh;
    let high = state.high_thresh.unwrap_or_default();
    let bytes = state.memory.map_or_else(|| "all".to_owned(), |(bytes, _)| bytes.to_string());
    explanation.summary = format!(
        "the reassembly memory is full: {bytes} bytes are taken, {name} is {high}; {} is refused",
        datagram(state, drop)
    );
    explanation.cause = Cause::Mtu;
    explanation.confidence = Confidence::Derived;
    setting(explanation, name, high);
    explanation.remedy = looks(drop);
    explanation.remedy.push(more_memory(state, drop));
    explanation.remedy.push(avoid(drop));
}

fn contradicting(explanation: &mut Explanation, state: &Fragments, drop: &Observation<'_>) {
    if state.piece.is_none() || drop.reason.is_some_and(|reason| reason.contains("FRAG")) {
        return;
    }
    explanation.summary = format!("the fragments of {} overlap or contradict each other", datagram(state, drop));
    explanation.remedy = looks(drop);
    explanation.remedy.push(
        "look for what makes such fragments: two senders with the same address and datagram id, a broken device, or an \
         attack (RFC 5722)"
            .to_owned(),
    );
}

fn memory(explanation: &mut Explanation, state: &Fragments) {
    if let (Some((bytes, datagrams)), Some(high)) = (state.memory, state.high_thresh) {
        explanation.evidence.push(format!(
            "fragments of {datagrams} datagrams take {bytes} bytes; {} is {high}",
            state.names.high_thresh
        ));
    }
}

fn counters(explanation: &mut Explanation, state: &Fragments) {
    if let Some(counters) = state.counters {
        explanation.evidence.push(format!(
            "the namespace counts {} fragments, {} datagrams put together, {} timeouts, {} failures (ReasmReqds, \
             ReasmOKs, ReasmTimeout, ReasmFails)",
            counters.requests, counters.oks, counters.timeouts, counters.fails
        ));
    }
}

fn more_memory(state: &Fragments, drop: &Observation<'_>) -> String {
    let more = state.high_thresh.unwrap_or_default().saturating_mul(2).max(USUAL_MEMORY);
    command(drop, &format!("sysctl -w {}={more}", state.names.high_thresh))
}

/// Commands that show counters and the fragments that come.
fn looks(drop: &Observation<'_>) -> Vec<String> {
    let ipv6 = if drop.is_ipv6() { "6" } else { "" };
    let counters = format!("nstat -az Ip{ipv6}ReasmReqds Ip{ipv6}ReasmOKs Ip{ipv6}ReasmTimeout Ip{ipv6}ReasmFails");
    let mut looks = vec![command(drop, &counters)];
    if let (Some(interface), Some(source)) = (drop.interface, drop.source) {
        let fragments = if drop.is_ipv6() { "ip6[6] = 44" } else { "ip[6:2] & 0x3fff != 0" };
        let interface = quoted(interface);
        looks.push(command(drop, &format!("tcpdump -nvi {interface} '{fragments} and src host {source}'")));
    }
    looks
}

fn avoid(drop: &Observation<'_>) -> String {
    let from = drop.source.map_or_else(|| "the sender".to_owned(), |source| source.to_string());
    format!(
        "see that nothing between filters or loses fragments, and avoid them: smaller datagrams, or a lower MTU, at {from}"
    )
}
