//! Cilium: what its own agent says about drops, from Hubble's socket on this node.
//!
//! [`hubble`] follows it beside the line, [`read`] takes a flow apart, [`recent`] keeps what was dropped lately, for the line to look
//! up. What Cilium's pinned counters tell is in [`crate::node::program`].
//!
//! Rule: Hubble's word is joined to what was seen by five-tuple and time; without it nothing is lost but policy names. Nothing that it
//! says is believed before it was looked at.

mod fault;
pub mod hubble;
pub mod read;
pub mod recent;

pub use fault::Fault;
pub use recent::Recent;

use std::net::{IpAddr, SocketAddr};

use crate::event::{PolicyDirection, PolicyName};

/// One packet that Cilium dropped, as Hubble tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// `CLOCK_MONOTONIC` ns.
    pub time: u64,
    pub key: Key,
    pub source: End,
    pub destination: End,
    /// `DropReason` of api/v1/flow/flow.proto; 0: not told.
    pub reason: u32,
    pub direction: Option<PolicyDirection>,
    /// The policies that denied it; Cilium before 1.16 does not tell, and none denies what no rule allows.
    pub denied_by: Vec<PolicyName>,
}

/// One end, as Hubble tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Port 0 where there is none.
    pub address: SocketAddr,
    /// Cilium's security identity; 0: not told.
    pub identity: u32,
}

/// The five-tuple, the same for both directions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`.
    protocol: String,
    ends: [SocketAddr; 2],
}

impl Key {
    pub fn new(protocol: &str, one: SocketAddr, other: SocketAddr) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let mut ends = [canonical(one), canonical(other)];
        ends.sort_unstable();
        Self { protocol: protocol.to_owned(), ends }
    }

    /// Of ends that may have no port.
    pub fn of(protocol: &str, one: (IpAddr, Option<u16>), other: (IpAddr, Option<u16>)) -> Self {
        let end = |(address, port): (IpAddr, Option<u16>)| SocketAddr::new(address, port.unwrap_or(0));
        Self::new(protocol, end(one), end(other))
    }

    pub fn protocol(&self) -> &str {
        &self.protocol
    }
}
