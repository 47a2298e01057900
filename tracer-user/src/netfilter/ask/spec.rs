//! A packet in words: `tcp 10.0.0.1:4000 > 10.0.0.2:10250 in eth0`.
//!
//! Rule: what the words leave open has the value of the most ordinary packet (a SYN, a TTL of 64, no mark, a new
//! connection), and [`Spec::taken`] says which values were taken so.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use tracer_netfilter::packet::{Connection, ConnectionState, ETH_P_IP, ETH_P_IPV6, Known, Mark, Packet, Tuple};

use crate::settings::shortened;

/// Why words are no packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    #[error(
        "a packet is written PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT], for example: tcp 10.0.0.1:4000 > 10.0.0.2:443 in eth0"
    )]
    Shape,
    #[error("{0} is no protocol; write tcp, udp, icmp, icmpv6, sctp or a number up to 255")]
    Protocol(String),
    #[error("{0} is no address; write 10.0.0.1, 10.0.0.1:443, fd00::1 or [fd00::1]:443")]
    Address(String),
    #[error("source and destination are of different families; both must be IPv4, or both IPv6")]
    Families,
    #[error("icmp is a protocol of IPv4 and icmpv6 one of IPv6; write the one that fits the addresses")]
    Icmp,
    #[error("{0} is said twice; say it once")]
    Twice(String),
    #[error("{0} needs a source and a destination port: write 10.0.0.1:4000")]
    Ports(String),
    #[error(
        "{0} is no word of a packet; write in DEVICE, out DEVICE, mark N, ttl N, length N, flags SA, type N, state STATE"
    )]
    Word(String),
    #[error("{value} is no value for {word}; write {wanted}")]
    Value { word: String, value: String, wanted: &'static str },
}

/// A packet that was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub protocol: u8,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ports: Option<(u16, u16)>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub mark: u32,
    pub ttl: u8,
    pub length: Option<u16>,
    /// The flags byte of the TCP header.
    pub tcp_flags: u8,
    /// Type of an ICMP or ICMPv6 message.
    pub icmp_type: u8,
    pub state: ConnectionState,
    /// What was not said and is taken to be so.
    pub taken: Vec<String>,
}

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const WITH_PORTS: [u8; 5] = [TCP, 17, 33, 132, 136];
const SYN: u8 = 0x02;

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [protocol, source, ">", destination, options @ ..] = &*words else { return Err(SpecError::Shape) };
        let (source, destination) = (end(source)?, end(destination)?);
        if source.0.is_ipv4() != destination.0.is_ipv4() {
            return Err(SpecError::Families);
        }
        let number = protocol_number(protocol)?;
        if (number == ICMP && !source.0.is_ipv4()) || (number == ICMPV6 && source.0.is_ipv4()) {
            return Err(SpecError::Icmp);
        }
        let ports = match (WITH_PORTS.contains(&number), source.1, destination.1) {
            (true, Some(from), Some(to)) => Some((from, to)),
            (true, ..) => return Err(SpecError::Ports(shortened(protocol))),
            (false, ..) => None,
        };
        let mut spec = Self {
            protocol: number,
            source: source.0,
            destination: destination.0,
            ports,
            input: None,
            output: None,
            mark: 0,
            ttl: 64,
            length: None,
            tcp_flags: SYN,
            icmp_type: if number == ICMPV6 { 128 } else { 8 },
            state: ConnectionState::New,
            taken: Vec::new(),
        };
        for option in options.chunks(2) {
            let [word, value] = option else { return Err(SpecError::Word(shortened(&option.concat()))) };
            spec.set(word, value)?;
            if options.iter().step_by(2).filter(|said| *said == word).count() > 1 {
                return Err(SpecError::Twice(shortened(word)));
            }
        }
        spec.note_taken(options);
        Ok(spec)
    }
}

impl Spec {
    fn set(&mut self, word: &str, value: &str) -> Result<(), SpecError> {
        let wrong = |wanted| SpecError::Value { word: word.to_owned(), value: shortened(value), wanted };
        match word {
            "in" => self.input = Some(value.to_owned()),
            "out" => self.output = Some(value.to_owned()),
            "mark" => self.mark = number(value).ok_or_else(|| wrong("a number, as 0x400"))?,
            "ttl" => self.ttl = value.parse().map_err(|_| wrong("a number up to 255"))?,
            "length" => {
                self.length = Some(value.parse().map_err(|_| wrong("bytes from the IP header on, up to 65535"))?);
            }
            "type" => self.icmp_type = value.parse().map_err(|_| wrong("an ICMP type, as 8"))?,
            "flags" => self.tcp_flags = flags(value).ok_or_else(|| wrong("letters of SFRPAUEW, as SA"))?,
            "state" => {
                self.state = match value {
                    "new" => ConnectionState::New,
                    "established" => ConnectionState::Established,
                    "related" => ConnectionState::Related,
                    "invalid" => ConnectionState::Invalid,
                    "untracked" => ConnectionState::Untracked,
                    _ => return Err(wrong("new, established, related, invalid or untracked")),
                }
            }
            _ => return Err(SpecError::Word(shortened(word))),
        }
        Ok(())
    }

    fn note_taken(&mut self, said: &[&str]) {
        let is_said = |word: &str| said.iter().step_by(2).any(|said| *said == word);
        let state = ("state", "a new connection".to_owned());
        let kind = match self.protocol {
            TCP => Some(("flags", "a SYN".to_owned())),
            ICMP | ICMPV6 => Some(("type", "an echo request".to_owned())),
            _ => None,
        };
        let rest = [("ttl", format!("TTL {}", self.ttl)), ("mark", "no mark".to_owned())];
        let all = kind.into_iter().chain([state]).chain(rest);
        self.taken = all.filter(|(word, _)| !is_said(word)).map(|(_, taken)| taken).collect();
    }

