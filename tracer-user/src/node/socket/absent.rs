//! Why no socket took a packet: who listens at the same port in another way, what is served instead, and who sent it
//! there.

use std::net::SocketAddr;

use super::diag::{self, Socket, TCP, UDP, UDPLITE, Which};
use super::service::{self, Translation};
use super::{Held, Memory, ends};
use crate::host::HostError;
use crate::host::error::NetlinkError;
use crate::node::{Scene, sysctl};

/// Served ports that are told.
const MOST_PORTS: usize = 8;
/// Sockets at the same port that are told.
const MOST_SAME: usize = 8;

/// What there is instead of a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent {
    /// Sockets of the protocol at the same port, and why each did not take the packet.
    pub same_port: Vec<(Held, Why)>,
    /// Listeners at the same port of the other of TCP and UDP.
    pub other_protocol: Vec<Held>,
    /// Sockets that serve other ports: those that the destination reaches first, then by distance of the port.
    pub served: Vec<Held>,
    /// Ports of the protocol that are served in all.
    pub ports: usize,
    /// Whether the sockets could be listed: else the lists above are empty for that.
    pub is_listed: bool,
    pub translation: Option<Translation>,
    /// The VRF that the packet is in, if sockets without one do not see it.
    pub vrf: Option<Vrf>,
    /// `net.ipv6.bindv6only`, where a socket takes IPv6 only.
    pub bind_ipv6_only: Option<String>,
}

/// A VRF whose packets only its own sockets see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    pub name: String,
    /// `net.ipv4.tcp_l3mdev_accept` or `udp_l3mdev_accept`, which is 0.
    pub setting: &'static str,
}

/// Why a socket at the right port did not take the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It would take it now.
    NotThen,
    /// It listens on another address.
    Address,
    /// It takes no IPv4.
    Ipv6Only,
    /// It listens on an IPv4 address and the packet is IPv6.
    Ipv4Only,
    /// It is bound to another interface or VRF.
    Interface,
    /// It is bound to no interface, and the packet is in a VRF that such sockets do not see.
    Vrf,
    /// It only takes what its own peer sends.
    Peer,
}

pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Absent, HostError> {
    let mut absent = look(scene, memory)?;
    if let Some((source, destination)) = ends(scene) {
        absent.translation = service::find(scene, source, destination, &mut memory.services);
    }
    scene.unknown.dedup();
    Ok(absent)
}

