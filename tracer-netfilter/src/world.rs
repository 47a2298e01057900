//! What rules ask of the node, beside the packet: sets, addresses, routes.
//!
//! Rule: a question is answered with what is so at the moment, or with why it can't be answered; the answer is for the
//! network namespace whose ruleset is looked at.

use std::net::IpAddr;
use std::sync::Arc;

use crate::ipset::IpSet;
use crate::model::{Elements, Table};
use crate::packet::Device;

/// Why something is not known, as a noun phrase: `the elements of set x: permission denied`.
pub type Unanswered = String;

/// A route question, as `fib` and `rpfilter` ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteQuestion {
    /// The address to reach.
    pub destination: IpAddr,
    /// The address to come from, if it matters.
    pub source: Option<IpAddr>,
    pub mark: u32,
    /// Only through this device; or 0.
    pub output: u32,
    /// As if it came in by this device; or 0 for a packet from here.
    pub input: u32,
}

/// What the routing tables say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteAnswer {
    /// Device to send by; 0 if there is no way.
    pub output: u32,
    /// `RTN_` value: 1 unicast, 2 local, 3 broadcast, 4 anycast, 5 multicast, 6 blackhole, 7 unreachable, 8 prohibit.
    pub kind: u8,
}

pub trait World {
    /// The elements of a set of nf_tables.
    fn elements(&self, table: &Table, set: &str) -> Result<Arc<Elements>, Unanswered>;

    /// A set of ipset, by the kernel's index of it.
    fn ipset(&self, index: u16) -> Result<Arc<IpSet>, Unanswered>;

    /// What an address is to this node (`RTN_` value), seen from a device if the rule limits it to one (else 0).
    fn address_kind(&self, address: IpAddr, device: u32) -> Result<u8, Unanswered>;

    /// Where the routing tables lead.
    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered>;

    /// A device by its index.
    fn device(&self, index: u32) -> Result<Device, Unanswered>;
}
