//! Whether names hold for the packets that come later too, so that the next line of a flow costs no look-up.

use crate::event::{Drop, Endpoint, Packet};
use crate::kubernetes::{Index, Span};

/// Whether naming a later packet of the flow gives the same names, so long as no source says more.
pub fn is_steady(drop: &Drop, index: &Index, span: Span) -> bool {
    let is_end_steady = |end: &Endpoint| end.address.is_none_or(|address| index.is_steady_at(address, span));
    index.is_steady_netns(drop.netns.inode, span)
        && is_end_steady(&drop.packet.source)
        && is_end_steady(&drop.packet.destination)
}

/// Hands the names of a flow's packet on to its next one. False, and nothing is done, if it has other ends: the other port of a
/// pod or a node is of no account.
pub fn keep_names(from: &mut Packet, to: &mut Packet) -> bool {
    let is_same = |one: &Endpoint, other: &Endpoint| {
        let is_any_port = one.service.is_none() && (one.pod.is_some() || one.node.is_some());
        one.address == other.address && (is_any_port || one.port == other.port)
    };
    if !is_same(&from.source, &to.source) || !is_same(&from.destination, &to.destination) {
        return false;
    }
    for (from, to) in [(&mut from.source, &mut to.source), (&mut from.destination, &mut to.destination)] {
        std::mem::swap(from, to);
        to.port = from.port;
    }
    true
}
