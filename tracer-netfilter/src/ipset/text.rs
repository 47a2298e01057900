//! Members as `ipset list` prints them, and what they say of a packet.

use std::fmt::{self, Display, Formatter, Write as _};
use std::net::IpAddr;

use super::member::host_prefix;
use super::question::Question;
use super::{Extensions, Found, IpSet, Member, Net, Options, Port};
use crate::packet::Packet;
use crate::truth::Truth;

impl Display for Net {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.prefix == host_prefix(self.address) { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [icmp_type, icmp_code] = self.number.to_be_bytes();
        match self.protocol {
            None => write!(f, "{}", self.number),
            Some(1) => match icmp_name(ICMP, self.number) {
                Some(name) => write!(f, "icmp:{name}"),
                None => write!(f, "icmp:{icmp_type}/{icmp_code}"),
            },
            Some(58) => match icmp_name(ICMPV6, self.number) {
                Some(name) => write!(f, "ipv6-icmp:{name}"),
                None => write!(f, "ipv6-icmp:{icmp_type}/{icmp_code}"),
            },
            Some(protocol) => match PROTOCOLS.iter().find(|(number, _)| *number == protocol) {
                Some((_, name)) => write!(f, "{name}:{}", self.number),
                None => write!(f, "{protocol}:{}", self.number),
            },
        }
    }
}

impl Display for Member {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.element())?;
        let extensions = self.extensions.as_deref();
        if let Some(timeout) = extensions.and_then(|extensions| extensions.timeout) {
            write!(f, " timeout {timeout}")?;
        }
        if self.is_nomatch {
            f.write_str(" nomatch")?;
        }
        if self.interface.as_deref().is_some_and(|interface| interface.is_wildcard) {
            f.write_str(" wildcard")?;
        }
        extensions.map_or(Ok(()), |extensions| write!(f, "{extensions}"))
    }
}

impl Display for Extensions {
    /// All but the timeout, which stands before `nomatch`; each with a space before it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(packets) = self.packets {
            write!(f, " packets {packets}")?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, " bytes {bytes}")?;
        }
        if let Some(comment) = &self.comment {
            write!(f, " comment \"{comment}\"")?;
        }
        match self.mark {
            Some(mark) if mark.mask == u32::MAX => write!(f, " skbmark {:#x}", mark.value)?,
            Some(mark) => write!(f, " skbmark {:#x}/{:#x}", mark.value, mark.mask)?,
            None => {}
        }
        if let Some(priority) = self.priority {
            write!(f, " skbprio {:x}:{:x}", priority.major, priority.minor)?;
        }
        self.queue.map_or(Ok(()), |queue| write!(f, " skbqueue {queue}"))
    }
}

impl Member {
    /// The member without its extensions: `10.0.0.0/8,tcp:80`.
    pub fn element(&self) -> String {
        let mac =
            self.mac.as_ref().map(|[a, b, c, d, e, g]| format!("{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}"));
        let interface = self
            .interface
            .as_deref()
            .map(|interface| format!("{}{}", if interface.is_physical { "physdev:" } else { "" }, interface.name));
        let parts = [
            self.first.map(|net| net.to_string()),
            self.port.map(|port| port.to_string()),
            self.second.map(|net| net.to_string()),
            mac,
            self.mark.map(|mark| format!("{mark:#010x}")),
            interface,
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(",")
    }
}

impl IpSet {
    /// A sentence on what decided that the packet is in the set, or by an exception is not:
    /// `10.99.1.2 is in set bl (10.99.0.0/16 comment "x")`; `None` where nothing did.
    pub fn evidence(&self, packet: &Packet, is_source: &[bool], options: Options) -> Option<String> {
        let Found { truth, set, member } = self.find(packet, is_source, options);
        let (member, verb) = match truth {
            Truth::Yes => (member?, "is"),
            Truth::No => (member?, "is not"),
            Truth::Unknown(_) => return None,
        };
        let element = Question::new(set, packet, is_source, options)?.element();
        let mut sentence = format!("{element} {verb} in set {}", self.name);
        let written = if set.name == self.name { Ok(()) } else { write!(sentence, " by its member {}", set.name) };
        let entry = member.to_string();
        if entry == element { written } else { written.and_then(|()| write!(sentence, " ({entry})")) }.ok()?;
        Some(sentence)
    }
}

impl Question<'_> {
    fn element(&self) -> String {
        let host = |address: Option<IpAddr>| address.map(Net::host);
        let member = Member {
            first: host(self.first),
            second: host(self.second),
            port: self.port,
            mac: self.mac,
            mark: self.mark,
            ..Member::default()
        };
        let interface = self.interface.map(|name| format!(",{name}")).unwrap_or_default();
        member.element() + &interface
    }
}

