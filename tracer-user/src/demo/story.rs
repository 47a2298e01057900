//! The stories: what goes wrong on a node every day, each told in a sentence and then done.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::error::DemoError;
use super::lab::{ELSEWHERE, GONE, KUBELET, Lab, NODE, Need, POD, STRAY};
use super::namespace::Namespace;
use crate::event::Drop;

/// A connection attempt is given up before its second packet, which would be sent after a second.
const PATIENCE: Duration = Duration::from_millis(200);
/// Datagrams of [`SIZE`] bytes to somebody who does not read: a receive buffer holds about a hundred by default.
const FLOOD: usize = 1000;
const SIZE: usize = 1000;

/// One drop.
pub(super) struct Story {
    pub(super) tells: &'static str,
    pub(super) needs: Need,
    /// Causes it, and says by which line it is known to be shown.
    pub(super) act: fn(&Lab) -> Result<Awaited, DemoError>,
}

/// The line about a packet to this address and port, dropped in this namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) netns: u32,
    pub(super) to: SocketAddr,
}

impl Awaited {
    pub(super) fn is(&self, drop: &Drop) -> bool {
        let to = &drop.packet.destination;
        drop.netns.inode == self.netns && to.address == Some(self.to.ip()) && to.port == Some(self.to.port())
    }
}

pub(super) const STORIES: &[Story] = &[
    Story {
        tells: "`kubectl logs` hangs: a firewall rule on the node drops TCP port 10250",
        needs: Need::Firewall,
        act: |lab| knock(lab, (NODE, KUBELET).into(), &lab.node),
    },
    Story {
        tells: "a Service has the wrong targetPort: nobody listens on port 8080 of the pod",
        needs: Need::Nothing,
        act: |lab| knock(lab, (POD, 8080).into(), &lab.pod),
    },
    Story {
        tells: "a packet with an address of the pod network comes in by the node's eth0, and rp_filter is strict",
        needs: Need::Nothing,
        act: |lab| send(lab, STRAY.into(), (POD, 53).into(), &lab.node, Plain),
    },
    Story {
        tells: "the network plugin left a blackhole route for pods that are gone",
        needs: Need::Nothing,
        act: |lab| send(lab, Ipv4Addr::UNSPECIFIED.into(), (GONE, 53).into(), &lab.node, Plain),
    },
    Story {
        tells: "over IPv6, the node has no route to the pods of another node",
        needs: Need::Ipv6,
        act: |lab| send(lab, Ipv6Addr::UNSPECIFIED.into(), (ELSEWHERE, 53).into(), &lab.node, Plain),
    },
    Story {
        tells: "two routers send a packet in a circle until its TTL is used up",
        needs: Need::Nothing,
        act: |lab| send(lab, Ipv4Addr::UNSPECIFIED.into(), (POD, 53).into(), &lab.node, LastHop),
    },
    Story {
        tells: "a server in the pod does not read its UDP socket as fast as datagrams come",
        needs: Need::Nothing,
        act: |lab| {
            let to = (POD, 5353).into();
            let _busy = lab.pod.udp(to)?;
            send(lab, Ipv4Addr::UNSPECIFIED.into(), to, &lab.pod, Flood)
        },
    },
];

/// What is special about datagrams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    LastHop,
    Flood,
}
use Kind::{Flood, LastHop, Plain};

/// The client tries to connect to a port.
fn knock(lab: &Lab, to: SocketAddr, dropped_in: &Namespace) -> Result<Awaited, DemoError> {
    lab.client.run(|| match TcpStream::connect_timeout(&to, PATIENCE) {
        Err(error) if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => {
            Err(lab.client.traffic(&error))
        }
        Ok(_) | Err(_) => Ok(Awaited { netns: dropped_in.inode, to }),
    })
}

/// The client sends from one of its addresses.
fn send(lab: &Lab, from: IpAddr, to: SocketAddr, dropped_in: &Namespace, kind: Kind) -> Result<Awaited, DemoError> {
    let socket = lab.client.udp((from, 0).into())?;
    let result = || {
        if kind == LastHop {
            socket.set_ttl(1)?;
        }
        let (count, size) = if kind == Flood { (FLOOD, SIZE) } else { (1, 4) };
        let datagram = vec![b'.'; size];
        (0..count).try_for_each(|_| socket.send_to(&datagram, to).map(drop))
    };
    result().map_err(|error| lab.client.traffic(&error))?;
    Ok(Awaited { netns: dropped_in.inode, to })
}
