//! Which socket took no more, how full it is, and the settings that bound it.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;

use super::diag::{self, Socket, TCP, UDP, UDPLITE, Which};
use super::{Held, Memory, ends};
use crate::host::{HostError, clock};
use crate::node::{Scene, sysctl};

/// Sockets whose counters are remembered.
const MOST_REMEMBERED: usize = 4096;

/// The socket that a packet was for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// `None` if there is no such socket any more, or it can't be told.
    pub socket: Option<Held>,
    /// The event itself names the socket (by its cookie).
    pub is_named: bool,
    /// Other sockets that it may as well have been for (`SO_REUSEPORT`).
    pub alternatives: usize,
    /// What its count of drops was at a reading before this drop.
    pub drops_before: Option<u32>,
    pub settings: Settings,
}

/// Settings and totals that bound sockets; `None` where they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `net.core.somaxconn` of the namespace.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog` of the namespace.
    pub syn_backlog: Option<u64>,
    /// `net.ipv4.tcp_syncookies` of the namespace.
    pub syncookies: Option<u64>,
    /// `net.core.rmem_default` and `_max`, bytes; the whole machine's.
    pub receive_default: Option<u64>,
    pub receive_max: Option<u64>,
    /// `net.ipv4.tcp_rmem` of the namespace: least, default, most bytes.
    pub tcp_receive: Option<[u64; 3]>,
    pub memory: Option<ProtocolMemory>,
}

/// What all sockets of a protocol hold, pages; the whole machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolMemory {
    pub used: u64,
    /// `net.ipv4.tcp_mem` or `udp_mem`: low, pressure, most.
    pub limits: [u64; 3],
}

/// Counters of earlier readings, by namespace and cookie.
#[derive(Debug, Default)]
pub(super) struct History(HashMap<(u32, u64), (u32, u64)>);

impl History {
    /// Keeps a socket's count of drops; gives what it was at a reading before `time` (`CLOCK_MONOTONIC`, ns).
    pub(super) fn compare(&mut self, netns: u32, socket: &Socket, time: u64) -> Option<u32> {
        let drops = socket.memory?.drops;
        if self.0.len() >= MOST_REMEMBERED {
            self.0.clear();
        }
        let before = self.0.insert((netns, socket.cookie), (drops, clock::monotonic()));
        before.filter(|(before, read)| *read < time && *before <= drops).map(|(before, _)| before)
    }
}

pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Busy, HostError> {
    let packet = &scene.question.packet;
    let (Some((source, destination)), Some(protocol)) = (ends(scene), packet.protocol) else {
        scene.unknown.push("which socket it was for: its ports are not known".to_owned());
        return Ok(Busy::default());
    };
    let is_overflow = packet.reason.as_deref() == Some("TCP_LISTEN_OVERFLOW") || super::is_cookie(&packet.symbol);
    let is_listener = protocol == TCP && is_overflow;
    let which = if is_listener { Which::Listening } else { Which::Any };
    let cookie = packet.dropped.as_ref().map_or(0, |dropped| dropped.event.socket_cookie);
    let devices = [packet.interface.index, packet.came_in_by];
    let port = destination.port();
    let (listed, mut settings) =
        scene.inside(|| (diag::list(protocol, which, port), Settings::of_namespace(protocol)))?;
    settings.add_machine(scene, protocol);
    let listed = scene.note("the sockets at its port can't be listed", listed).unwrap_or_default();
    scene.unknown.extend(diag::lack(protocol).filter(|_| !listed.is_empty()));

    let named = listed.iter().find(|socket| cookie != 0 && socket.cookie == cookie).cloned();
    let is_named = named.is_some();
    let (chosen, alternatives) = match named {
        Some(socket) => (Some(socket), 0),
        None => choose(listed, source, destination, &devices),
    };
    let (netns, time) = (scene.question.netns.inode, scene.time);
    let drops_before = chosen.as_ref().and_then(|socket| memory.drops.compare(netns, socket, time));
    let socket = memory.held(scene, chosen.into_iter()).pop();
    Ok(Busy { socket, is_named, alternatives, drops_before, settings })
}

