//! The IPsec policies of a namespace, and which of them a packet meets.
//!
//! Rules: numbers and layouts are those of include/uapi/linux/xfrm.h; a message that is too short costs itself. The
//! kernel's part is not asked where that would load its module (`xfrm_user`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::recent::{Recent, note};
use super::{Packet, Scene};
use crate::host::netlink::{self, Message};

/// `XFRM_MSG_GETPOLICY`, whose answers are `XFRM_MSG_NEWPOLICY`; the size of `struct xfrm_userpolicy_id`.
const GET_POLICY: u16 = 0x15;
const NEW_POLICY: u16 = 0x13;
const POLICY_ID: usize = 64;
/// `struct xfrm_userpolicy_info`: a selector, two lifetimes (64 and 32 bytes), priority, index, then direction and action.
const SELECTOR: usize = 56;
const PRIORITY: usize = SELECTOR + 64 + 32;
const DIRECTION: usize = PRIORITY + 8;
const INFO: usize = 168;
/// `XFRMA_TMPL`: what the packet must have come with, if the policy allows it.
const TEMPLATES: u16 = 5;
/// `NETLINK_XFRM`.
const PROTOCOL: u8 = 6;

/// Which packets a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
    Forward,
}

impl Direction {
    /// As `ip xfrm policy` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        }
    }
}

/// A range of ports that is a port with a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ports {
    port: u16,
    mask: u16,
}

impl Ports {
    fn takes(self, port: Option<u16>) -> bool {
        self.mask == 0 || port.is_some_and(|port| (port ^ self.port) & self.mask == 0)
    }
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub source: (IpAddr, u8),
    pub destination: (IpAddr, u8),
    /// IP protocol; 0 for any.
    pub protocol: u8,
    source_ports: Ports,
    destination_ports: Ports,
    /// 0 for any.
    pub ifindex: u32,
    pub direction: Direction,
    /// It refuses what it is met by; else it lets pass, with templates only what came through IPsec.
    pub blocks: bool,
    pub has_templates: bool,
    pub priority: u32,
}

impl Policy {
    /// Its selector and direction, as `ip xfrm policy delete` takes them.
    pub fn selector(&self) -> String {
        let end = |(address, length): (IpAddr, u8)| format!("{address}/{length}");
        let protocol = match self.protocol {
            0 => String::new(),
            protocol => format!(" proto {protocol}"),
        };
        let ports = |word: &str, ports: Ports| match ports.mask {
            0 => String::new(),
            _ => format!(" {word} {}", ports.port),
        };
        let (from, to) = (ports("sport", self.source_ports), ports("dport", self.destination_ports));
        let direction = self.direction.as_str();
        format!("src {} dst {}{protocol}{from}{to} dir {direction}", end(self.source), end(self.destination))
    }

    fn takes(&self, packet: &Packet) -> bool {
        let meets = |(network, length), address: Option<IpAddr>| address.is_some_and(|at| is_in(at, network, length));
        meets(self.source, packet.source)
            && meets(self.destination, packet.destination)
            && (self.protocol == 0 || packet.protocol == Some(self.protocol))
            && self.source_ports.takes(packet.source_port)
            && self.destination_ports.takes(packet.destination_port)
            && (self.ifindex == 0 || self.ifindex == packet.interface.index)
    }
}

fn is_in(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differs = address.to_bits() ^ network.to_bits();
            differs.checked_shr(32u32.saturating_sub(length.into())).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differs = address.to_bits() ^ network.to_bits();
            differs.checked_shr(128u32.saturating_sub(length.into())).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// What the policies say of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The one that it meets first.
    pub decisive: Option<Policy>,
    /// How many there are; `None` if they could not be read.
    pub count: Option<usize>,
}

/// What is kept of earlier readings, by namespace.
#[derive(Debug, Default)]
pub(super) struct Memory(Recent<u32, Result<Vec<Policy>, String>>);

/// Reads the policies, and finds the one that the packet meets.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Policies {
    let netns = scene.question.netns.inode;
    let read = memory.0.get(netns, scene.time, || match scene.inside(policies) {
        Ok(policies) => policies,
        Err(error) => Err(error.to_string()),
    });
    let policies =
        note("the IPsec policies", read, &mut scene.unknown).map(|read| scene.note("the IPsec policies", read));
    let Some(policies) = policies.flatten() else { return Policies::default() };
    let packet = &scene.question.packet;
    let direction = match packet.symbol.as_str() {
        "ip_forward" | "ip6_forward" => Direction::Forward,
        symbol if symbol.contains("output") || symbol.contains("lookup") => Direction::Out,
        _ => Direction::In,
    };
    let met = policies.iter().filter(|policy| policy.direction == direction && policy.takes(packet));
    // The first of equal priority is the older one (`xfrm_policy_insert_list`, net/xfrm/xfrm_policy.c).
    let decisive = met.min_by_key(|policy| policy.priority).cloned();
    Policies { decisive, count: Some(policies.len()) }
}

/// All policies of the calling thread's namespace.
fn policies() -> Result<Vec<Policy>, String> {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").map_err(|error| error.to_string())?;
    if !has_kernel_socket(&sockets) {
        return Err("the module xfrm_user is not there, and is not loaded for the question".to_owned());
    }
    let request = Message { kind: GET_POLICY, payload: vec![0; POLICY_ID] };
    let answer = netlink::dump(isize::from(PROTOCOL), &request).map_err(|error| error.to_string())?;
    Ok(answer.messages.iter().filter(|message| message.kind == NEW_POLICY).filter_map(parse).collect())
}

