//! The sockets of the calling thread's network namespace, as the kernel lists them (`NETLINK_SOCK_DIAG`).
//!
//! Rule: only what was asked for is listed (protocol, states, local port), and lengths of an answer are checked before
//! they are believed; where the kernel has no such list, or would load a module for it, `/proc/net` tells less. Layouts are those of
//! include/uapi/linux/{inet_diag,sock_diag}.h, the same from 5.10 to 7.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Buf;
use tracer_netfilter::presence::Part;

use super::procnet;
use crate::host::error::{Errno, NetlinkError};
use crate::host::netlink::{self, Message};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;
pub const UDPLITE: u8 = 136;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `struct inet_diag_msg` without attributes.
const MESSAGE: usize = 72;
/// Attributes: `INET_DIAG_SKMEMINFO`, `INET_DIAG_SKV6ONLY`, `INET_DIAG_MARK`, `INET_DIAG_CGROUP_ID` (5.9).
const SKMEMINFO: u16 = 7;
const SKV6ONLY: u16 = 11;
const MARK: u16 = 15;
const CGROUP_ID: u16 = 21;
/// `TCP_ESTABLISHED`, `TCP_SYN_RECV`, `TCP_CLOSE`, `TCP_LISTEN` of include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// Which sockets are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Those that take packets of strangers: TCP and SCTP listeners; UDP sockets without a peer.
    Listening,
    /// Those that a packet may be for, connected or not.
    Any,
    /// TCP handshakes that wait for the client's last ACK.
    HalfOpen,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub protocol: u8,
    pub local: SocketAddr,
    /// `None` without a peer.
    pub peer: Option<SocketAddr>,
    /// It takes packets of this interface or VRF only; 0 for all.
    pub interface: u32,
    pub listens: bool,
    /// An IPv6 socket that takes no IPv4.
    pub ipv6_only: bool,
    pub uid: u32,
    /// As in `/proc/PID/fd`; 0 for one that no program holds.
    pub inode: u32,
    /// As in `ss -e` (`sk:`); 0 if unknown.
    pub cookie: u64,
    /// Bytes that wait to be read; of a listener, connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes that wait to be sent or acknowledged; of a listener, its backlog.
    pub send_queue: u32,
    pub memory: Option<Memory>,
    /// cgroup v2 id of its maker: the inode of the cgroup's directory (5.9).
    pub cgroup: Option<u64>,
    /// `SO_MARK`; told to those with `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
}

#[cfg(test)]
impl Socket {
    /// One that listens, for tests.
    pub(crate) fn listening(protocol: u8, local: SocketAddr) -> Self {
        Self {
            protocol,
            local,
            peer: None,
            interface: 0,
            listens: true,
            ipv6_only: false,
            uid: 0,
            inode: 1,
            cookie: 1,
            receive_queue: 0,
            send_queue: 128,
            memory: None,
            cgroup: None,
            mark: None,
        }
    }
}

/// What a socket holds of memory (`SK_MEMINFO_*`), bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `sk_rmem_alloc`: what waits to be read, with the kernel's overhead.
    pub received: u32,
    /// `sk_rcvbuf`: the limit of `received`; twice what `SO_RCVBUF` set.
    pub limit: u32,
    /// Packets that came while the program held the socket.
    pub backlog: u32,
    /// `sk_drops`: packets that the socket did not take, from its beginning; of a TCP listener each refused handshake.
    pub drops: u32,
}

impl Socket {
    /// Whether it takes packets to this address (its port apart).
    pub fn takes(&self, address: IpAddr) -> bool {
        match (self.local.ip(), address) {
            (IpAddr::V6(own), IpAddr::V4(to)) if own.is_unspecified() || own.to_ipv4_mapped() == Some(to) => {
                !self.ipv6_only
            }
            (own, to) if own.is_ipv4() == to.is_ipv4() => own.is_unspecified() || own == to,
            _ => false,
        }
    }

    /// Whether its peer is this one, or it has none.
    pub fn hears(&self, peer: SocketAddr) -> bool {
        let plain = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        self.peer.is_none_or(|own| plain(own) == plain(peer))
    }
}

