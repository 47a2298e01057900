//! Sockets of any protocol: nobody there, full, closed.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Expected, Noise, Problem};

pub(super) const GROUP: Group = Group {
    title: "Sockets",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "NO_SOCKET",
            meaning: "no socket is open for its destination address and port",
            usual_cause: "The server is not running, listens on another port or on 127.0.0.1 only, or a Service names \
                          a target port that nobody serves",
            severity: Problem,
            severity_why: "somebody talks to a port that nobody serves",
            cause: Cause::NoSocket,
            remedy: &[
                "{ns}ss -lnp '( sport = :{dport} )'",
                "check that the server runs and listens on this address and port, not only on 127.0.0.1",
                "check targetPort and the endpoints of the Service",
            ],
        },
        ReasonEntry {
            name: "SOCKET_RCVBUFF",
            meaning: "the receive buffer of the socket is full",
            usual_cause: "The program reads too slowly or is stuck, or its buffer is too small for the bursts it gets",
            severity: Problem,
            severity_why: "the receiving program loses data",
            cause: Cause::SocketBuffer,
            remedy: &[
                "{ns}ss -anmp '( sport = :{dport} )'",
                "{ns}nstat -az UdpRcvbufErrors Udp6RcvbufErrors",
                "find out why the program does not read, then raise net.core.rmem_max and its SO_RCVBUF",
            ],
        },
        ReasonEntry {
            name: "SOCKET_BACKLOG",
            meaning: "the socket was busy and its backlog is full",
            usual_cause: "A connection gets more than its receive buffer while the program holds the socket",
            severity: Problem,
            severity_why: "the receiving program loses data and it must be sent again",
            cause: Cause::SocketBuffer,
            remedy: &[
                "{ns}nstat -az TcpExtTCPBacklogDrop",
                "{ns}ss -tnmp '( sport = :{dport} )'",
                "{ns}sysctl net.ipv4.tcp_rmem",
            ],
        },
        ReasonEntry {
            name: "PROTO_MEM",
            meaning: "the memory of its protocol is used up",
            usual_cause: "All sockets together hold more than tcp_mem or udp_mem allows, or the cgroup is at its limit",
            severity: Problem,
            severity_why: "sockets of this machine or cgroup lose data",
            cause: Cause::SocketBuffer,
            remedy: &["{ns}cat /proc/net/sockstat", "sysctl net.ipv4.tcp_mem net.ipv4.udp_mem", "{ns}ss -anmp"],
        },
        ReasonEntry {
            name: "UDP_CSUM",
            meaning: "its UDP checksum is wrong",
            usual_cause: "Broken checksum offload in a driver or tunnel (often VXLAN), or damage on the way",
            severity: Problem,
            severity_why: "the packet was damaged on its way",
            cause: Cause::Checksum,
            remedy: &[
                "{ns}nstat -az UdpInCsumErrors Udp6InCsumErrors",
                "{ns}ethtool -k {interface}",
                "try without transmit checksum offload on the sender: ethtool -K DEVICE tx off",
            ],
        },
        ReasonEntry {
            name: "QUEUE_PURGE",
            meaning: "a queue was emptied",
            usual_cause: "A socket was closed with data still queued, or an interface or neighbour was removed",
            severity: Noise,
            severity_why: "a socket was closed with data still queued",
            cause: Cause::NoSocket,
            remedy: &[],
        },
        ReasonEntry {
            name: "SOCKET_CLOSE",
            meaning: "the socket was closed",
            usual_cause: "A local (Unix) socket was closed with data still queued",
            severity: Noise,
            severity_why: "a socket was closed with data still queued",
            cause: Cause::NoSocket,
            remedy: &[],
        },
        ReasonEntry {
            name: "UNIX_DISCONNECT",
            meaning: "a Unix socket was connected to another peer, or its peer is gone",
            usual_cause: "A local program re-connected a datagram socket or stopped; data of the old peer is thrown away",
            severity: Noise,
            severity_why: "local sockets, not the network",
            cause: Cause::NoSocket,
            remedy: &[],
        },
        ReasonEntry {
            name: "UNIX_SKIP_OOB",
            meaning: "urgent data on a Unix socket was passed over",
            usual_cause: "A local program reads without MSG_OOB",
            severity: Noise,
            severity_why: "local sockets, not the network",
            cause: Cause::SocketBuffer,
            remedy: &[],
        },
        ReasonEntry {
            name: "PACKET_SOCK_ERROR",
            meaning: "a packet socket (a capture) could not take its copy",
            usual_cause: "A capture program such as tcpdump reads too slowly; the packet itself goes on",
            severity: Expected,
            severity_why: "only a capture lost its copy; the packet went on",
            cause: Cause::SocketBuffer,
            remedy: &["{ns}ss -0p", "give the capture a larger buffer: tcpdump -B 16384"],
        },
    ],
};