    /// The packet, its devices still to be found.
    pub fn packet(&self) -> Packet {
        let mut body = self.transport();
        let wanted = self.length.map_or(0, usize::from);
        let header = if self.source.is_ipv4() { 20 } else { 40 };
        body.resize(body.len().max(wanted.saturating_sub(header)), 0);
        let (ethertype, bytes) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = (header + body.len()).min(0xffff) as u16;
                let mut bytes = vec![0x45, 0];
                bytes.extend(length.to_be_bytes());
                bytes.extend([0, 0, 0x40, 0, self.ttl, self.protocol, 0, 0]);
                bytes.extend(source.octets().into_iter().chain(destination.octets()));
                (ETH_P_IP, bytes)
            }
            (source, destination) => {
                let mut bytes = vec![0x60, 0, 0, 0];
                bytes.extend((body.len().min(0xffff) as u16).to_be_bytes());
                bytes.extend([self.protocol, self.ttl]);
                bytes.extend([source, destination].map(octets).concat());
                (ETH_P_IPV6, bytes)
            }
        };
        let mut packet = Packet::from_network(ethertype, &[bytes, body].concat());
        packet.mark = Mark::Before(self.mark);
        packet.connection = Known::Is(self.connection());
        packet.packet_type = Some(0);
        packet
    }

    fn transport(&self) -> Vec<u8> {
        let (from, to) = self.ports.unwrap_or_default();
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        match self.protocol {
            TCP => [&*ports, &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, self.tcp_flags, 0xff, 0xff, 0, 0, 0, 0]].concat(),
            ICMP | ICMPV6 => vec![self.icmp_type, 0, 0, 0, 0, 1, 0, 1],
            132 => [&*ports, &[0; 8]].concat(),
            _ if self.ports.is_some() => [&*ports, &[0, 8, 0, 0]].concat(),
            _ => Vec::new(),
        }
    }

    fn connection(&self) -> Connection {
        let (source_port, destination_port) = self.ports.unwrap_or_default();
        let original = Tuple {
            source: self.source,
            destination: self.destination,
            source_port,
            destination_port,
            protocol: self.protocol,
        };
        let has_entry = !matches!(self.state, ConnectionState::Invalid | ConnectionState::Untracked);
        Connection {
            state: self.state,
            is_reply: false,
            mark: Some(0),
            // What another packet of the connection has been through is not known.
            status: (self.state == ConnectionState::New).then_some(0),
            original: has_entry.then_some(original),
            reply: None,
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn end(text: &str) -> Result<(IpAddr, Option<u16>), SpecError> {
    if let Ok(end) = text.parse::<std::net::SocketAddr>() {
        return Ok((end.ip(), Some(end.port())));
    }
    text.parse().map(|address| (address, None)).map_err(|_| SpecError::Address(shortened(text)))
}

fn protocol_number(text: &str) -> Result<u8, SpecError> {
    Ok(match text {
        "icmp" => ICMP,
        "tcp" => TCP,
        "udp" => 17,
        "dccp" => 33,
        "icmpv6" => ICMPV6,
        "sctp" => 132,
        "udplite" => 136,
        other => other.parse().map_err(|_| SpecError::Protocol(shortened(text)))?,
    })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Letters as tcpdump's.
fn flags(text: &str) -> Option<u8> {
    text.chars().try_fold(0, |flags, letter| {
        let bit = "FSRPAUEW".find(letter)?;
        Some(flags | 1u8 << bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_packet() {
        let spec: Spec = "tcp 10.0.0.1:4000 > 10.0.0.2:10250 in eth0 mark 0x400 flags SA".parse().unwrap();
        let packet = spec.packet();
        assert_eq!((packet.source_port, packet.destination_port), (Some(4000), Some(10250)));
        assert_eq!((packet.mark, packet.length), (Mark::Before(0x400), Some(40)));
        assert_eq!(packet.at(packet.transport, 13, 1), Some(&[0x12][..]));
        assert_eq!(spec.input.as_deref(), Some("eth0"));
        assert_eq!(spec.taken, ["a new connection", "TTL 64"]);
    }

    #[test]
    fn ipv6_and_lengths() {
        let spec: Spec = "udp [fd00::1]:53 > [fd00::2]:9000 length 200".parse().unwrap();
        let packet = spec.packet();
        assert_eq!((packet.protocol, packet.destination_port, packet.length), (Some(17), Some(9000), Some(200)));
        let ping: Spec = "icmp 10.0.0.1 > 10.0.0.2 type 0 state established".parse().unwrap();
        assert_eq!(ping.packet().at(ping.packet().transport, 0, 1), Some(&[0][..]));
    }

    #[test]
    fn what_makes_no_sense_is_said_in_one_sentence() {
        let error = |text: &str| text.parse::<Spec>().unwrap_err().to_string();
        assert!(error("tcp 10.0.0.1").contains("PROTOCOL SOURCE"));
        assert!(error("tcp 10.0.0.1 > 10.0.0.2").contains("port"));
        assert!(error("foo 10.0.0.1 > 10.0.0.2").contains("foo"));
        assert!(error("icmp 10.0.0.1 > fd00::2").contains("families"));
        assert!(error("icmp 10.0.0.1 > 10.0.0.2 in").contains("in"));
        assert!(error("icmp 10.0.0.1 > 10.0.0.2 colour red").contains("colour"));
        assert!(error("icmp 10.0.0.1 > 10.0.0.2 ttl 300").contains("ttl"));
    }
}
