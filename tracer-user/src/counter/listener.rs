//! Which listener refused connections: each has a drop counter of its own, which the kernel raises together with
//! `ListenDrops` (`tcp_listendrop`, include/net/tcp.h).
//!
//! Rule: listeners are only read where refusals were counted: before the first one all of their counters are taken as 0.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::node::socket::{Owner, diag};
use crate::node::sysctl;

/// Listeners remembered of one namespace.
const MOST: usize = 4096;
/// Listeners told of.
const MOST_TOLD: usize = 4;

/// A listener that may have refused connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    /// Connections that wait to be accepted.
    pub queue: u32,
    /// How many may wait; with one more the queue is full.
    pub backlog: u32,
    /// By how much its own drop counter rose; `None` where the kernel does not tell it.
    pub drops: Option<u32>,
    /// As in `/proc/PID/fd`.
    pub inode: u32,
    pub owner: Option<Owner>,
}

impl Listener {
    /// `sk_acceptq_is_full` (include/net/sock.h): the kernel compares with "greater".
    pub fn is_full(&self) -> bool {
        self.queue > self.backlog
    }
}

/// What was read when refusals were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Those that may have refused them, the likeliest first.
    pub suspects: Vec<Listener>,
    /// How many listeners there are.
    pub count: usize,
    /// By how much `TCPReqQFullDrop` rose: the queue of half-open connections was full, and SYN cookies are off.
    pub half_open: u64,
    /// `net.core.somaxconn`, `net.ipv4.tcp_max_syn_backlog`, `net.ipv4.tcp_syncookies`.
    pub somaxconn: Option<String>,
    pub max_syn_backlog: Option<String>,
    pub syncookies: Option<String>,
    /// What could not be read, and why.
    pub unknown: Vec<String>,
}

/// A reading of the calling thread's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) sockets: Vec<diag::Socket>,
    pub(super) settings: [Option<String>; 3],
    /// What could not be read, and why.
    pub(super) failed: Option<String>,
}

/// Reads the TCP listeners, and the settings that limit their queues.
pub(super) fn read() -> Reading {
    let settings = ["net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog", "net/ipv4/tcp_syncookies"];
    let (sockets, failed) = match diag::listeners(diag::TCP) {
        Ok(sockets) => (sockets, diag::lack(diag::TCP)),
        Err(error) => (Vec::new(), Some(format!("the listeners can't be listed: {error}"))),
    };
    Reading { sockets, settings: settings.map(|name| sysctl::read(name).ok()), failed }
}

/// The drop counters of listeners, by cookie, as they were last read.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(HashMap<u64, u32>);

impl Known {
    /// Remembers a reading.
    pub(super) fn keep(&mut self, reading: &Reading) {
        let drops = |socket: &diag::Socket| Some((socket.cookie, socket.memory?.drops));
        self.0 = reading.sockets.iter().filter_map(drops).take(MOST).collect();
    }

    /// What a reading says about refusals since the last one; `is_queue` if it was the accept queue.
    pub(super) fn compare(&self, reading: &Reading, half_open: u64, is_queue: bool) -> Listening {
        let mut suspects: Vec<Listener> = reading.sockets.iter().map(|socket| self.listener(socket)).collect();
        let count = suspects.len();
        let rose = |listener: &Listener| listener.drops.is_some_and(|drops| drops > 0);
        if suspects.iter().any(rose) {
            suspects.retain(rose);
        } else {
            suspects.retain(|listener| is_queue && listener.is_full());
        }
        suspects.sort_by_key(|listener| {
            (std::cmp::Reverse((is_queue && listener.is_full(), listener.drops)), listener.address)
        });
        suspects.truncate(MOST_TOLD);
        let [somaxconn, max_syn_backlog, syncookies] = reading.settings.clone();
        let unknown = reading.failed.iter().cloned().collect();
        Listening { suspects, count, half_open, somaxconn, max_syn_backlog, syncookies, unknown }
    }

    fn listener(&self, socket: &diag::Socket) -> Listener {
        let before = self.0.get(&socket.cookie).copied().unwrap_or_default();
        Listener {
            address: socket.local,
            queue: socket.receive_queue,
            backlog: socket.send_queue,
            // The kernel's counter has 32 bits.
            drops: socket.memory.map(|memory| memory.drops.wrapping_sub(before)),
            inode: socket.inode,
            owner: None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn socket(cookie: u64, port: u16, queue: u32, backlog: u32, drops: u32) -> diag::Socket {
        let memory = Some(diag::Memory { drops, ..diag::Memory::default() });
        let listening = diag::Socket::listening(diag::TCP, ([0, 0, 0, 0], port).into());
        diag::Socket { cookie, receive_queue: queue, send_queue: backlog, memory, ..listening }
    }

    fn reading(sockets: Vec<diag::Socket>) -> Reading {
        Reading { sockets, ..Reading::default() }
    }

    fn ports(listening: &Listening) -> Vec<u16> {
        listening.suspects.iter().map(|listener| listener.address.port()).collect()
    }

    #[test]
    fn the_listener_whose_counter_rose_is_the_one() {
        let mut known = Known::default();
        known.keep(&reading(vec![socket(1, 80, 9, 8, 4), socket(2, 81, 1, 8, 7)]));
        let now = reading(vec![socket(1, 80, 9, 8, 4), socket(2, 81, 1, 8, 9), socket(3, 82, 1, 0, 3)]);
        let found = known.compare(&now, 0, true);
        assert_eq!((ports(&found), found.count), (vec![82, 81], 3), "full and risen before risen");
        assert_eq!(found.suspects[1].drops, Some(2));
        let wrapped = reading(vec![socket(2, 81, 1, 8, 6)]);
        assert_eq!(known.compare(&wrapped, 0, false).suspects[0].drops, Some(u32::MAX));
    }

    #[test]
    fn without_counters_a_full_queue_tells() {
        let mut sockets = vec![socket(1, 80, 3, 8, 0), socket(2, 81, 9, 8, 0)];
        for socket in &mut sockets {
            socket.memory = None;
        }
        let now = reading(sockets);
        assert_eq!(ports(&Known::default().compare(&now, 0, true)), [81]);
        assert_eq!(
            ports(&Known::default().compare(&now, 0, false)),
            [] as [u16; 0],
            "a full accept queue is no SYN queue"
        );
    }
}