/// The socket that the kernel gives such a packet, and how many others are as good: a peer counts most, then the
/// interface, the address, the family (`compute_score`, net/ipv4/udp.c). Of equals the fullest is the likeliest.
pub(super) fn choose(
    sockets: Vec<Socket>,
    source: SocketAddr,
    destination: SocketAddr,
    devices: &[u32],
) -> (Option<Socket>, usize) {
    let score = |socket: &Socket| {
        let fits = socket.takes(destination.ip())
            && socket.hears(source)
            && (socket.interface == 0 || devices.contains(&socket.interface));
        fits.then(|| {
            u8::from(socket.peer.is_some()) * 8
                + u8::from(socket.interface != 0) * 4
                + u8::from(!socket.local.ip().is_unspecified()) * 2
                + u8::from(socket.local.is_ipv4() == destination.is_ipv4())
        })
    };
    let best = sockets.iter().filter_map(score).max();
    let mut equals: Vec<Socket> =
        sockets.into_iter().filter(|socket| best.is_some() && score(socket) == best).collect();
    equals.sort_by_key(fullness);
    let chosen = equals.pop();
    (chosen, equals.len())
}

fn fullness(socket: &Socket) -> (u64, u32) {
    let Some(memory) = socket.memory else { return (0, 0) };
    if socket.protocol == TCP && socket.listens {
        return (u64::from(socket.receive_queue), memory.drops);
    }
    (u64::from(memory.received).saturating_mul(1000) / u64::from(memory.limit.max(1)), memory.drops)
}

impl Settings {
    /// Reads those of the calling thread's namespace.
    pub(super) fn of_namespace(protocol: u8) -> Self {
        let number = |name: &str| sysctl::read(name).ok().and_then(|text| text.parse().ok());
        let mut settings = Self {
            receive_default: number("net/core/rmem_default"),
            receive_max: number("net/core/rmem_max"),
            ..Self::default()
        };
        if protocol == TCP {
            settings.somaxconn = number("net/core/somaxconn");
            settings.syn_backlog = number("net/ipv4/tcp_max_syn_backlog");
            settings.syncookies = number("net/ipv4/tcp_syncookies");
            settings.tcp_receive = sysctl::read("net/ipv4/tcp_rmem").ok().and_then(|text| three(&text));
        }
        settings
    }

    /// Adds what only the host's namespace shows: the buffers' limits before 6.11, the memory of a protocol.
    fn add_machine(&mut self, scene: &Scene<'_>, protocol: u8) {
        let Some(host) = scene.host.host().and_then(|host| scene.host.netns(host.inode)) else { return };
        let (title, name) = match protocol {
            TCP => ("TCP:", "net/ipv4/tcp_mem"),
            UDP => ("UDP:", "net/ipv4/udp_mem"),
            UDPLITE => ("UDPLITE:", "net/ipv4/udp_mem"),
            _ => return,
        };
        let read = scene.inside_of(host, || {
            let used = fs::read_to_string("/proc/thread-self/net/sockstat").ok().and_then(|text| pages(&text, title));
            let limits = sysctl::read(name).ok().and_then(|text| three(&text));
            (Self::of_namespace(0), used.zip(limits))
        });
        let Ok((machine, memory)) = read else { return };
        self.receive_default = self.receive_default.or(machine.receive_default);
        self.receive_max = self.receive_max.or(machine.receive_max);
        self.memory = memory.map(|(used, limits)| ProtocolMemory { used, limits });
    }
}

fn three(text: &str) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

