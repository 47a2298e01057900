//! Fills the connection table of a namespace by ctnetlink, with connections that never were.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::NetNs;

/// `NLM_F_REQUEST | NLM_F_EXCL | NLM_F_CREATE`
const CREATE: u16 = 0x1 | 0x200 | 0x400;
/// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_NEW`
const NEW: u16 = 0x100;
/// `IPS_CONFIRMED | IPS_ASSURED | IPS_SEEN_REPLY`: not thrown out to make room.
const STATUS: u32 = 8 | 4 | 2;
const NESTED: u16 = 0x8000;

/// A UDP connection.
#[derive(Clone, Copy)]
pub(super) struct Udp {
    pub source: (Ipv4Addr, u16),
    pub destination: (Ipv4Addr, u16),
}

fn attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend((value.len() as u16 + 4).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn tuple(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Vec<u8> {
    let (mut ip, mut protocol, mut all) = (Vec::new(), Vec::new(), Vec::new());
    attribute(&mut ip, 1, &source.0.octets());
    attribute(&mut ip, 2, &destination.0.octets());
    attribute(&mut protocol, 1, &[17]);
    attribute(&mut protocol, 2, &source.1.to_be_bytes());
    attribute(&mut protocol, 3, &destination.1.to_be_bytes());
    attribute(&mut all, 1 | NESTED, &ip);
    attribute(&mut all, 2 | NESTED, &protocol);
    all
}

fn message(udp: Udp) -> Vec<u8> {
    let mut body = vec![2, 0, 0, 0];
    attribute(&mut body, 1 | NESTED, &tuple(udp.source, udp.destination));
    attribute(&mut body, 2 | NESTED, &tuple(udp.destination, udp.source));
    attribute(&mut body, 3, &STATUS.to_be_bytes());
    attribute(&mut body, 7, &3600_u32.to_be_bytes());
    let mut message = Vec::new();
    message.extend((body.len() as u32 + 16).to_ne_bytes());
    message.extend(NEW.to_ne_bytes());
    message.extend(CREATE.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Puts connections into the namespace's table, in few calls. Refusals are not looked at: the count tells.
pub(super) fn fill(namespace: &NetNs, connections: impl Iterator<Item = Udp> + Send) -> Result<()> {
    namespace.run(|| {
        let kind = (Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_NETFILTER)));
        let mut socket = Socket::new(kind.0, kind.1, kind.2).context("no netlink socket")?;
        let mut batch = Vec::with_capacity(64 * 1024);
        for connection in connections {
            batch.extend(message(connection));
            if batch.len() > 60 * 1024 {
                socket.write_all(&batch)?;
                batch.clear();
            }
        }
        Ok(socket.write_all(&batch)?)
    })
}
