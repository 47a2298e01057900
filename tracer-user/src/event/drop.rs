//! The `drop` event: one line for the packets of a flow that were dropped at one place for one reason.
//!
//! Rule: keys and spellings are the contract of `docs/events.md`. A key that may be unknown is an `Option` and is left
//! out, never `null`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explanation, Hook, PodName, ServiceName, Severity, WorkloadName};

/// Packets of one flow that were dropped since its last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "drop")]
pub struct Drop {
    /// RFC 3339, UTC, nanoseconds: when the packet was dropped; for a line that comes from the counts, when they were read.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Packets that this line stands for.
    pub count: u64,
    /// Their bytes, as the kernel has a packet's length at the drop: headers that were taken off do not count.
    pub bytes: u64,
    pub severity: Severity,
    pub severity_why: String,
    pub reason: Reason,
    pub location: Location,
    /// Symbols of the kernel stack, innermost first (`--stack`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<String>>,
    pub hook: Hook,
    pub netns: Netns,
    pub interface: Interface,
    /// The interface by which it came in, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_interface: Option<Interface>,
    /// The interface by which it was to leave, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_interface: Option<Interface>,
    /// The bridge ports by which it came in and was to leave, where a bridged packet is shown to the rules of IP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_in_interface: Option<Interface>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_out_interface: Option<Interface>,
    pub packet: Packet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrack: Option<Conntrack>,
    /// The socket that owns the packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<Socket>,
    /// The program whose socket took no more; never the one that happened to be running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    pub explanation: Explanation,
}

/// The kernel's reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Reason {
    /// As in the kernel's enum, without its prefix; `UNKNOWN` where the kernel gives none.
    pub name: String,
    /// The number in the running kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// `core`, or the kernel part whose enum it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// What the place of the drop says, on a kernel without reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived: Option<String>,
}

/// Where in the kernel the packet was freed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Location {
    /// The function, without compiler suffixes; the address in hexadecimal where symbols can't be read.
    pub symbol: String,
    /// Bytes into the function.
    pub offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

impl Location {
    /// Whether the symbol is a function's name, not an address.
    pub fn is_named(&self) -> bool {
        !self.symbol.starts_with("0x")
    }
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Netns {
    /// Inode of the namespace, as in `readlink /proc/PID/ns/net`; 0 if none could be found.
    pub inode: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The pod whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Interface {
    /// 0 for a packet that has no device yet.
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ipv4,
    Ipv6,
    Other,
}

/// What is known of the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Packet {
    pub family: Family,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `arp`, …, or the number as text.
    pub protocol: String,
    /// Bytes of the packet that was looked at; 0 if the flow was only counted.
    pub length: u32,
    pub source: Endpoint,
    pub destination: Endpoint,
    /// `S`, `SA`, `R`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// `vxlan`, `geneve`, `ipip`, `sit` or `gre`, where the packet is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Icmp {
    #[serde(rename = "type")]
    pub kind: u8,
    pub code: u8,
}

/// One end of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Endpoint {
    /// Absent for packets that are not IP, or whose headers could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The pod that has the address, or whose process has the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadName>,
    /// The Service whose address it is, or through whose address it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The node whose address it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Any other known name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why nothing is known of this end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_why: Option<String>,
}

impl Endpoint {
    /// An address without names.
    pub fn at(address: IpAddr, port: Option<u16>) -> Self {
        Self { address: Some(address), port, ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConntrackState {
    New,
    Established,
    Related,
    Untracked,
}

/// What connection tracking had made of the packet. All but the state is the connection's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Conntrack {
    pub state: ConntrackState,
    /// `ct mark`; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<ConntrackStatus>>,
    /// As its first packet was, before any translation of addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<ConntrackTuple>,
    /// As its answers are expected, from translated addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ConntrackTuple>,
}

/// What `conntrack -L` or `nft` (`ct status`) say of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConntrackStatus {
    Expected,
    SeenReply,
    Assured,
    Confirmed,
    Snat,
    Dnat,
    Dying,
    Template,
    Helper,
    Offload,
    HwOffload,
}

/// One direction of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct ConntrackTuple {
    /// As `packet.protocol`; another than the packet's where that is an error message about the connection.
    pub protocol: String,
    pub source: ConntrackEnd,
    pub destination: ConntrackEnd,
}

/// One end of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct ConntrackEnd {
    pub address: IpAddr,
    /// Absent for a protocol without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// The socket that sent the packet or would have received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Socket {
    /// As in `ss -e` (`sk:` in hexadecimal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// cgroup v2 id: the inode of its directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<u64>,
    /// User and group of the program that opened it, as numbers of the initial user namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// A program that holds a socket open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Process {
    /// As whydrop's PID namespace numbers it.
    pub pid: u32,
    /// At most 15 bytes, set by the program itself.
    pub comm: String,
    /// 64 hexadecimal digits, as the container runtime names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The pod of that container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
}

#[cfg(test)]
impl Drop {
    /// A TCP packet between two ends (port 0: unknown) that was dropped in the namespace `node`, for tests to change.
    pub(crate) fn between(source: &str, destination: &str, explanation: Explanation) -> Self {
        Self {
            time: String::new(),
            count: 1,
            bytes: 60,
            severity: Severity::Problem,
            severity_why: String::new(),
            reason: Reason { name: "NETFILTER_DROP".into(), code: None, subsystem: None, derived: None },
            location: Location { symbol: "nft_do_chain".into(), offset: 0, module: None },
            stack: None,
            hook: Hook::Input,
            netns: Netns { inode: 7, name: Some("node".into()), pod: None },
            interface: Interface { index: 2, name: Some("eth0".into()) },
            in_interface: None,
            out_interface: None,
            bridge_in_interface: None,
            bridge_out_interface: None,
            packet: Packet {
                family: Family::Ipv4,
                protocol: "tcp".into(),
                length: 60,
                source: Endpoint::of(source),
                destination: Endpoint::of(destination),
                tcp_flags: Some("S".into()),
                icmp: None,
                ttl: None,
                mark: None,
                vlan: None,
                tunnel: None,
            },
            conntrack: None,
            socket: None,
            process: None,
            explanation,
        }
    }
}

#[cfg(test)]
impl Endpoint {
    /// `10.0.0.1:80`; port 0 is unknown.
    pub(crate) fn of(text: &str) -> Self {
        let end: std::net::SocketAddr = text.parse().unwrap();
        let port = Some(end.port()).filter(|port| *port != 0);
        Self::at(end.ip(), port)
    }
}
