//! The stories: what goes wrong on a node every day, each told in a sentence and then done.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::SockRef;

use super::error::DemoError;
use super::lab::{ELSEWHERE, GONE, KUBELET, Lab, NODE, Need, POD, STRAY};
use super::namespace::Namespace;
use crate::event::Drop;

/// A connection attempt is given up before its second packet, which would be sent after a second.
const PATIENCE: Duration = Duration::from_millis(200);
/// The receive buffer of a server that does not read, bytes: a few datagrams. The host's default may hold all of them.
const BUFFER: usize = 8192;

/// What the client sends in a story.
#[derive(Clone, Copy)]
struct Datagrams {
    count: usize,
    /// `None` for the kernel's default.
    ttl: Option<u32>,
}

const ONE: Datagrams = Datagrams { count: 1, ttl: None };
const ONE_HOP: Datagrams = Datagrams { count: 1, ttl: Some(1) };
/// All at once, and fewer than a CPU's queue holds (`net.core.netdev_max_backlog`).
const FLOOD: Datagrams = Datagrams { count: 300, ttl: None };

/// One drop.
pub(super) struct Story {
    pub(super) tells: &'static str,
    pub(super) needs: Need,
    /// Causes it, and says by which line it is known to be shown.
    pub(super) act: fn(&Lab) -> Result<Awaited, DemoError>,
}

/// The line about a packet to this address and port, dropped in this namespace.
pub(super) struct Awaited {
    netns: u32,
    to: SocketAddr,
    /// Stays open until the drop was shown.
    _socket: Option<UdpSocket>,
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
        act: |lab| send(lab, STRAY.into(), (POD, 53).into(), &lab.node, ONE),
    },
    Story {
        tells: "the network plugin left a blackhole route for pods that are gone",
        needs: Need::Nothing,
        act: |lab| send(lab, Ipv4Addr::UNSPECIFIED.into(), (GONE, 53).into(), &lab.node, ONE),
    },
    Story {
        tells: "over IPv6, the node has no route to the pods of another node",
        needs: Need::Ipv6,
        act: |lab| send(lab, Ipv6Addr::UNSPECIFIED.into(), (ELSEWHERE, 53).into(), &lab.node, ONE),
    },
    Story {
        tells: "two routers send a packet in a circle until its TTL is used up",
        needs: Need::Nothing,
        act: |lab| send(lab, Ipv4Addr::UNSPECIFIED.into(), (POD, 443).into(), &lab.node, ONE_HOP),
    },
    Story {
        tells: "a server in the pod does not read its UDP socket as fast as datagrams come",
        needs: Need::Nothing,
        act: |lab| {
            let to = (POD, 5353).into();
            let busy = lab.pod.udp(to)?;
            SockRef::from(&busy).set_recv_buffer_size(BUFFER).map_err(|error| lab.pod.traffic(&error))?;
            let awaited = send(lab, Ipv4Addr::UNSPECIFIED.into(), to, &lab.pod, FLOOD)?;
            Ok(Awaited { _socket: Some(busy), ..awaited })
        },
    },
];

/// The client tries to connect to a port.
fn knock(lab: &Lab, to: SocketAddr, dropped_in: &Namespace) -> Result<Awaited, DemoError> {
    lab.client.run(|| match TcpStream::connect_timeout(&to, PATIENCE) {
        Err(error) if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => {
            Err(lab.client.traffic(&error))
        }
        Ok(_) | Err(_) => Ok(Awaited { netns: dropped_in.inode, to, _socket: None }),
    })
}

/// The client sends datagrams from one of its addresses.
fn send(
    lab: &Lab,
    from: IpAddr,
    to: SocketAddr,
    dropped_in: &Namespace,
    datagrams: Datagrams,
) -> Result<Awaited, DemoError> {
    let socket = lab.client.udp((from, 0).into())?;
    let failed = |error: io::Error| lab.client.traffic(&error);
    datagrams.ttl.map_or(Ok(()), |ttl| socket.set_ttl(ttl)).map_err(failed)?;
    (0..datagrams.count).try_for_each(|_| socket.send_to(b"hello", to).map(drop)).map_err(failed)?;
    Ok(Awaited { netns: dropped_in.inode, to, _socket: None })
}
