//! What is known of a packet when rules are asked about it.
//!
//! Rule: what is not known is said so, field by field: a rule that asks for it is then "unknown". What the packet surely
//! does not have (no input device when it is sent from here) is another thing than what is not known.

mod parse;

use std::net::IpAddr;

/// `ETH_P_` values.
pub const ETH_P_IP: u16 = 0x0800;
pub const ETH_P_ARP: u16 = 0x0806;
pub const ETH_P_IPV6: u16 = 0x86dd;

/// Something about a packet or its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known<T> {
    Is(T),
    /// There is none: no input device, no socket, no link-layer header.
    Absent,
    #[default]
    Unknown,
}

impl<T> Known<T> {
    pub const fn as_ref(&self) -> Known<&T> {
        match self {
            Self::Is(value) => Known::Is(value),
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    pub fn is(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// A network device of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub index: u32,
    pub name: String,
    /// `ARPHRD_` value: 1 Ethernet, 772 loopback.
    pub hardware: Option<u16>,
    /// `ip link set … group`.
    pub group: Option<u32>,
    /// `veth`, `bridge`, …: the driver's kind, empty for a plain device.
    pub kind: Option<String>,
    /// Index of the bridge or bond that it is a port of; 0 for none.
    pub master: Option<u32>,
}

/// State of a packet's connection (`enum ip_conntrack_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Connection tracking looked at it and could make nothing of it, or has not seen it (yet).
    Invalid,
    New,
    Established,
    Related,
    Untracked,
}

/// Both ends of one direction of a connection, as `conntrack -L` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Ports, or for ICMP its id in both.
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub state: ConnectionState,
    /// The packet goes the way of the answers.
    pub is_reply: bool,
    /// `ct mark`; `None` when it was not read.
    pub mark: Option<u32>,
    /// `IPS_` bits (`nf_conntrack_common.h`: 1 expected, 2 seen reply, 4 assured, 8 confirmed, 0x10 snat, 0x20 dnat).
    pub status: Option<u32>,
    pub original: Option<Tuple>,
    pub reply: Option<Tuple>,
}

/// The local socket that sent the packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    pub user: Option<u32>,
    pub group: Option<u32>,
    /// cgroup v2 id.
    pub cgroup: Option<u64>,
}

/// `skb->mark`, and at which end of the walk it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As the packet comes to the hook.
    Before(u32),
    /// As it was when it was dropped: rules at this hook may have set it on the way.
    After(u32),
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// `skb->protocol`, host order.
    pub ethertype: u16,
    /// The bytes that are known, from the link-layer header on, or from the network header on if there is none.
    pub bytes: Vec<u8>,
    /// Where in `bytes` the link-layer header starts.
    pub link: Option<usize>,
    /// Where the network header starts.
    pub network: Option<usize>,
    /// Where the transport header starts; `None` for a later fragment, or when `bytes` end before it.
    pub transport: Option<usize>,
    /// IP protocol behind IPv6 extension headers; of later fragments too.
    pub protocol: Option<u8>,
    /// Offset of a fragment in units of 8 bytes; 0 for the first or a whole packet.
    pub fragment_offset: u16,
    /// `skb->len` at the hook, bytes from the network header on.
    pub length: Option<u32>,
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    pub input: Known<Device>,
    pub output: Known<Device>,
    /// Ports of a bridge, while br_netfilter shows a bridged packet to the rules of IP.
    pub bridge_input: Known<Device>,
    pub bridge_output: Known<Device>,
    pub mark: Mark,
    /// `Absent`: connection tracking is not at work here.
    pub connection: Known<Connection>,
    pub socket: Known<Socket>,
    /// `skb->pkt_type` (`PACKET_HOST` 0, broadcast 1, multicast 2, otherhost 3, outgoing 4).
    pub packet_type: Option<u8>,
    /// A tag that was taken off.
    pub vlan: Option<u16>,
    pub cpu: Option<u32>,
}

impl Packet {
    /// `length` bytes at `offset` behind `header`; `None` if they are not among the known ones.
    pub fn at(&self, header: Option<usize>, offset: usize, length: usize) -> Option<&[u8]> {
        let start = header?.checked_add(offset)?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    pub const fn is_ipv4(&self) -> bool {
        self.ethertype == ETH_P_IP
    }

    pub const fn is_ipv6(&self) -> bool {
        self.ethertype == ETH_P_IPV6
    }
}
