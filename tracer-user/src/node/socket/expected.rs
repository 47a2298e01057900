//! Who should take a packet that arrived, without any drop that says what became of it: its listener with the queues, or
//! what is there instead.
//!
//! Rule: what is read is a state after the fact; whether it explains a silence is decided by who explains.

use super::absent::{self, Absent};
use super::busy::{self, Settings};
use super::diag::{self, TCP, UDP, UDPLITE, Which};
use super::{Held, Memory, ends, frozen};
use crate::host::HostError;
use crate::node::Scene;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The socket that takes such packets; of several alike the fullest.
    pub taker: Option<Held>,
    /// Other sockets that it may as well be for (`SO_REUSEPORT`).
    pub alternatives: usize,
    /// The cgroup of the taker's program is frozen.
    pub is_frozen: bool,
    /// What its count of drops was at an earlier reading.
    pub drops_before: Option<u32>,
    /// Of TCP: handshakes that wait for a client's last ACK; `None` if they could not be listed.
    pub half_open: Option<HalfOpen>,
    /// Where nothing takes such packets.
    pub absent: Option<Box<Absent>>,
    pub settings: Settings,
}

/// Half-open handshakes at one port: for each of them a SYN-ACK was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfOpen {
    pub all: usize,
    /// Those of the client's address.
    pub of_client: usize,
}

/// Reads it; `None` if the packet's ends are not known, or the protocol has no sockets that are listed.
pub(in crate::node) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Option<Expected>, HostError> {
    let (Some((source, destination)), Some(protocol @ (TCP | UDP | UDPLITE))) =
        (ends(scene), scene.question.packet.protocol)
    else {
        return Ok(None);
    };
    let (port, is_tcp) = (destination.port(), protocol == TCP);
    let which = if is_tcp { Which::Listening } else { Which::Any };
    let (listed, half_open, settings) = scene.inside(|| {
        let half_open = is_tcp.then(|| diag::list(TCP, Which::HalfOpen, port));
        (diag::list(protocol, which, port), half_open, Settings::of_namespace(protocol))
    })?;
    let Some(listed) = scene.note("the sockets at its port can't be listed", listed) else {
        return Ok(Some(Expected { settings, ..Expected::default() }));
    };
    scene.unknown.extend(diag::lack(protocol).filter(|_| !listed.is_empty()));
    let half_open = half_open.and_then(|list| scene.note("half-open handshakes can't be listed", list));
    let half_open = half_open.map(|list| HalfOpen {
        all: list.len(),
        of_client: list.iter().filter(|socket| has_peer(socket, source.ip())).count(),
    });
    let (taker, alternatives) = busy::choose(listed, source, destination, &absent::arrived_by(scene));
    let (netns, time) = (scene.question.netns.inode, scene.time);
    let drops_before = taker.as_ref().and_then(|socket| memory.drops.compare(netns, socket, time));
    let taker = memory.held(scene, taker.into_iter()).pop();
    let absent = if taker.is_none() { Some(Box::new(absent::look(scene, memory)?)) } else { None };
    let owner = taker.as_ref().and_then(|held| held.owner.as_ref());
    let is_frozen = owner.is_some_and(|owner| frozen::is_frozen(owner.pid));
    scene.unknown.dedup();
    Ok(Some(Expected { taker, alternatives, is_frozen, drops_before, half_open, absent, settings }))
}

fn has_peer(socket: &diag::Socket, client: std::net::IpAddr) -> bool {
    socket.peer.is_some_and(|peer| peer.ip().to_canonical() == client.to_canonical())
}
