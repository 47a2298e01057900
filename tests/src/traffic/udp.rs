//! UDP datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context, Result, ensure};

use super::{Flow, source_for};
use crate::netns::NetNs;
use crate::{eventually, patience};

/// What became of a number of datagrams.
#[derive(Debug)]
pub struct Sent {
    pub flow: Flow,
    /// How many the kernel took.
    pub accepted: u64,
    /// Why it did not take the last of the others.
    pub refused: Option<io::Error>,
}

/// Sends `count` datagrams of `size` bytes from one socket. It is not connected, so an ICMP error that comes back
/// refuses nothing.
pub fn send(to: SocketAddr, count: u64, size: usize) -> Result<Sent> {
    let socket = UdpSocket::bind((source_for(to.ip())?, 0))?;
    let flow = Flow { protocol: "udp", source: socket.local_addr()?, destination: to };
    let payload = vec![b'w'; size];
    let mut sent = Sent { flow, accepted: 0, refused: None };
    for _ in 0..count {
        match socket.send_to(&payload, to) {
            Ok(_) => sent.accepted += 1,
            Err(error) => sent.refused = Some(error),
        }
    }
    Ok(sent)
}

/// Who sent the next datagram. A receive with a time limit ends early when the process is stopped and continued, or frozen
/// and thawed, without any handler of a signal (signal(7)).
pub fn receive(socket: &UdpSocket) -> io::Result<SocketAddr> {
    loop {
        match socket.recv_from(&mut [0; 64]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received.map(|(_, source)| source),
        }
    }
}

/// Sends one datagram and returns when the other end has it: the control that a story needs.
pub fn deliver(from: &NetNs, into: &NetNs, to: SocketAddr) -> Result<Flow> {
    let receiver = into.run(|| UdpSocket::bind(to).with_context(|| format!("cannot bind {to}")))?;
    receiver.set_read_timeout(Some(patience()))?;
    // A socket can be bound to a new IPv6 address before a worker of the kernel has made its local route
    // (`addrconf_dad_work`, net/ipv6/addrconf.c, 6.18).
    let route = || into.exec(&format!("ip route get {}", to.ip()));
    eventually("the address has a local route", || Ok(to.is_ipv4() || route()?.starts_with("local ")))?;
    let flow = from.run(|| Ok(send(to, 1, 16)?.flow))?;
    let source = receive(&receiver).with_context(|| format!("{flow:?} did not arrive"))?;
    ensure!(source.port() == flow.source.port(), "a datagram from {source} instead of {flow:?}");
    Ok(flow)
}