/// TCP or SCTP listeners, or the UDP sockets without a peer, of both families in the calling thread's namespace.
///
/// # Errors
/// Why the kernel gave none; `ENOENT` where it can't list this protocol.
pub fn listeners(protocol: u8) -> Result<Vec<Socket>, NetlinkError> {
    list(protocol, Which::Listening, 0)
}

/// Sockets of both families with this local port (0 for all) in the calling thread's namespace.
///
/// # Errors
/// Why the kernel gave none; `ENOENT` where it can't list this protocol.
pub fn list(protocol: u8, which: Which, port: u16) -> Result<Vec<Socket>, NetlinkError> {
    let mut all = of_family(libc::AF_INET as u8, protocol, which, port)?;
    match of_family(libc::AF_INET6 as u8, protocol, which, port) {
        Ok(more) => all.extend(more),
        // A kernel without IPv6.
        Err(NetlinkError::Refused(Errno(libc::ENOENT | libc::EAFNOSUPPORT))) => {}
        Err(error) => return Err(error),
    }
    Ok(all)
}

/// What a list without the kernel's own lacks, in a sentence; `None` where the kernel's own can be asked.
pub fn lack(protocol: u8) -> Option<String> {
    parts(protocol).iter().find(|part| !part.may_be_asked()).map(|part| without(*part))
}

fn without(part: Part) -> String {
    let module = part.module();
    format!(
        "buffers, drop counters and the devices that sockets are bound to: /proc/net does not tell them, and {module} is \
         not loaded; `modprobe {module}` loads it"
    )
}

/// What a question about a protocol's sockets would load (`sock_diag_handlers`, `inet_diag_table`).
const fn parts(protocol: u8) -> &'static [Part] {
    match protocol {
        TCP => &[Part::InetDiag, Part::TcpDiag],
        UDP | UDPLITE => &[Part::InetDiag, Part::UdpDiag],
        SCTP => &[Part::InetDiag, Part::SctpDiag],
        _ => &[Part::InetDiag],
    }
}

fn of_family(family: u8, protocol: u8, which: Which, port: u16) -> Result<Vec<Socket>, NetlinkError> {
    let missing = parts(protocol).iter().copied().find(|part| !part.may_be_asked());
    of_family_without(missing, family, protocol, which, port)
}