/// Whether the kernel listens on `NETLINK_XFRM` here: columns are the socket's address, protocol and port, which is the
/// kernel's if it is 0 (`netlink_native_seq_show`, net/netlink/af_netlink.c).
fn has_kernel_socket(sockets: &str) -> bool {
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (protocol, port) = (words.next(), words.next());
        protocol.and_then(|word| word.parse().ok()) == Some(PROTOCOL) && port == Some("0")
    })
}

fn parse(message: &Message) -> Option<Policy> {
    let bytes = message.payload.get(..INFO)?;
    let at = |offset: usize| bytes.get(offset).copied();
    let be16 = |offset: usize| Some(u16::from_be_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?));
    let ne32 = |offset: usize| Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?));
    let family = u16::from_ne_bytes(bytes.get(40..42)?.try_into().ok()?);
    let address = |offset: usize| -> Option<IpAddr> {
        if i32::from(family) == libc::AF_INET6 {
            let octets: [u8; 16] = bytes.get(offset..offset + 16)?.try_into().ok()?;
            return Some(Ipv6Addr::from(octets).into());
        }
        let octets: [u8; 4] = bytes.get(offset..offset + 4)?.try_into().ok()?;
        (i32::from(family) == libc::AF_INET).then(|| Ipv4Addr::from(octets).into())
    };
    let direction = match at(DIRECTION)? {
        0 => Direction::In,
        1 => Direction::Out,
        2 => Direction::Forward,
        _ => return None,
    };
    Some(Policy {
        destination: (address(0)?, at(42)?),
        source: (address(16)?, at(43)?),
        protocol: at(44)?,
        destination_ports: Ports { port: be16(32)?, mask: be16(34)? },
        source_ports: Ports { port: be16(36)?, mask: be16(38)? },
        ifindex: ne32(48)?,
        direction,
        blocks: at(DIRECTION + 1)? == 1,
        has_templates: has_attribute(message.payload.get(INFO..)?, TEMPLATES),
        priority: ne32(PRIORITY)?,
    })
}

fn has_attribute(mut bytes: &[u8], kind: u16) -> bool {
    while let (Some([a, b]), Some([c, d])) = (bytes.get(..2), bytes.get(2..4)) {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        if u16::from_ne_bytes([*c, *d]) == kind {
            return true;
        }
        if length < 4 {
            return false;
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `src 10.99.1.0/24 dst 10.99.2.2/32 proto udp dport 9999 dir fwd action block priority 7`.
    fn message() -> Message {
        let mut payload = vec![0; INFO];
        payload[..4].copy_from_slice(&[10, 99, 2, 2]);
        payload[16..20].copy_from_slice(&[10, 99, 1, 0]);
        payload[32..36].copy_from_slice(&[0x27, 0x0f, 0xff, 0xff]);
        payload[40..42].copy_from_slice(&2u16.to_ne_bytes());
        (payload[42], payload[43], payload[44]) = (32, 24, 17);
        payload[PRIORITY..PRIORITY + 4].copy_from_slice(&7u32.to_ne_bytes());
        (payload[DIRECTION], payload[DIRECTION + 1]) = (2, 1);
        Message { kind: NEW_POLICY, payload }
    }

    fn packet(source: &str, port: u16) -> Packet {
        let (source, destination) = (source.parse().ok(), "10.99.2.2".parse().ok());
        Packet { source, destination, protocol: Some(17), destination_port: Some(port), ..Packet::default() }
    }

    #[test]
    fn a_policy_is_read_and_met_by_its_packets_only() {
        let policy = parse(&message()).unwrap();
        assert_eq!(policy.selector(), "src 10.99.1.0/24 dst 10.99.2.2/32 proto 17 dport 9999 dir fwd");
        assert!(policy.blocks && !policy.has_templates && policy.priority == 7);
        assert!(policy.takes(&packet("10.99.1.77", 9999)));
        for other in [packet("10.99.3.77", 9999), packet("10.99.1.77", 9998), packet("fd00::1", 9999)] {
            assert!(!policy.takes(&other), "{other:?}");
        }
        let all = Policy { source: (Ipv4Addr::UNSPECIFIED.into(), 0), ..policy };
        assert!(all.takes(&packet("192.0.2.1", 9999)));
    }

    #[test]
    fn templates_are_seen_and_nothing_hostile_panics() {
        let mut message = message();
        message.payload.extend([8, 0, 1, 0, 0, 0, 0, 0, 8, 0, 5, 0, 0, 0, 0, 0]);
        assert!(parse(&message).unwrap().has_templates);
        for length in 0..message.payload.len() {
            let cut = Message { kind: NEW_POLICY, payload: message.payload[..length].to_vec() };
            assert_eq!(parse(&cut).is_some(), length >= INFO, "{length}");
        }
        let mut state = 5u64;
        for _ in 0..50_000 {
            let mut hostile = message.clone();
            for byte in &mut hostile.payload {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if state >> 60 == 0 {
                    *byte = (state >> 33) as u8;
                }
            }
            if let Some(policy) = parse(&hostile) {
                policy.takes(&packet("10.99.1.77", 9999));
                policy.selector();
            }
        }
    }

    #[test]
    fn the_kernels_own_socket_is_told_from_others() {
        let text = "sk Eth Pid Groups\n00000000a 0 0 1\n00000000b 6 4711 1\n00000000c 16 0 0\n";
        assert!(!has_kernel_socket(text));
        assert!(has_kernel_socket(&(text.to_owned() + "00000000d 6 0 00000000 0 0\n")));
    }
}
