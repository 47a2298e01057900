//! The one sentence that says what happened, with the values of the packet where they help.

use super::fill::sentence;
use super::observation::{Observation, Segment};

/// Sentences of common reasons, with placeholders; all others use the catalogue's meaning.
const SENTENCES: &[(&str, &str)] = &[
    ("BPF_CGROUP_EGRESS", "a BPF program of the sender's cgroup refused a packet to {to}"),
    ("CPU_BACKLOG", "the receive backlog of a CPU is full"),
    ("DEV_READY", "{interface} was not ready"),
    ("FRAG_REASM_TIMEOUT", "the other fragments of a packet from {source} never came"),
    ("FULL_RING", "the ring of {interface} is full"),
    ("IPV6DISABLED", "IPv6 is switched off on {interface}"),
    ("IP_INNOROUTES", "no route leads to {destination}"),
    ("IP_LOCALNET", "a loopback address came from outside by {interface}"),
    ("IP_LOCAL_SOURCE", "this machine's own address {source} came from outside by {interface}"),
    ("IP_OUTNOROUTES", "this machine has no route to {destination} for a packet that it sends itself"),
    ("IP_RPFILTER", "the reverse-path filter refused the source {source} on {interface}"),
    ("NEIGH_FAILED", "the next hop towards {destination} did not answer ARP or neighbour discovery"),
    ("NEIGH_QUEUEFULL", "too many packets to {destination} were waiting for the next hop to answer"),
    ("NO_SOCKET", "nobody listens on {to}"),
    ("PKT_TOO_BIG", "a packet to {destination} is larger than the next link takes and must not be fragmented"),
    ("QDISC_DROP", "the queueing discipline of {interface} dropped it"),
    ("SOCKET_BACKLOG", "the socket {to} was busy and its backlog is full"),
    ("SOCKET_FILTER", "a filter of the socket {to} or of its cgroup refused it"),
    ("SOCKET_RCVBUFF", "the receive buffer of the socket {to} is full"),
    ("TCP_LISTEN_OVERFLOW", "the accept queue of the listener {to} is full"),
    ("TC_EGRESS", "a tc filter or BPF program on {interface} dropped it on transmit"),
    ("TC_INGRESS", "a tc filter or BPF program on {interface} dropped it on receive"),
    ("XDP", "an XDP program on {interface} dropped it"),
];

/// The sentence of a reason; `meaning` is what the catalogue says.
pub(super) fn of_reason(name: &str, meaning: Option<&str>, drop: &Observation<'_>) -> String {
    if let Some(template) = special(name, drop) {
        return sentence(template, drop);
    }
    let listed = SENTENCES.iter().find(|(reason, _)| *reason == name).map(|(_, template)| *template);
    match listed.or(meaning) {
        Some(template) => sentence(template, drop),
        None => format!("the kernel dropped it with reason {name}, which has no description yet"),
    }
}

/// Where the packet changes what the reason means.
fn special(name: &str, drop: &Observation<'_>) -> Option<&'static str> {
    match (name, drop.tcp()?) {
        ("NO_SOCKET", Segment::Open) => None,
        ("NO_SOCKET", Segment::OpenAnswer) => Some("the answer to a connection attempt came when nobody waited for it"),
        ("NO_SOCKET", _) => Some("a late segment to {to}, where the connection is gone"),
        _ => None,
    }
}

/// The sentence of a drop without reason at a place that says nothing.
pub(super) fn of_place(symbol: &str) -> String {
    if symbol.is_empty() {
        return "the kernel dropped it and gives no reason".to_owned();
    }
    format!("the kernel dropped it in {symbol} and gives no reason")
}
