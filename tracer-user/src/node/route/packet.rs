//! What rules and routes ask of a packet.

use std::net::IpAddr;

use tracer_common::{FLAG_OWNER, HEAD_MAC, HEAD_NETWORK};

use super::lookup::Flow;
use crate::decode::Dropped;
use crate::node::Scene;

const ETHERNET: usize = 14;

/// The packet of the question.
pub(super) fn flow(scene: &Scene<'_>, destination: IpAddr, came_in_by: u32, input: Option<String>) -> Flow {
    let packet = &scene.question.packet;
    let dropped = packet.dropped.as_deref();
    let owner = dropped.filter(|dropped| dropped.event.flags & FLAG_OWNER != 0).map(|dropped| dropped.event.uid);
    let master = scene.host.interface(scene.question.netns.inode, came_in_by).and_then(|interface| interface.master);
    let master = master.and_then(|index| scene.host.interface(scene.question.netns.inode, index));
    Flow {
        source: packet.source,
        destination,
        protocol: packet.protocol,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        mark: packet.mark,
        tos: dropped.and_then(service),
        input: if came_in_by == 0 { Some("lo".to_owned()) } else { input },
        output: None,
        user: if came_in_by == 0 { owner } else { Some(0) },
        in_vrf: master.is_some_and(|master| master.kind.as_deref() == Some("vrf")),
    }
}

/// Type of service or traffic class.
fn service(dropped: &Dropped) -> Option<u8> {
    let event = &dropped.event;
    let at = match event.head_kind {
        HEAD_NETWORK => 0,
        // With a tag in the frame it is elsewhere, and not looked for.
        HEAD_MAC if dropped.headers.vlan.is_none() => ETHERNET,
        _ => return None,
    };
    let head = event.head.get(..usize::from(event.head_length))?;
    let (first, second) = (*head.get(at)?, *head.get(at + 1)?);
    match first >> 4 {
        4 => Some(second),
        6 => Some(first << 4 | second >> 4),
        _ => None,
    }
}

/// The source of the Ethernet frame.
pub(super) fn link_source(dropped: &Dropped) -> Option<[u8; 6]> {
    let event = &dropped.event;
    let head = event.head.get(..usize::from(event.head_length)).filter(|_| event.head_kind == HEAD_MAC)?;
    head.get(6..12)?.first_chunk().copied()
}
