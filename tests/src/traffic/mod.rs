//! Packets from inside a namespace, all by sockets of our own. Call these on a thread in the namespace
//! ([`crate::NetNs::run`]); what they return says which flow to look for.

pub mod echo;
pub mod flood;
pub mod frame;
pub mod raw;
pub mod server;
pub mod talk;
pub mod tcp;
pub mod udp;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context, Result};

use crate::family::Family;

/// A link-layer address.
pub type Mac = [u8; 6];

pub const BROADCAST_MAC: Mac = [0xff; 6];

/// One direction of a conversation, as a drop event names it. Ports are 0 where the protocol has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// As `packet.protocol` has it.
    pub protocol: &'static str,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

impl Flow {
    pub fn family(&self) -> Family {
        Family::of(self.source.ip())
    }

    pub fn has_ports(&self) -> bool {
        matches!(self.protocol, "tcp" | "udp" | "sctp")
    }
}

/// The address this namespace would send from. Asks the routing table by a socket that sends nothing.
pub fn source_for(to: IpAddr) -> Result<IpAddr> {
    let unspecified: IpAddr = Family::of(to).pick([0; 4].into(), [0; 16].into());
    let socket = UdpSocket::bind((unspecified, 0))?;
    socket.connect((to, 9)).with_context(|| format!("no route to {to}"))?;
    Ok(socket.local_addr()?.ip())
}
