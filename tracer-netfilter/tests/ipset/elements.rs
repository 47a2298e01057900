//! Random elements of sets, and packets that have them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_netfilter::ipset::Options;
use tracer_netfilter::packet::{Device, ETH_P_IP, ETH_P_IPV6, Known, Mark, Packet};

use crate::namespace::Random;

/// A packet with its link-layer header at 0, its network header at 14 and its transport header at 54.
pub(crate) fn packet(source: IpAddr, destination: IpAddr, protocol: u8, ports: (u16, u16)) -> Packet {
    let mut bytes = vec![0; 74];
    bytes[54..56].copy_from_slice(&ports.0.to_be_bytes());
    bytes[56..58].copy_from_slice(&ports.1.to_be_bytes());
    let has_ports = matches!(protocol, 6 | 17 | 132 | 136);
    Packet {
        ethertype: if source.is_ipv4() { ETH_P_IP } else { ETH_P_IPV6 },
        bytes,
        link: Some(0),
        network: Some(14),
        transport: Some(54),
        protocol: Some(protocol),
        fragment_offset: 0,
        length: Some(60),
        source: Some(source),
        destination: Some(destination),
        source_port: has_ports.then_some(ports.0),
        destination_port: has_ports.then_some(ports.1),
        input: Known::Unknown,
        output: Known::Unknown,
        bridge_input: Known::Unknown,
        bridge_output: Known::Unknown,
        mark: Mark::Before(0),
        connection: Known::Unknown,
        socket: Known::Unknown,
        packet_type: None,
        vlan: None,
        cpu: None,
    }
}

pub(crate) fn device(name: &str) -> Known<Device> {
    Known::Is(Device { name: name.to_owned(), ..Device::default() })
}

/// Elements of a type: as ipset writes them and as packets that carry them.
pub(crate) struct Elements<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) is_ipv6: bool,
    pub(crate) parts: Vec<&'static str>,
}

const PREFIXES: [u8; 13] = [8, 12, 14, 15, 16, 20, 22, 23, 24, 28, 30, 31, 32];
const PROTOCOLS: [(u8, &str); 6] = [(6, "tcp"), (17, "udp"), (132, "sctp"), (136, "udplite"), (47, "gre"), (1, "icmp")];

impl Elements<'_> {
    /// Few addresses, near each other, so that nets hold some of them; fewer where more must come together.
    pub(crate) fn address(&mut self) -> IpAddr {
        let [a, b, c] =
            if self.parts.len() < 3 { [4, 4, 8] } else { [2, 1, 2] }.map(|below| self.random.below(below) as u8);
        if self.is_ipv6 {
            IpAddr::V6(Ipv6Addr::from([0xfd, 0, a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, a, b, c))
        }
    }

    pub(crate) fn net(&mut self) -> String {
        let prefix = PREFIXES[self.random.below(PREFIXES.len() as u32) as usize];
        let prefix = if self.is_ipv6 && prefix == 32 { 128 } else { prefix };
        format!("{}/{prefix}", self.address())
    }

    pub(crate) fn port(&mut self) -> (u8, u16, String) {
        let (protocol, name) = PROTOCOLS[self.random.below(6) as usize];
        let (protocol, name) = if protocol == 1 && self.is_ipv6 { (58, "ipv6-icmp") } else { (protocol, name) };
        match protocol {
            47 => (47, 0, "gre:0".into()),
            // Code 9 has no name for any type.
            1 | 58 => {
                let kind = 40 + self.random.below(6) as u16;
                (protocol, kind << 8 | 9, format!("{name}:{kind}/9"))
            }
            _ => {
                let port = 1 + self.random.below(if self.parts.len() < 3 { 6 } else { 2 }) as u16;
                (protocol, port, format!("{name}:{port}"))
            }
        }
    }

    pub(crate) fn member(&mut self) -> String {
        let parts = self.parts.clone();
        let mut interface = String::new();
        let part = |part| match part {
            "ip" => self.address().to_string(),
            "net" => self.net(),
            "port" => self.port().2,
            "bare" => (1 + self.random.below(6)).to_string(),
            "mac" => format!("02:00:00:00:00:0{}", self.random.below(4)),
            "iface" => {
                interface = match self.random.below(4) {
                    0 => " wildcard".into(),
                    _ => String::new(),
                };
                let digit = if interface.is_empty() { self.random.below(3).to_string() } else { String::new() };
                format!("{}e{digit}", if self.random.below(4) == 0 { "physdev:" } else { "" })
            }
            other => panic!("{other}"),
        };
        parts.into_iter().map(part).collect::<Vec<_>>().join(",") + &interface
    }

    /// An element as `ipset test` takes and prints it, a packet that has it in the directions given, and options.
    pub(crate) fn asked(&mut self) -> (String, Packet, Vec<bool>, Options) {
        let (protocol, number, port) = self.port();
        let unasked = self.address();
        let mut packet = packet(unasked, unasked, protocol, (0, 0));
        let (mut options, mut text, mut directions) = (Options::default(), Vec::new(), Vec::<bool>::new());
        let mut addresses = 0;
        for part in self.parts.clone() {
            // Two addresses of an element have to be asked for in two directions, to be different.
            let is_source = if addresses == 1 { !directions[0] } else { self.random.below(2) == 0 };
            match part {
                "ip" | "net" => {
                    let address = self.address();
                    *(if is_source { &mut packet.source } else { &mut packet.destination }) = Some(address);
                    text.push(address.to_string());
                    addresses += 1;
                }
                "port" | "bare" => {
                    let number = if part == "bare" { 1 + self.random.below(6) as u16 } else { number };
                    text.push(if part == "bare" { number.to_string() } else { port.clone() });
                    if part == "bare" {
                        packet.protocol = Some(if is_source { 6 } else { 17 });
                    }
                    let at = if is_source || matches!(packet.protocol, Some(1 | 58)) { 54 } else { 56 };
                    packet.bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
                    // Not always parsed before.
                    (packet.source_port, packet.destination_port) = (None, None);
                }
                "mac" => {
                    let last = self.random.below(4) as u8;
                    let at = if is_source { 6 } else { 0 };
                    packet.bytes[at..at + 6].copy_from_slice(&[2, 0, 0, 0, 0, last]);
                    text.push(format!("02:00:00:00:00:0{last}"));
                }
                "iface" => {
                    let name = format!("e{}", self.random.below(4));
                    options.is_physical = self.random.below(4) == 0;
                    *match (options.is_physical, is_source) {
                        (false, true) => &mut packet.input,
                        (false, false) => &mut packet.output,
                        (true, true) => &mut packet.bridge_input,
                        (true, false) => &mut packet.bridge_output,
                    } = device(&name);
                    text.push(format!("{}{name}", if options.is_physical { "physdev:" } else { "" }));
                }
                other => panic!("{other}"),
            }
            directions.push(is_source);
        }
        (text.join(","), packet, directions, options)
    }
}