/// Names of protocols as `/etc/protocols` commonly has them.
const PROTOCOLS: [(u8, &str); 12] = [
    (2, "igmp"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (89, "ospf"),
    (132, "sctp"),
    (136, "udplite"),
];

fn icmp_name(names: &[(u8, u8, &'static str)], number: u16) -> Option<&'static str> {
    let [icmp_type, icmp_code] = number.to_be_bytes();
    names.iter().find(|(of, code, _)| (*of, *code) == (icmp_type, icmp_code)).map(|(_, _, name)| *name)
}

/// Type, code and name of ICMP messages (RFC 792 and after), as ipset names them.
const ICMP: &[(u8, u8, &str)] = &[
    (0, 0, "echo-reply"),
    (3, 0, "network-unreachable"),
    (3, 1, "host-unreachable"),
    (3, 2, "protocol-unreachable"),
    (3, 3, "port-unreachable"),
    (3, 4, "fragmentation-needed"),
    (3, 5, "source-route-failed"),
    (3, 6, "network-unknown"),
    (3, 7, "host-unknown"),
    (3, 9, "network-prohibited"),
    (3, 10, "host-prohibited"),
    (3, 11, "TOS-network-unreachable"),
    (3, 12, "TOS-host-unreachable"),
    (3, 13, "communication-prohibited"),
    (3, 14, "host-precedence-violation"),
    (3, 15, "precedence-cutoff"),
    (4, 0, "source-quench"),
    (5, 0, "network-redirect"),
    (5, 1, "host-redirect"),
    (5, 2, "TOS-network-redirect"),
    (5, 3, "TOS-host-redirect"),
    (8, 0, "echo-request"),
    (9, 0, "router-advertisement"),
    (10, 0, "router-solicitation"),
    (11, 0, "ttl-zero-during-transit"),
    (11, 1, "ttl-zero-during-reassembly"),
    (12, 0, "ip-header-bad"),
    (12, 1, "required-option-missing"),
    (13, 0, "timestamp-request"),
    (14, 0, "timestamp-reply"),
    (17, 0, "address-mask-request"),
    (18, 0, "address-mask-reply"),
];

/// Those of ICMPv6 (RFC 4443, RFC 4861).
const ICMPV6: &[(u8, u8, &str)] = &[
    (1, 0, "no-route"),
    (1, 1, "communication-prohibited"),
    (1, 3, "address-unreachable"),
    (1, 4, "port-unreachable"),
    (2, 0, "packet-too-big"),
    (3, 0, "ttl-zero-during-transit"),
    (3, 1, "ttl-zero-during-reassembly"),
    (4, 0, "bad-header"),
    (4, 1, "unknown-header-type"),
    (4, 2, "unknown-option"),
    (128, 0, "echo-request"),
    (129, 0, "echo-reply"),
    (133, 0, "router-solicitation"),
    (134, 0, "router-advertisement"),
    (135, 0, "neighbour-solicitation"),
    (136, 0, "neighbour-advertisement"),
    (137, 0, "redirect"),
];