/// The pages that a protocol's sockets hold, from `/proc/net/sockstat` (`UDP: inuse 2 mem 3`).
fn pages(text: &str, title: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(title))?;
    let mut words = line.split_whitespace();
    words.find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::Memory as Held;

    fn socket(local: &str, cookie: u64) -> Socket {
        let listening = Socket::listening(UDP, local.parse().unwrap());
        Socket { cookie, memory: Some(Held::default()), send_queue: 0, ..listening }
    }

    #[test]
    fn the_socket_is_chosen_as_the_kernel_does() {
        let (source, to) = ("10.0.0.9:999".parse().unwrap(), "10.0.0.1:53".parse().unwrap());
        let any = socket("0.0.0.0:53", 1);
        let both = socket("[::]:53", 2);
        let exact = socket("10.0.0.1:53", 3);
        let bound = Socket { interface: 4, ..socket("0.0.0.0:53", 4) };
        let connected = Socket { peer: Some(source), ..socket("10.0.0.1:53", 5) };
        let other = Socket { peer: Some("10.0.0.8:1".parse().unwrap()), ..socket("10.0.0.1:53", 6) };
        let all = [any, both, exact, bound, connected, other];
        let pick = |cookies: &[u64], devices: &[u32]| {
            let sockets = all.iter().filter(|socket| cookies.contains(&socket.cookie)).cloned().collect();
            let (chosen, others) = choose(sockets, source, to, devices);
            (chosen.map_or(0, |socket| socket.cookie), others)
        };
        assert_eq!(pick(&[1, 2, 3, 4, 5, 6], &[4]), (5, 0));
        assert_eq!(pick(&[1, 2, 3, 4, 6], &[4]), (4, 0));
        assert_eq!(pick(&[1, 2, 3, 4, 6], &[9]), (3, 0));
        assert_eq!(pick(&[1, 2], &[]), (1, 0));
        assert_eq!(pick(&[2], &[]), (2, 0));
        assert_eq!(pick(&[6], &[]), (0, 0), "nobody's");
    }

    #[test]
    fn of_equals_the_fullest_is_taken() {
        let (source, to) = ("10.0.0.9:999".parse().unwrap(), "10.0.0.1:53".parse().unwrap());
        let full = Held { received: 900, limit: 1000, ..Held::default() };
        let half = Held { received: 5000, limit: 10_000, ..Held::default() };
        let sockets = vec![
            Socket { memory: Some(full), ..socket("0.0.0.0:53", 1) },
            Socket { memory: Some(half), ..socket("0.0.0.0:53", 2) },
        ];
        let (chosen, others) = choose(sockets, source, to, &[]);
        assert_eq!((chosen.unwrap().cookie, others), (1, 1));
    }

    #[test]
    fn only_a_reading_before_the_drop_counts() {
        let mut history = History::default();
        let at = |drops| Socket { memory: Some(Held { drops, ..Held::default() }), ..socket("0.0.0.0:53", 1) };
        assert_eq!(history.compare(1, &at(3), u64::MAX), None, "the first look");
        assert_eq!(history.compare(1, &at(5), 0), None, "the drop was before the first look");
        assert_eq!(history.compare(1, &at(7), u64::MAX), Some(5));
        assert_eq!(history.compare(2, &at(7), u64::MAX), None, "another namespace");
        for cookie in 0..10_000 {
            history.compare(1, &Socket { cookie, ..at(1) }, 0);
        }
        assert!(history.0.len() <= MOST_REMEMBERED);
    }

    #[test]
    fn numbers_of_proc() {
        let text =
            "sockets: used 100\nTCP: inuse 2 orphan 0 tw 0 alloc 3 mem 17\nUDP: inuse 1 mem 4\nUDPLITE: inuse 0\n";
        assert_eq!((pages(text, "TCP:"), pages(text, "UDP:"), pages(text, "UDPLITE:")), (Some(17), Some(4), None));
        assert_eq!(three("4096\t131072\t6291456"), Some([4096, 131_072, 6_291_456]));
        assert_eq!(three("1 2"), None);
        assert_eq!(three("1 2 x"), None);
    }
}