/// The same without asking who sent it there.
pub(super) fn look(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Absent, HostError> {
    let (Some((source, destination)), Some(protocol)) = (ends(scene), scene.question.packet.protocol) else {
        scene.unknown.push("which socket it was for: its ports are not known".to_owned());
        return Ok(Absent::default());
    };
    let port = destination.port();
    let here = scene.inside(|| at_port(protocol, port))?;
    let listeners = super::listeners(scene, memory, protocol);
    let listeners = scene.note("the sockets of its namespace can't be listed", listeners).unwrap_or_default();
    let here = scene.note("the sockets at its port can't be listed", here);
    let is_listed = here.is_some();
    let (same, other) = here.unwrap_or_default();
    scene.unknown.extend(diag::lack(protocol).filter(|_| is_listed));

    let arrived = arrived_by(scene);
    let vrf = closed_vrf(scene, protocol)?;
    let see = |socket: &Socket| match why(socket, source, destination, &arrived) {
        Why::NotThen if vrf.is_some() && socket.interface == 0 => Why::Vrf,
        why => why,
    };
    let reasons: Vec<Why> = same.iter().map(see).collect();
    let same = memory.held(scene, same.into_iter()).into_iter().zip(reasons).collect();
    let other = memory.held(scene, other.into_iter());
    let (served, ports) = nearest(&listeners, destination);
    let served = memory.held(scene, served.into_iter());
    let mut absent = Absent {
        same_port: same,
        other_protocol: other,
        served,
        ports,
        is_listed,
        translation: None,
        vrf,
        bind_ipv6_only: None,
    };
    if absent.same_port.iter().any(|(_, why)| *why == Why::Ipv6Only) {
        let value = scene.inside(|| sysctl::read("net/ipv6/bindv6only"))?;
        absent.bind_ipv6_only = value.ok();
    }
    Ok(absent)
}

/// Sockets of the protocol at this port, and listeners of the other of TCP and UDP.
fn at_port(protocol: u8, port: u16) -> Result<(Vec<Socket>, Vec<Socket>), NetlinkError> {
    // Connections of a server that has gone would be too many, and take no new ones.
    let which = if matches!(protocol, UDP | UDPLITE) { Which::Any } else { Which::Listening };
    let mut same = diag::list(protocol, which, port)?;
    same.truncate(MOST_SAME);
    let other = match protocol {
        TCP => UDP,
        UDP => TCP,
        _ => return Ok((same, Vec::new())),
    };
    let mut other = diag::list(other, Which::Listening, port).unwrap_or_default();
    other.truncate(MOST_SAME);
    Ok((same, other))
}

/// Indices of the device that the packet was on, and of the VRF that it is in.
pub(super) fn arrived_by(scene: &Scene<'_>) -> Vec<u32> {
    let (packet, netns) = (&scene.question.packet, scene.question.netns.inode);
    let devices = [packet.interface.index, packet.came_in_by];
    let masters = devices.map(|index| scene.host.interface(netns, index).and_then(|device| device.master));
    devices.into_iter().chain(masters.into_iter().flatten()).filter(|index| *index != 0).collect()
}

/// The VRF that the packet is in, if unbound sockets of the protocol do not see it (Documentation/networking/vrf.rst).
fn closed_vrf(scene: &Scene<'_>, protocol: u8) -> Result<Option<Vrf>, HostError> {
    let (path, setting) = match protocol {
        TCP => ("net/ipv4/tcp_l3mdev_accept", "net.ipv4.tcp_l3mdev_accept"),
        UDP | UDPLITE => ("net/ipv4/udp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept"),
        _ => return Ok(None),
    };
    let netns = scene.question.netns.inode;
    let devices = arrived_by(scene).into_iter().filter_map(|index| scene.host.interface(netns, index));
    let mut vrfs = devices.filter(|device| device.kind.as_deref() == Some("vrf"));
    let Some(vrf) = vrfs.next() else { return Ok(None) };
    let value = scene.inside(|| sysctl::read(path))?;
    let name = vrf.name.clone();
    Ok(value.is_ok_and(|value| value == "0").then_some(Vrf { name, setting }))
}

fn why(socket: &Socket, source: SocketAddr, destination: SocketAddr, arrived: &[u32]) -> Why {
    let own = socket.local.ip();
    if socket.interface != 0 && !arrived.contains(&socket.interface) {
        return Why::Interface;
    }
    if !socket.takes(destination.ip()) {
        return match (own.is_ipv4(), destination.is_ipv4()) {
            (false, true) if own.is_unspecified() => Why::Ipv6Only,
            (true, false) if own.is_unspecified() => Why::Ipv4Only,
            _ => Why::Address,
        };
    }
    if socket.hears(source) { Why::NotThen } else { Why::Peer }
}

/// One socket for each of the nearest ports that are served, and how many ports there are.
fn nearest(listeners: &[Socket], destination: SocketAddr) -> (Vec<Socket>, usize) {
    let mut others: Vec<&Socket> =
        listeners.iter().filter(|socket| socket.local.port() != destination.port()).collect();
    let rank = |socket: &Socket| {
        (!socket.takes(destination.ip()), socket.local.port().abs_diff(destination.port()), socket.local.port())
    };
    others.sort_by_key(|socket| (socket.local.port(), rank(socket)));
    others.dedup_by_key(|socket| socket.local.port());
    let ports = others.len();
    others.sort_by_key(|socket| rank(socket));
    (others.into_iter().take(MOST_PORTS).cloned().collect(), ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(local: &str) -> Socket {
        Socket::listening(TCP, local.parse().unwrap())
    }

    #[test]
    fn each_way_of_not_taking_it() {
        let (source, v4, v6) =
            ("10.0.0.9:999".parse().unwrap(), "10.0.0.1:80".parse().unwrap(), "[fd00::1]:80".parse().unwrap());
        assert_eq!(why(&socket("127.0.0.1:80"), source, v4, &[]), Why::Address);
        assert_eq!(why(&socket("[::1]:80"), source, v6, &[]), Why::Address);
        assert_eq!(why(&socket("10.0.0.1:80"), source, v6, &[]), Why::Address);
        assert_eq!(why(&socket("0.0.0.0:80"), source, v6, &[]), Why::Ipv4Only);
        assert_eq!(why(&socket("[::]:80"), source, v4, &[]), Why::NotThen);
        let only = Socket { ipv6_only: true, ..socket("[::]:80") };
        assert_eq!(why(&only, source, v4, &[]), Why::Ipv6Only);
        assert_eq!(why(&only, source, v6, &[]), Why::NotThen);
        let bound = Socket { interface: 7, ..socket("0.0.0.0:80") };
        assert_eq!(why(&bound, source, v4, &[3]), Why::Interface);
        assert_eq!(why(&bound, source, v4, &[3, 7]), Why::NotThen, "its VRF");
        let busy = Socket { peer: Some("10.0.0.8:999".parse().unwrap()), ..socket("0.0.0.0:80") };
        assert_eq!(why(&busy, source, v4, &[]), Why::Peer);
    }

    #[test]
    fn reachable_ports_come_first_and_each_once() {
        let mut all: Vec<Socket> = (1..=100u16).map(|port| socket(&format!("127.0.0.1:{port}"))).collect();
        all.extend(["0.0.0.0:8080", "[::]:8080", "10.0.0.1:22", "0.0.0.0:80"].map(socket));
        let (served, ports) = nearest(&all, "10.0.0.1:80".parse().unwrap());
        let shown: Vec<u16> = served.iter().map(|socket| socket.local.port()).collect();
        assert_eq!(shown, [22, 8080, 79, 81, 78, 82, 77, 83]);
        assert_eq!(ports, 100, "99 of the loopback (one of them 22 as well) and 8080");
        assert_eq!(served[0].local, "10.0.0.1:22".parse().unwrap(), "the one that is reached");
        assert_eq!(nearest(&[], "10.0.0.1:80".parse().unwrap()), (vec![], 0));
    }
}
