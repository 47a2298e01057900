//! Who listens, with which queue and buffer, and whose program it is.
//!
//! Rule: a namespace's listeners are listed once for a flood of questions; programs, Services and settings are looked
//! for only where they help to explain.

pub mod absent;
pub mod busy;
pub(crate) mod cgroup;
pub mod diag;
pub mod expected;
mod frozen;
mod ipvs;
pub mod nat;
pub mod owner;
mod procnet;
pub mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use super::Scene;
use super::recent::{self, Recent};
use crate::host::HostError;

pub use absent::Absent;
pub use busy::Busy;
pub use cgroup::Place;
pub use diag::Socket;
pub use expected::Expected;
pub use owner::Owner;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// No socket took the packet.
    Absent(Box<Absent>),
    /// There is a socket, and it took no more.
    Busy(Box<Busy>),
    /// Nothing takes packets of this IP protocol.
    NoHandler {
        protocol: u8,
        /// Whether the kernel has sockets of this protocol at all (`/proc/net/protocols`), where it tells.
        is_known: Option<bool>,
    },
}

/// A socket with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub socket: Socket,
    pub owner: Option<Owner>,
    /// Name of the interface or VRF that it is bound to.
    pub interface: Option<String>,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By namespace and protocol.
    listeners: Recent<(u32, u8), Listed>,
    owners: owner::Cache,
    services: service::Memory,
    drops: busy::History,
}

/// Whether the function makes a connection of a SYN cookie; with a cookie that is right, it frees the segment as `NO_SOCKET`
/// when the accept queue is full (`cookie_v4_check`, net/ipv4/syncookies.c, 6.1 to 7.2).
pub(crate) fn is_cookie(symbol: &str) -> bool {
    matches!(symbol, "cookie_v4_check" | "cookie_v6_check")
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Sockets, HostError> {
    let packet = &scene.question.packet;
    let symbol = packet.symbol.as_str();
    let is_absent = match packet.reason.as_deref() {
        Some(reason) => reason == "NO_SOCKET" && !is_cookie(symbol),
        None => ABSENT_IN.contains(&symbol),
    };
    let is_unhandled = match packet.reason.as_deref() {
        Some(reason) => reason == "IP_NOPROTO",
        None => symbol == "ip_protocol_deliver_rcu" || symbol == "ip6_protocol_deliver_rcu",
    };
    if is_unhandled && let Some(protocol) = packet.protocol {
        return unhandled(scene, protocol);
    }
    if is_absent {
        return absent::read(scene, memory).map(|absent| Sockets::Absent(Box::new(absent)));
    }
    busy::read(scene, memory).map(|busy| Sockets::Busy(Box::new(busy)))
}

/// Where kernels without reasons free what no socket is open for.
const ABSENT_IN: &[&str] =
    &["tcp_v4_rcv", "tcp_v6_rcv", "__udp4_lib_rcv", "__udp6_lib_rcv", "udp_rcv", "udpv6_rcv", "sctp_rcv"];

fn unhandled(scene: &Scene<'_>, protocol: u8) -> Result<Sockets, HostError> {
    let name = match protocol {
        diag::SCTP => Some("SCTP"),
        diag::UDPLITE => Some("UDP-Lite"),
        _ => None,
    };
    let Some(name) = name else { return Ok(Sockets::NoHandler { protocol, is_known: None }) };
    let text = scene.inside(|| std::fs::read_to_string("/proc/thread-self/net/protocols").ok())?;
    let is_known = text.map(|text| text.lines().any(|line| line.split_whitespace().next() == Some(name)));
    Ok(Sockets::NoHandler { protocol, is_known })
}

/// Where a packet came from and went to, if it has ports.
fn ends(scene: &Scene<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let packet = &scene.question.packet;
    let source = SocketAddr::new(packet.source?, packet.source_port?);
    Some((source, SocketAddr::new(packet.destination?, packet.destination_port?)))
}

/// The listeners of a namespace, or why they are not known.
type Listed = Result<Arc<Vec<Socket>>, String>;

/// The listeners of the packet's namespace, as they were after the drop.
fn listeners(scene: &mut Scene<'_>, memory: &mut Memory, protocol: u8) -> Listed {
    let read = |scene: &mut Scene<'_>| {
        let listed = scene.inside(|| diag::listeners(protocol)).map_err(|error| error.to_string())?;
        listed.map(Arc::new).map_err(|error| error.to_string())
    };
    let key = (scene.question.netns.inode, protocol);
    scene.recent(&mut memory.listeners, "who listens", key, read).unwrap_or_else(|| Ok(Arc::default()))
}

impl Memory {
    /// Names the programs of sockets, and notes where they could not be found.
    fn held(&mut self, scene: &mut Scene<'_>, sockets: impl Iterator<Item = Socket>) -> Vec<Held> {
        let sockets: Vec<Socket> = sockets.collect();
        if sockets.is_empty() {
            return Vec::new();
        }
        let inodes: Vec<u32> = sockets.iter().map(|socket| socket.inode).collect();
        let read = self.owners.owners(scene.question.netns.inode, scene.time, &inodes);
        let owners = recent::note("which program it is", read, &mut scene.unknown).unwrap_or_default();
        let held: Vec<Held> = sockets
            .into_iter()
            .map(|socket| {
                let interface = scene.interface_name(socket.interface).map(str::to_owned);
                let owner = owners.get(socket.inode).cloned();
                Held { interface: interface.filter(|_| socket.interface != 0), owner, socket }
            })
            .collect();
        if let Some(cut) = owners.cut.as_ref().filter(|_| held.iter().any(|held| held.owner.is_none())) {
            scene.unknown.push(format!("which program it is: {cut}"));
        }
        held
    }
}

#[cfg(test)]
mod tests;
