//! Sockets from `/proc/net`, for kernels that were built without the list over netlink (`CONFIG_INET_UDP_DIAG` and the
//! like): addresses, queues and owners, but no limits.
//!
//! Rule: lines are read one by one up to [`MOST_LINES`]; one that is not understood is passed over.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::diag::{Socket, TCP, UDP, UDPLITE};

/// Lines of one file at most: what the list over netlink is cut at.
const MOST_LINES: usize = 65_536;
/// `TCP_LISTEN` of include/net/tcp_states.h.
const LISTEN: u8 = 10;

/// The sockets of a protocol in the calling thread's namespace with this local port (0 for all); `None` where there is no
/// such file.
pub(super) fn list(is_ipv6: bool, protocol: u8, port: u16) -> Option<Vec<Socket>> {
    let name = match protocol {
        TCP => "tcp",
        UDP => "udp",
        UDPLITE => "udplite",
        _ => return None,
    };
    let file = File::open(format!("/proc/thread-self/net/{name}{}", if is_ipv6 { "6" } else { "" })).ok()?;
    let lines = BufReader::new(file).lines().skip(1).take(MOST_LINES).map_while(Result::ok);
    let sockets = lines.filter_map(|line| socket(protocol, &line));
    Some(sockets.filter(|socket| port == 0 || socket.local.port() == port).collect())
}

/// One line: `sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid timeout inode …`.
fn socket(protocol: u8, line: &str) -> Option<Socket> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, local, peer, state, queues, _, _, uid, _, inode, ..] = words[..] else { return None };
    let (local, peer) = (address(local)?, address(peer)?);
    let state = u8::from_str_radix(state, 16).ok()?;
    let (send, receive) = queues.split_once(':')?;
    let has_peer = !(peer.ip().is_unspecified() && peer.port() == 0);
    Some(Socket {
        protocol,
        local,
        peer: has_peer.then_some(peer),
        interface: 0,
        listens: state == LISTEN || (protocol != TCP && !has_peer),
        // The file does not tell; the setting's usual value is taken.
        ipv6_only: false,
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
        cookie: 0,
        receive_queue: u32::from_str_radix(receive, 16).ok()?,
        send_queue: u32::from_str_radix(send, 16).ok()?,
        memory: None,
        cgroup: None,
        mark: None,
    })
}

/// `0100007F:1F90`: words of 32 bits as this machine reads them, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(words.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address: IpAddr = match words.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0u8; 16];
            for (at, bytes) in octets.chunks_exact_mut(4).enumerate() {
                bytes.copy_from_slice(&word(at * 8)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::node::socket::diag::{self, Which};

    #[test]
    fn the_file_tells_what_netlink_tells() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        for (protocol, local) in [(TCP, tcp.local_addr().unwrap()), (UDP, udp.local_addr().unwrap())] {
            let found = list(local.is_ipv6(), protocol, local.port()).unwrap();
            let [found] = &found[..] else { panic!("{found:?}") };
            let told = diag::list(protocol, Which::Listening, local.port()).unwrap();
            let (told, found) = (&told[0], found.clone());
            assert_eq!((found.local, found.inode, found.listens), (told.local, told.inode, told.listens));
            assert_eq!((found.peer, found.uid), (told.peer, told.uid));
        }
        assert_eq!(list(false, 200, 0), None);
    }

    #[test]
    fn lines_that_are_not_understood_are_passed_over() {
        let good =
            "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 4711 1 0 100 0";
        let read = socket(TCP, good).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(read.local, "127.0.0.1:8080".parse().unwrap());
        }
        assert_eq!((read.listens, read.receive_queue, read.inode, read.uid), (true, 3, 4711, 1000));
        for cut in 0..good.len() {
            let _ = socket(TCP, &good[..cut]);
        }
        for bad in ["", "x", "0: é0100007:1F90 00000000:0000 0A 0:0 0 0 0 0 0", &good.replace("0100007F", "0100007é")]
        {
            assert!(socket(TCP, bad).is_none(), "{bad}");
        }
    }
}
