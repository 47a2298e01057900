//! What connection tracking has made of a packet, in words.

use tracer_common::ENTRY;

use super::packet::has_ports;
use crate::decode::{Connection, Dropped, Tuple, protocol};
use crate::event::{Conntrack, ConntrackEnd, ConntrackState, ConntrackStatus, ConntrackTuple};

/// The status bits that say something to those who read rules (`enum ip_conntrack_status`,
/// include/uapi/linux/netfilter/nf_conntrack_common.h, 5.10 to 7.2); the others are the kernel's own steps on the way.
const STATUS: [(u32, ConntrackStatus); 11] = [
    (1 << 0, ConntrackStatus::Expected),
    (1 << 1, ConntrackStatus::SeenReply),
    (1 << 2, ConntrackStatus::Assured),
    (1 << 3, ConntrackStatus::Confirmed),
    (1 << 4, ConntrackStatus::Snat),
    (1 << 5, ConntrackStatus::Dnat),
    (1 << 9, ConntrackStatus::Dying),
    (1 << 11, ConntrackStatus::Template),
    (1 << 13, ConntrackStatus::Helper),
    (1 << 14, ConntrackStatus::Offload),
    (1 << 15, ConntrackStatus::HwOffload),
];

/// `enum ip_conntrack_info` (include/uapi/linux/netfilter/nf_conntrack_common.h): 0 established, 1 related, 2 new, 3 and 4
/// the same for replies, 7 untracked. Without an entry nothing is known.
pub fn conntrack(dropped: &Dropped) -> Option<Conntrack> {
    let state = match (dropped.event.conntrack & 7, dropped.event.conntrack & ENTRY != 0) {
        (7, _) => ConntrackState::Untracked,
        (0 | 3, true) => ConntrackState::Established,
        (1 | 4, true) => ConntrackState::Related,
        (2, true) => ConntrackState::New,
        _ => return None,
    };
    let connection = dropped.connection();
    let connection = connection.as_ref();
    Some(Conntrack {
        state,
        mark: connection.map(|connection| connection.mark),
        status: connection.map(status),
        original: connection.map(|connection| tuple(&connection.original)),
        reply: connection.map(|connection| tuple(&connection.reply)),
    })
}

fn status(connection: &Connection) -> Vec<ConntrackStatus> {
    STATUS.into_iter().filter(|(bit, _)| connection.status & bit != 0).map(|(_, word)| word).collect()
}

fn tuple(tuple: &Tuple) -> ConntrackTuple {
    let port = |port| has_ports(tuple.protocol).then_some(port);
    ConntrackTuple {
        protocol: protocol::name(tuple.protocol),
        source: ConntrackEnd { address: tuple.source, port: port(tuple.source_port) },
        destination: ConntrackEnd { address: tuple.destination, port: port(tuple.destination_port) },
    }
}
