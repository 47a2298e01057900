//! Headers of protocols and the fields that nft has names for.

use super::kind::Kind;
use crate::model::PayloadBase;

/// A protocol, or (`Inet`, `Device`) what stands for the lower layer where there is no header to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Inet,
    Device,
    Ether,
    Vlan,
    Arp,
    Ip,
    Ip6,
    Icmp,
    Icmp6,
    Igmp,
    Tcp,
    Udp,
    UdpLite,
    Sctp,
    Dccp,
    Esp,
    Ah,
    Comp,
    /// Any with ports in front.
    Th,
    /// One that nft has no name for.
    Other,
}

/// A field of a header. Offset and length are in bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: u32,
    pub(super) bits: u32,
    pub(super) kind: Kind,
    /// It tells the next protocol.
    pub(super) is_key: bool,
    /// It is there only in messages of this ICMP type.
    pub(super) only_in: Option<u8>,
}

const fn field(name: &'static str, offset: u32, bits: u32, kind: Kind) -> Field {
    Field { name, offset, bits, kind, is_key: false, only_in: None }
}

const fn plain(name: &'static str, offset: u32, bits: u32) -> Field {
    field(name, offset, bits, Kind::Integer)
}

const fn key(name: &'static str, offset: u32, bits: u32, kind: Kind) -> Field {
    Field { name, offset, bits, kind, is_key: true, only_in: None }
}

const fn only_in(kind: u8, name: &'static str, offset: u32, bits: u32) -> Field {
    Field { name, offset, bits, kind: Kind::Integer, is_key: false, only_in: Some(kind) }
}

const SOURCE_PORT: Field = field("sport", 0, 16, Kind::Service);
const DESTINATION_PORT: Field = field("dport", 16, 16, Kind::Service);

impl Protocol {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Device => "netdev",
            Self::Ether => "ether",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Icmp => "icmp",
            Self::Icmp6 => "icmpv6",
            Self::Igmp => "igmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Sctp => "sctp",
            Self::Dccp => "dccp",
            Self::Esp => "esp",
            Self::Ah => "ah",
            Self::Comp => "comp",
            Self::Th => "th",
            Self::Other => "unknown",
        }
    }

    pub(super) const fn base(self) -> PayloadBase {
        match self {
            Self::Inet | Self::Device | Self::Ether | Self::Vlan => PayloadBase::Link,
            Self::Arp | Self::Ip | Self::Ip6 => PayloadBase::Network,
            _ => PayloadBase::Transport,
        }
    }

    /// Bits of a header that another of the same layer may follow.
    pub(super) const fn stacked_bits(self) -> u32 {
        match self {
            Self::Ether => 112,
            Self::Vlan => 32,
            _ => 0,
        }
    }

    /// In the order of the header.
    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Ether => ETHER,
            Self::Vlan => VLAN,
            Self::Arp => ARP,
            Self::Ip => IP,
            Self::Ip6 => IP6,
            Self::Icmp => ICMP,
            Self::Icmp6 => ICMP6,
            Self::Igmp => IGMP,
            Self::Tcp => TCP,
            Self::Udp => UDP,
            Self::UdpLite => UDP_LITE,
            Self::Sctp => SCTP,
            Self::Dccp => DCCP,
            Self::Esp => ESP,
            Self::Ah => AH,
            Self::Comp => COMP,
            Self::Th => TH,
            Self::Inet | Self::Device | Self::Other => &[],
        }
    }

    /// The protocol that a key of this one's header tells.
    pub(super) const fn upper(self, value: u32) -> Option<Self> {
        match self {
            Self::Inet => match value {
                2 => Some(Self::Ip),
                10 => Some(Self::Ip6),
                _ => None,
            },
            Self::Ether | Self::Vlan | Self::Device => match value {
                0x0800 => Some(Self::Ip),
                0x0806 => Some(Self::Arp),
                0x86dd => Some(Self::Ip6),
                0x8100 | 0x88a8 => Some(Self::Vlan),
                _ => None,
            },
            Self::Ip | Self::Ip6 => Self::transport(value),
            Self::Ah | Self::Comp => match Self::transport(value) {
                Some(Self::Icmp | Self::Icmp6 | Self::Igmp) => None,
                transport => transport,
            },
            _ => None,
        }
    }

    /// By `IPPROTO_` number.
    pub(super) const fn transport(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Icmp,
            2 => Self::Igmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            50 => Self::Esp,
            51 => Self::Ah,
            58 => Self::Icmp6,
            108 => Self::Comp,
            132 => Self::Sctp,
            136 => Self::UdpLite,
            _ => return None,
        })
    }
}

