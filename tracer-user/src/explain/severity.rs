//! Whether someone should look at a drop, and why.
//!
//! Rule: a drop is a problem unless something about it is known to be harmless. The place says most, then the packet,
//! then the reason; each class carries its why, and no class hides a count.

use super::location::{NOT_SPECIFIED, Place};
use super::observation::{Observation, Segment, TCP, UDP};
use crate::event::Severity::{self, Expected, Noise, Problem};
use crate::explain::catalogue::ReasonEntry;

type Class = (Severity, &'static str);

/// For these, a broadcast or multicast packet is one that simply ends here.
const MULTICAST_ENDS: &[&str] = &[
    NOT_SPECIFIED,
    "NO_SOCKET",
    "IP_INNOROUTES",
    "IP_INADDRERRORS",
    "NO_TX_TARGET",
    "IPV6DISABLED",
    "UNHANDLED_PROTO",
    "IP_NOPROTO",
    "BRIDGE_INGRESS_STP_STATE",
];

/// For these, somebody refused a broadcast or multicast packet, as firewalls do.
const MULTICAST_REFUSED: &[&str] = &[
    "NETFILTER_DROP",
    "TC_INGRESS",
    "TC_EGRESS",
    "XDP",
    "BPF_CGROUP_EGRESS",
    "SOCKET_FILTER",
    "IP_RPFILTER",
    "IP_INVALID_SOURCE",
    "IP_LOCAL_SOURCE",
    "LOCAL_MAC",
];

/// Reasons that messages between local sockets share with packets.
const LOCAL: &[&str] = &[NOT_SPECIFIED, "NO_SOCKET", "SOCKET_FILTER", "SOCKET_RCVBUFF", "PROTO_MEM", "PKT_TOO_SMALL"];

/// First port of the range from which Linux clients take their ports (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;

/// The class of a drop: `reason` is the effective one (the row's likeness, the kernel's, the derived one).
pub(super) fn class(
    reason: Option<&str>,
    place: Option<&Place>,
    entry: Option<&ReasonEntry>,
    drop: &Observation<'_>,
) -> Class {
    if let Some(class) = place.and_then(|place| place.severity) {
        return class;
    }
    let known = entry.map(|entry| (entry.severity, entry.severity_why));
    by_packet(reason.unwrap_or(NOT_SPECIFIED), drop).or(known).unwrap_or(if reason.is_some() {
        (Problem, "a reason that is not described yet, and so not known to be harmless")
    } else {
        (Problem, "this kernel gives no reason, and the place is not known to be harmless")
    })
}

fn by_packet(reason: &str, drop: &Observation<'_>) -> Option<Class> {
    if drop.is_local_message() && LOCAL.contains(&reason) {
        return Some((Noise, "local sockets, not the network"));
    }
    if drop.is_otherhost() && matches!(reason, NOT_SPECIFIED | "UNHANDLED_PROTO" | "NO_SOCKET") {
        return Some((Noise, "a frame for another machine was flooded to this one"));
    }
    if drop.is_multicast() {
        return multicast(reason, drop);
    }
    match reason {
        "NO_SOCKET" => no_socket(drop),
        "TCP_FLAGS" => match drop.tcp() {
            Some(Segment::Close | Segment::Reset) => Some((Noise, "the end of a connection that is already gone")),
            _ => None,
        },
        "SOCKET_FILTER" if drop.protocol.is_some_and(|protocol| protocol != TCP && protocol != UDP) => {
            Some((Expected, "raw sockets get copies of everything and filter what they want"))
        }
        _ => None,
    }
}

fn multicast(reason: &str, drop: &Observation<'_>) -> Option<Class> {
    if MULTICAST_ENDS.contains(&reason) {
        return Some((Noise, "broadcast or multicast that nobody on this machine asked for"));
    }
    if !MULTICAST_REFUSED.contains(&reason) {
        return None;
    }
    Some(if drop.is_arp() || drop.is_neighbour_discovery() {
        (Problem, "questions for addresses are refused, so machines cannot find each other")
    } else {
        (Expected, "broadcast and multicast are refused by many firewalls on purpose")
    })
}

fn no_socket(drop: &Observation<'_>) -> Option<Class> {
    if drop.is_icmp() {
        return Some((Noise, "an answer that nobody waits for any more"));
    }
    match drop.tcp() {
        Some(Segment::Reset) => Some((Noise, "a reset for a connection that is already gone")),
        Some(Segment::Close) => Some((Noise, "the end of a connection that is already gone")),
        Some(Segment::OpenAnswer | Segment::Other) => Some((Expected, "a late segment of a connection that is gone")),
        Some(Segment::Open) => Some((Problem, "somebody tries to connect to a port that nobody serves")),
        None if is_late_answer(drop) => Some((Expected, "an answer that came after its socket was closed")),
        None => None,
    }
}

/// A datagram from a server's port to a client's: DNS answers often come after their asker has gone.
fn is_late_answer(drop: &Observation<'_>) -> bool {
    drop.protocol == Some(UDP)
        && drop.source_port.is_some_and(|port| port != 0 && port < 1024)
        && drop.destination_port.is_some_and(|port| port >= EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::catalogue::reason;

    #[test]
    fn lists_name_reasons_that_exist() {
        for name in MULTICAST_ENDS.iter().chain(MULTICAST_REFUSED).chain(LOCAL) {
            assert!(reason(name).is_some(), "{name}");
        }
    }
}