/// As the kernel lists them, or as `/proc/net` does where something that tells it is missing.
fn of_family_without(
    missing: Option<Part>,
    family: u8,
    protocol: u8,
    which: Which,
    port: u16,
) -> Result<Vec<Socket>, NetlinkError> {
    let is_wanted = |socket: &Socket| which != Which::Listening || socket.listens;
    let asked = match missing {
        Some(absent) => Err(NetlinkError::NotLoaded(absent.module())),
        None => netlink::dump(libc::NETLINK_SOCK_DIAG as isize, &request(family, protocol, which, port)),
    };
    match asked {
        Ok(answer) => {
            let sockets = answer.messages.iter().filter_map(|message| socket(protocol, &message.payload));
            Ok(sockets.filter(is_wanted).collect())
        }
        // A kernel without this list.
        // Its files do not tell the state apart.
        Err(error @ NetlinkError::NotLoaded(_)) if which == Which::HalfOpen => Err(error),
        Err(error @ (NetlinkError::NotLoaded(_) | NetlinkError::Refused(Errno(libc::ENOENT)))) => {
            let sockets = procnet::list(family == libc::AF_INET6 as u8, protocol, port).ok_or(error)?;
            Ok(sockets.into_iter().filter(is_wanted).collect())
        }
        Err(error) => Err(error),
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, protocol: u8, which: Which, port: u16) -> Message {
    let states: u32 = match (which, protocol) {
        (Which::Listening, UDP | UDPLITE) => 1 << CLOSE,
        (Which::Listening, _) => 1 << LISTEN,
        (Which::HalfOpen, _) => 1 << SYN_RECV,
        // `TCP_NEW_SYN_RECV` (12) is listed as `SYN_RECV`; time-wait and closing ones take nothing.
        (Which::Any, _) => 1 << CLOSE | 1 << LISTEN | 1 << SYN_RECV | 1 << ESTABLISHED | 1 << 4 | 1 << 5 | 1 << 8,
    };
    let mut payload = Vec::with_capacity(56);
    payload.extend([family, protocol, 1 << (SKMEMINFO - 1), 0]);
    payload.extend(states.to_ne_bytes());
    payload.extend(port.to_be_bytes());
    // Any peer, address, interface; "no cookie" is all ones.
    payload.extend([0; 2 + 16 + 16 + 4]);
    payload.extend([0xff; 8]);
    Message { kind: BY_FAMILY, payload }
}

/// Reads a `struct inet_diag_msg` with its attributes; `None` if it is none.
fn socket(protocol: u8, bytes: &[u8]) -> Option<Socket> {
    let (mut head, attributes) = (bytes.get(..MESSAGE)?, bytes.get(MESSAGE..)?);
    let (family, state) = (head.get_u8(), head.get_u8());
    head.advance(2);
    let (local_port, peer_port) = (head.get_u16(), head.get_u16());
    let (local, peer) = (address(family, &mut head)?, address(family, &mut head)?);
    let interface = head.get_u32_ne();
    let cookie = u64::from(head.get_u32_ne()) | u64::from(head.get_u32_ne()) << 32;
    head.advance(4);
    let (receive_queue, send_queue) = (head.get_u32_ne(), head.get_u32_ne());
    let (uid, inode) = (head.get_u32_ne(), head.get_u32_ne());
    let has_peer = !(peer.is_unspecified() && peer_port == 0);
    let mut socket = Socket {
        protocol,
        local: SocketAddr::new(local, local_port),
        peer: has_peer.then(|| SocketAddr::new(peer, peer_port)),
        interface,
        listens: state == LISTEN || (matches!(protocol, UDP | UDPLITE) && !has_peer),
        ipv6_only: false,
        uid,
        inode,
        cookie,
        receive_queue,
        send_queue,
        memory: None,
        cgroup: None,
        mark: None,
    };
    each_attribute(attributes, |kind, value| take(&mut socket, kind, value));
    Some(socket)
}

/// Takes 16 bytes, of which IPv4 uses the first four.
fn address(family: u8, head: &mut &[u8]) -> Option<IpAddr> {
    let (bytes, rest) = head.split_first_chunk::<16>()?;
    *head = rest;
    match i32::from(family) {
        libc::AF_INET => bytes.first_chunk::<4>().map(|first| Ipv4Addr::from(*first).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

fn take(socket: &mut Socket, kind: u16, mut value: &[u8]) {
    match kind {
        SKMEMINFO if value.len() >= 36 => {
            let words: Vec<u32> = (0..9).map(|_| value.get_u32_ne()).collect();
            if let [received, limit, .., backlog, drops] = words[..] {
                socket.memory = Some(Memory { received, limit, backlog, drops });
            }
        }
        SKV6ONLY => socket.ipv6_only = value.first().is_some_and(|only| *only != 0),
        MARK => socket.mark = value.try_get_u32_ne().ok(),
        CGROUP_ID => socket.cgroup = value.try_get_u64_ne().ok().filter(|id| *id != 0),
        _ => {}
    }
}

/// Walks netlink attributes: length and type of two bytes each, the value, and what rounds it up to four bytes.
fn each_attribute<'a>(mut bytes: &'a [u8], mut take: impl FnMut(u16, &'a [u8])) {
    while let Some((header, _)) = bytes.split_first_chunk::<4>() {
        let [a, b, c, d] = *header;
        let (length, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
        let Some(value) = bytes.get(4..length) else { return };
        // The upper two bits are flags (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
        take(kind & 0x3fff, value);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_listener_and_a_full_socket_are_listed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = listeners(TCP).unwrap();
        let found = found.iter().find(|socket| socket.local == address).unwrap();
        assert!(found.listens && found.inode != 0 && found.cookie != 0 && found.peer.is_none(), "{found:?}");
        assert_eq!((found.receive_queue, found.memory.unwrap().drops), (0, 0));
        assert!(found.send_queue > 0, "its backlog");

        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.send_to(&[1; 100], address).unwrap();
        let found = list(UDP, Which::Any, address.port()).unwrap();
        let found = found.iter().find(|socket| socket.local == address).unwrap();
        let memory = found.memory.unwrap();
        assert!(memory.received >= 100 && memory.limit >= memory.received, "{memory:?}");
        assert!(found.listens);

        socket.connect(address).unwrap();
        assert!(listeners(UDP).unwrap().iter().all(|socket| socket.local != address), "it has a peer now");
        let found = list(UDP, Which::Any, address.port()).unwrap();
        assert!(found.iter().any(|socket| socket.peer == Some(address)));
    }

    #[test]
    fn without_the_kernels_list_the_files_tell_and_what_they_lack_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let family = libc::AF_INET as u8;
        let list = |part, protocol| of_family_without(part, family, protocol, Which::Listening, address.port());
        let found = list(Some(Part::TcpDiag), TCP).unwrap();
        assert!(found.len() == 1 && found[0].local == address && found[0].memory.is_none(), "{found:?}");
        assert_eq!(
            list(Some(Part::SctpDiag), SCTP),
            Err(NetlinkError::NotLoaded("sctp_diag")),
            "there is no such file"
        );
        assert!(without(Part::UdpDiag).contains("`modprobe udp_diag`"));
        assert_eq!(parts(UDPLITE), [Part::InetDiag, Part::UdpDiag], "one module for both");
    }

    #[test]
    fn ipv6_sockets_tell_whether_they_take_ipv4() {
        let both = TcpListener::bind("[::]:0").unwrap();
        let port = both.local_addr().unwrap().port();
        let found = list(TCP, Which::Listening, port).unwrap();
        let [socket] = &found[..] else { panic!("{found:?}") };
        assert!(!socket.ipv6_only && socket.takes("10.0.0.1".parse().unwrap()));
        assert!(socket.takes("2001:db8::1".parse().unwrap()));
        let only = Socket { ipv6_only: true, ..socket.clone() };
        assert!(!only.takes("10.0.0.1".parse().unwrap()) && only.takes("::1".parse().unwrap()));
        let bound = Socket { local: "127.0.0.1:1".parse().unwrap(), ..socket.clone() };
        assert!(!bound.takes("10.0.0.1".parse().unwrap()) && !bound.takes("::1".parse().unwrap()));
        let mapped = Socket { local: "[::ffff:10.0.0.1]:1".parse().unwrap(), ..socket.clone() };
        assert!(mapped.takes("10.0.0.1".parse().unwrap()) && !mapped.takes("10.0.0.2".parse().unwrap()));
        let peer = Socket { peer: Some("[::ffff:10.0.0.1]:9".parse().unwrap()), ..socket.clone() };
        assert!(peer.hears("10.0.0.1:9".parse().unwrap()) && !peer.hears("10.0.0.1:8".parse().unwrap()));
    }

    #[test]
    fn a_kernel_that_cannot_list_a_protocol_says_so() {
        let refused = listeners(200);
        assert!(matches!(refused, Err(NetlinkError::Refused(_))), "{refused:?}");
    }

    #[test]
    fn lying_answers_are_none_and_nothing_panics() {
        let mut good = vec![0u8; MESSAGE];
        (good[0], good[1]) = (libc::AF_INET as u8, LISTEN);
        good[4..6].copy_from_slice(&80u16.to_be_bytes());
        good[8..12].copy_from_slice(&[10, 0, 0, 1]);
        good.extend([40, 0, 7, 0]);
        good.extend((1..=9u32).flat_map(u32::to_ne_bytes));
        let read = socket(TCP, &good).unwrap();
        assert_eq!(read.local, "10.0.0.1:80".parse().unwrap());
        assert_eq!(read.memory, Some(Memory { received: 1, limit: 2, backlog: 8, drops: 9 }));
        for cut in 0..good.len() {
            assert!(socket(TCP, &good[..cut]).is_none_or(|socket| socket.memory.is_none()), "cut at {cut}");
        }
        assert!(socket(TCP, &[vec![99; 4], good[4..].to_vec()].concat()).is_none(), "no such family");
        let mut seen = 0;
        each_attribute(&[0, 0, 1, 0, 5, 0, 1, 0, 9, 0, 0, 0], |_, _| seen += 1);
        assert_eq!(seen, 0, "a length of 0 ends it");
    }
}