const ETHER: &[Field] = &[
    field("daddr", 0, 48, Kind::LinkAddress),
    field("saddr", 48, 48, Kind::LinkAddress),
    key("type", 96, 16, Kind::EtherType),
];

const VLAN: &[Field] =
    &[plain("pcp", 0, 3), plain("dei", 3, 1), plain("id", 4, 12), key("type", 16, 16, Kind::EtherType)];

const ARP: &[Field] = &[
    plain("htype", 0, 16),
    field("ptype", 16, 16, Kind::EtherType),
    plain("hlen", 32, 8),
    plain("plen", 40, 8),
    field("operation", 48, 16, Kind::ArpOperation),
    field("saddr ether", 64, 48, Kind::LinkAddress),
    field("saddr ip", 112, 32, Kind::Ipv4),
    field("daddr ether", 144, 48, Kind::LinkAddress),
    field("daddr ip", 192, 32, Kind::Ipv4),
];

const IP: &[Field] = &[
    plain("version", 0, 4),
    plain("hdrlength", 4, 4),
    field("dscp", 8, 6, Kind::Dscp),
    field("ecn", 14, 2, Kind::Ecn),
    plain("length", 16, 16),
    plain("id", 32, 16),
    plain("frag-off", 48, 16),
    plain("ttl", 64, 8),
    key("protocol", 72, 8, Kind::Protocol),
    plain("checksum", 80, 16),
    field("saddr", 96, 32, Kind::Ipv4),
    field("daddr", 128, 32, Kind::Ipv4),
];

const IP6: &[Field] = &[
    plain("version", 0, 4),
    field("dscp", 4, 6, Kind::Dscp),
    field("ecn", 10, 2, Kind::Ecn),
    plain("flowlabel", 12, 20),
    plain("length", 32, 16),
    key("nexthdr", 48, 8, Kind::Protocol),
    plain("hoplimit", 56, 8),
    field("saddr", 64, 128, Kind::Ipv6),
    field("daddr", 192, 128, Kind::Ipv6),
];

const ICMP: &[Field] = &[
    key("type", 0, 8, Kind::IcmpType),
    field("code", 8, 8, Kind::IcmpCode),
    plain("checksum", 16, 16),
    only_in(8, "id", 32, 16),
    only_in(8, "sequence", 48, 16),
    only_in(5, "gateway", 32, 32),
    only_in(3, "mtu", 48, 16),
];

const ICMP6: &[Field] = &[
    key("type", 0, 8, Kind::Icmp6Type),
    field("code", 8, 8, Kind::Icmp6Code),
    plain("checksum", 16, 16),
    only_in(4, "parameter-problem", 32, 32),
    only_in(2, "mtu", 32, 32),
    only_in(128, "id", 32, 16),
    only_in(128, "sequence", 48, 16),
    only_in(130, "max-delay", 32, 16),
];

const TCP: &[Field] = &[
    SOURCE_PORT,
    DESTINATION_PORT,
    plain("sequence", 32, 32),
    plain("ackseq", 64, 32),
    plain("doff", 96, 4),
    plain("reserved", 100, 4),
    field("flags", 104, 8, Kind::TcpFlags),
    plain("window", 112, 16),
    plain("checksum", 128, 16),
    plain("urgptr", 144, 16),
];

const AH: &[Field] = &[
    key("nexthdr", 0, 8, Kind::Protocol),
    plain("hdrlength", 8, 8),
    plain("reserved", 16, 16),
    plain("spi", 32, 32),
    plain("sequence", 64, 32),
];

const IGMP: &[Field] =
    &[field("type", 0, 8, Kind::IgmpType), plain("mrt", 8, 8), plain("checksum", 16, 16), plain("group", 32, 32)];

const UDP: &[Field] = &[SOURCE_PORT, DESTINATION_PORT, plain("length", 32, 16), plain("checksum", 48, 16)];

const UDP_LITE: &[Field] = &[SOURCE_PORT, DESTINATION_PORT, plain("csumcov", 32, 16), plain("checksum", 48, 16)];

const SCTP: &[Field] = &[SOURCE_PORT, DESTINATION_PORT, plain("vtag", 32, 32), plain("checksum", 64, 32)];

const DCCP: &[Field] = &[SOURCE_PORT, DESTINATION_PORT, field("type", 67, 4, Kind::DccpType)];

const ESP: &[Field] = &[plain("spi", 0, 32), plain("sequence", 32, 32)];

const COMP: &[Field] =
    &[key("nexthdr", 0, 8, Kind::Protocol), field("flags", 8, 8, Kind::Bitmask), plain("cpi", 16, 16)];

const TH: &[Field] = &[SOURCE_PORT, DESTINATION_PORT];
