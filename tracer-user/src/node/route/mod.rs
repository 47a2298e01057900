//! Where a packet was to go: the route and the rule of the routing policy that decided, whether its interface forwards,
//! whether its address is here, and the next hop.
//!
//! Rule: rules and tables are read and followed here, because the kernel's answer for a packet that a route refuses is
//! only an error number; that answer is asked for too, and where the two differ no route is named.

mod entry;
mod forwarding;
mod kernel;
mod lookup;
mod packet;
mod rule;
mod scout;
#[cfg(test)]
mod tests;
mod text;

use std::net::IpAddr;
use std::sync::Arc;

pub use entry::{BLACKHOLE, BY_ADVERTISEMENT, Entry, LOCAL, PROHIBIT, THROW, UNICAST, UNREACHABLE};
pub use forwarding::{Forwarding, Setting};
pub(super) use kernel::{Address, addresses, family, one, question, routes, rules};
pub use kernel::{Verdict, tables};
pub(super) use lookup::Flow;
pub use lookup::Tables;
pub(super) use rule::Action;
pub use rule::Rule;
pub use text::{Names, table};

use super::Scene;
use super::recent::Recent;
use super::sysctl::SetBy;
use crate::host::HostError;
use crate::host::error::NetlinkError;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Name of the interface that it came in by; none for a local packet.
    pub input: Option<String>,
    /// How rules and tables are gone through now; none if that is not known.
    pub way: Option<Way>,
    /// The error number that the kernel answers now instead of a route.
    pub refused: Option<i32>,
    /// How they would be without what refuses it, or sends it back.
    pub otherwise: Option<End>,
    /// Routes there in tables that no rule leads this packet to.
    pub elsewhere: Vec<Elsewhere>,
    /// Of the interface that it came in by.
    pub forwarding: Option<Forwarding>,
    /// `ignore_routes_with_linkdown` of the device of a route that is not used for want of a carrier.
    pub linkdown: Option<Setting>,
    /// Whether the destination is an address of this namespace.
    pub is_local: Option<bool>,
    /// Whether the source is.
    pub is_source_local: Option<bool>,
    /// Bits of the network of the interface it came in by that the destination is in.
    pub subnet: Option<u8>,
    /// Where it would go next.
    pub next: Option<Next>,
    /// The link-layer address that it came from.
    pub from: Option<[u8; 6]>,
    /// The packet's mark; 0 for none.
    pub mark: u32,
}

/// A way through rules and tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub end: End,
    /// The line of the rule that led to the route's table.
    pub rule: Option<String>,
    /// Tables that had no route.
    pub passed: Vec<Passed>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Route(Told),
    Rule(ToldRule),
    Nothing,
}

/// A route in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The line of `ip route show`.
    pub text: String,
    pub table: String,
    /// What `ip route del` takes, quoted for a shell.
    pub key: String,
    /// `RTN_` value.
    pub kind: u8,
    /// `RTPROT_` value.
    pub protocol: u8,
    /// Its first device.
    pub device: Option<String>,
    /// Its device has no carrier.
    pub is_linkdown: bool,
}

/// A rule that refuses, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldRule {
    /// The line of `ip rule show`.
    pub text: String,
    /// What `ip rule del` takes, quoted for a shell.
    pub key: String,
    /// `RTN_` value.
    pub kind: u8,
}

/// A route in a table that the packet was not led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub route: Told,
    /// Rules that lead there, but do not hold for the packet.
    pub rules: Vec<String>,
}

/// A table that had no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Priority of the rule that led there.
    pub priority: u32,
    pub table: String,
    pub why: Why,
}

/// Why a table had no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Empty,
    /// A route of type throw ends the search in the table.
    Throw(Told),
    /// The rule takes only longer prefixes than this route's.
    Suppressed(Told),
    /// Its devices are down or have no carrier.
    Dead(Told),
}

/// The next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub address: IpAddr,
    /// Whether that is a router, and not the destination itself.
    pub is_router: bool,
    pub device: String,
    /// Whether it came in by that device.
    pub is_back: bool,
    /// Its link-layer address.
    pub link: Option<Vec<u8>>,
}

type Read = Result<Arc<Tables>, NetlinkError>;

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The line of a file that sets a kernel setting.
    files: Recent<String, Option<SetBy>>,
    /// Rules and tables by namespace, family, and whether it is a second look.
    tables: Recent<(u32, bool, bool), Result<Read, HostError>>,
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Routing, HostError> {
    let Some(destination) = scene.question.packet.destination else { return Ok(Routing::default()) };
    scout::read(scene, memory, destination)
}

/// Whether the packet was to be sent from here by a local program, going by where it was freed.
pub fn is_output(symbol: &str) -> bool {
    matches!(symbol, "__ip_queue_xmit" | "ip_queue_xmit" | "inet6_csk_xmit" | "ip6_xmit")
        || (symbol.starts_with("ip6_pkt_") && symbol.ends_with("_out"))
}
