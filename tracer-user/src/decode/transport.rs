//! Transport headers: ports, TCP flags, ICMP type and code.

use std::fmt;

use bytes::Buf;

/// IANA protocol numbers.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;

    /// The protocol as people write it, or its number.
    pub fn name(number: u8) -> String {
        match number {
            ICMP => "icmp".into(),
            TCP => "tcp".into(),
            UDP => "udp".into(),
            ICMPV6 => "icmpv6".into(),
            SCTP => "sctp".into(),
            DCCP => "dccp".into(),
            UDPLITE => "udplite".into(),
            2 => "igmp".into(),
            47 => "gre".into(),
            50 => "esp".into(),
            other => other.to_string(),
        }
    }
}

/// Byte 13 of the TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl fmt::Display for TcpFlags {
    /// Letters as tcpdump's, SYN first: `S`, `SA`, `FA`, `R`; `none` for no flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters =
            [(0x02, 'S'), (0x01, 'F'), (0x04, 'R'), (0x08, 'P'), (0x10, 'A'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W')];
        if self.0 == 0 {
            return f.write_str("none");
        }
        letters.iter().filter(|(bit, _)| self.0 & bit != 0).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// ICMP or ICMPv6 type and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcmpKind {
    pub kind: u8,
    pub code: u8,
}

/// What a transport header says, as far as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Transport {
    pub(super) source_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
    pub(super) tcp_flags: Option<TcpFlags>,
    pub(super) icmp: Option<IcmpKind>,
}

pub(super) fn parse(number: u8, mut head: &[u8]) -> Transport {
    let mut transport = Transport::default();
    match number {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDPLITE => {
            if number == protocol::TCP {
                transport.tcp_flags = head.get(13).copied().map(TcpFlags);
            }
            if let (Ok(source), Ok(destination)) = (head.try_get_u16(), head.try_get_u16()) {
                transport.source_port = Some(source);
                transport.destination_port = Some(destination);
            }
        }
        protocol::ICMP | protocol::ICMPV6 => {
            if let (Ok(kind), Ok(code)) = (head.try_get_u8(), head.try_get_u8()) {
                transport.icmp = Some(IcmpKind { kind, code });
            }
        }
        _ => {}
    }
    transport
}
