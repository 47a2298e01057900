//! The counters that are watched, with what each means and what to try.
//!
//! Rule: what a drop event shows as well is not watched, or its drop events are taken off ([`Protocol::shown`]): no packet is
//! told twice. `docs/counters.md` is written from this table. Names and places are those of Linux 6.18; a counter that a
//! kernel or driver does not have is not watched there.

use crate::event::Cause;

/// A counter of a network namespace, as nstat(8) calls it.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Group and name, as nstat(8) writes them together.
    pub group: &'static str,
    pub name: &'static str,
    pub cause: Cause,
    /// What happened, as a sentence without full stop.
    pub says: &'static str,
    /// What raises it, and in which function of the kernel.
    pub meaning: &'static str,
    /// Templates, as in the catalogue of reasons.
    pub remedy: &'static [&'static str],
    /// Told with `--all` only, and why.
    pub noise: Option<&'static str>,
    /// Drops that raise it and have a line: reason (any, if empty) and function (any, if empty).
    pub shown: &'static [(&'static str, &'static str)],
}

impl Protocol {
    /// As nstat(8) has it.
    pub fn full_name(&self) -> String {
        format!("{}{}", self.group, self.name)
    }
}

/// Where [`OVERFLOWS`] and [`DROPS`] stand in [`PROTOCOLS`].
pub const OVERFLOWS: usize = 0;
pub const DROPS: usize = 1;

pub const PROTOCOLS: &[Protocol] = &[
    Protocol {
        group: "TcpExt",
        name: "ListenOverflows",
        cause: Cause::ListenOverflow,
        says: "the accept queue of a listener is full",
        meaning: "a SYN, or the last ACK of a handshake, found the listener's accept queue full (tcp_conn_request, \
                  tcp_v4_syn_recv_sock). Refused SYNs have no drop event; last ACKs have one, and are taken off",
        remedy: &["{ns}ss -ltn"],
        noise: None,
        shown: &[("TCP_LISTEN_OVERFLOW", ""), ("NO_SOCKET", "cookie_v4_check"), ("NO_SOCKET", "cookie_v6_check")],
    },
    Protocol {
        group: "TcpExt",
        name: "ListenDrops",
        cause: Cause::ListenOverflow,
        says: "the SYN queue of a listener is full",
        meaning: "a SYN was refused for another reason than a full accept queue: the queue of half-open connections is full \
                  and SYN cookies are off, there is no memory, or no route back (tcp_conn_request). What ListenOverflows \
                  counts is taken off",
        remedy: &["{ns}sysctl net.ipv4.tcp_syncookies net.ipv4.tcp_max_syn_backlog", "{ns}ss -ltn"],
        noise: None,
        shown: &[],
    },
    Protocol {
        group: "TcpExt",
        name: "TCPAbortOnMemory",
        cause: Cause::SocketBuffer,
        says: "TCP connections were cut, because TCP has no memory left or too many closed sockets still send",
        meaning: "a connection was reset because of tcp_mem or tcp_max_orphans (tcp_check_oom, tcp_out_of_resources)",
        remedy: &["cat /proc/net/sockstat", "sysctl net.ipv4.tcp_mem net.ipv4.tcp_max_orphans"],
        noise: None,
        shown: &[],
    },
    Protocol {
        group: "Ip",
        name: "OutNoRoutes",
        cause: Cause::NoRoute,
        says: "programs tried to send to IPv4 addresses that no route leads to",
        meaning: "a program's connect or send found no route, and got ENETUNREACH before there was a packet \
                  (tcp_v4_connect, udp_sendmsg). Packets of open connections have a drop event, and are taken off",
        remedy: &["{ns}ip route show table all", "{ns}ip rule show"],
        noise: None,
        shown: &[("IP_OUTNOROUTES", "")],
    },
    Protocol {
        group: "Ip6",
        name: "OutNoRoutes",
        cause: Cause::NoRoute,
        says: "programs tried to send to IPv6 addresses that no route leads to",
        meaning: "a program's connect or send found no route, and got ENETUNREACH before there was a packet \
                  (ip6_dst_lookup_tail). Packets of open connections have a drop event, and are taken off",
        remedy: &["{ns}ip -6 route show table all", "{ns}ip -6 rule show"],
        noise: Some("where IPv6 has no default route, each look-up of a name that has an IPv6 address raises it"),
        shown: &[("", "inet6_csk_xmit"), ("", "tcp_v6_send_response")],
    },
];

/// What counters of a network card have in common: those of one class count the same packets at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The ring that the driver fills with empty buffers has none left.
    Ring,
    /// The card's own buffer, before the ring.
    Port,
    /// Broken on the wire.
    Frame,
    /// An XDP program in the driver, or its way out.
    Xdp,
    /// Refused by card or driver after the kernel had handed it over.
    Transmit,
    /// A limit of the cloud for this size of instance. Each is of its own.
    Allowance,
    /// The driver gave up on the packet: no memory, a size that it does not take, an error of the card.
    Driver,
}

/// Counters of a network card with one meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Card {
    /// Names as the kernel (`rx_missed_errors`) or the driver has them, the number of a queue taken out; a `*` at the end
    /// stands for any ending.
    pub names: &'static [&'static str],
    /// Where they are from: `kernel` for those of every driver.
    pub drivers: &'static str,
    pub class: Class,
    /// What happened, after the interface's name: "… dropped them as …".
    pub says: &'static str,
    pub remedy: &'static [&'static str],
}

impl Card {
    pub fn cause(&self) -> Cause {
        if self.class == Class::Xdp { Cause::BpfProgram } else { Cause::Device }
    }
}

const RING: &[&str] = &[
    "{ns}ethtool -g {interface}",
    "{ns}ethtool -G {interface} rx 4096",
    "{ns}ethtool -l {interface}",
    "mpstat -P ALL 1 5",
];
const LOOK: &[&str] = &["{ns}ethtool -S {interface}"];
const WIRE: &[&str] = &["{ns}ethtool {interface}", "{ns}ethtool -S {interface}", "{ns}ethtool -m {interface}"];
const SIZE: &[&str] =
    &["{ns}ethtool -S {interface}", "spread the load over more instances, or take a larger instance type"];

pub const CARDS: &[Card] = &[
    Card {
        names: &["rx_missed_errors", "rx_fifo_errors", "rx_over_errors"],
        drivers: "kernel",
        class: Class::Ring,
        says: "had no free receive buffer when packets came: the CPU does not take them out of the ring fast enough",
        remedy: RING,
    },
    Card {
        names: &[
            "rx_out_of_buffer",
            "rx_no_buffer_count",
            "rx_no_dma_resources",
            "rx_no_buffers",
            "rx_missed",
            "rx_over_errors_nic",
            "rxbds_empty",
            "rx_buff_alloc_err",
            "rx_overruns",
            "hc_rx_discards_no_wqe",
            "rx_queue_dropped",
        ],
        drivers: "mlx5, ixgbe, e1000e, igb, gve, tg3, ena, mana",
        class: Class::Ring,
        says: "had no free receive buffer when packets came: the CPU does not take them out of the ring fast enough",
        remedy: RING,
    },
    Card {
        names: &[
            "rx_discards_phy",
            "rx_discards",
            "rx_discard_pkts",
            "rx_total_discard_pkts",
            "rx_buf_discard",
            "port_rx_dropped",
            "rx_dropped_nic",
            "veb_rx_discards",
        ],
        drivers: "mlx5, bnxt, tg3, i40e, ice",
        class: Class::Port,
        says: "dropped packets in the card's own buffer: they come faster than the card can pass them on",
        remedy: &["{ns}ethtool -S {interface}", "{ns}ethtool -a {interface}", "{ns}ethtool -g {interface}"],
    },
    Card {
        names: &["rx_crc_errors", "rx_frame_errors", "rx_length_errors"],
        drivers: "kernel",
        class: Class::Frame,
        says: "received frames that were broken on the wire: a bad cable, module, port, or a wrong speed or frame length",
        remedy: WIRE,
    },
    Card {
        names: &[
            "rx_crc_errors_phy",
            "rx_symbol_err_phy",
            "rx_fcs_err_frames",
            "port_rx_crc_errors",
            "rx_crc_errors_nic",
        ],
        drivers: "mlx5, bnxt, i40e, ice",
        class: Class::Frame,
        says: "received frames that were broken on the wire: a bad cable, module, port, or a wrong speed or frame length",
        remedy: WIRE,
    },
    Card {
        names: &["rx_errors"],
        drivers: "kernel; told where none of the more exact ones rose",
        class: Class::Frame,
        says: "received packets that the driver counts as errors",
        remedy: WIRE,
    },
    Card {
        names: &["tx_carrier_errors", "tx_fifo_errors", "tx_aborted_errors", "tx_errors"],
        drivers: "kernel",
        class: Class::Transmit,
        says: "could not send packets that the kernel had handed over: no carrier, or an error of card or driver",
        remedy: WIRE,
    },
    Card {
        names: &["tx_errors_phy", "tx_discards_phy", "tx_queue_dropped", "hc_tx_err*", "vport_tx_dropped"],
        drivers: "mlx5, mana",
        class: Class::Transmit,
        says: "could not send packets that the kernel had handed over: no carrier, or an error of card or driver",
        remedy: WIRE,
    },
    Card {
        names: &["rx_xdp_drop", "rx_xdp_drops", "xdp_drop", "rx_xdp_aborted", "rx_xdp_invalid", "rx_xdp_tx_errors"],
        drivers: "mlx5, ena, virtio_net, gve, mana",
        class: Class::Xdp,
        says: "dropped packets as its XDP program said",
        remedy: &["{ns}bpftool net show dev {interface}", "{ns}ip -d link show dev {interface}"],
    },
    Card {
        names: &["tx_xdp_tx_drops", "tx_xdp_full", "tx_xdp_err", "rx_xdp_tx_full"],
        drivers: "mlx5, virtio_net",
        class: Class::Xdp,
        says: "could not send what its XDP program forwards: the send queue is full",
        remedy: &["{ns}ethtool -g {interface}", "{ns}bpftool net show dev {interface}"],
    },
    Card {
        names: &["bw_in_allowance_exceeded"],
        drivers: "ena",
        class: Class::Allowance,
        says: "lost or delayed packets, as more came in than the instance type's bandwidth allows",
        remedy: SIZE,
    },
    Card {
        names: &["bw_out_allowance_exceeded"],
        drivers: "ena",
        class: Class::Allowance,
        says: "lost or delayed packets, as more went out than the instance type's bandwidth allows",
        remedy: SIZE,
    },
    Card {
        names: &["pps_allowance_exceeded"],
        drivers: "ena",
        class: Class::Allowance,
        says: "lost or delayed packets, as there were more in a second than the instance type allows",
        remedy: SIZE,
    },
    Card {
        names: &["conntrack_allowance_exceeded"],
        drivers: "ena",
        class: Class::Allowance,
        says: "lost packets of new connections: the cloud tracks no more for this instance type",
        remedy: &[
            "{ns}ethtool -S {interface}",
            "keep connections open and use them again, or take a larger instance type",
        ],
    },
    Card {
        names: &["linklocal_allowance_exceeded"],
        drivers: "ena",
        class: Class::Allowance,
        says: "lost packets to the cloud's own services (DNS, metadata, time): more than 1,024 a second",
        remedy: &[
            "{ns}ethtool -S {interface}",
            "cache DNS on the node (node-local DNS), and ask the metadata less often",
        ],
    },
    Card {
        names: &[
            "rx_drops",
            "rx_drops_*",
            "rx_steer_missed_packets",
            "rx_oversize_pkts_sw_drop",
            "rx_wqe_err",
            "rx_vport_dropped",
            "hc_rx_err*",
            "rx_no_memory",
        ],
        drivers: "virtio_net, ena, igb, gve, mlx5, mana, hv_netvsc",
        class: Class::Driver,
        says: "dropped packets in driver or card: no memory for them, a size that it does not take, or no rule to pass them on",
        remedy: LOOK,
    },
    Card {
        names: &["tx_drops", "tx_no_memory", "tx_too_big", "tx_no_space"],
        drivers: "ena, hv_netvsc",
        class: Class::Transmit,
        says: "could not send packets that the kernel had handed over: no carrier, or an error of card or driver",
        remedy: LOOK,
    },
];

/// The row of a name without the number of a queue.
pub fn card(name: &str) -> Option<&'static Card> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    };
    CARDS.iter().find(|card| card.names.iter().any(|pattern| fits(pattern)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_name_stands_once_and_as_it_is_looked_up() {
        let names: Vec<&str> = CARDS.iter().flat_map(|card| card.names.iter().copied()).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for name in names {
            let plain = name.trim_end_matches('*');
            assert_eq!(super::super::ethtool::without_queue(plain).0, plain.trim_end_matches('_'), "{name}");
            assert!(card(plain).is_some_and(|card| card.names.contains(&name)));
        }
        assert!(card("rx_packets").is_none() && card("rx_dropped").is_none() && card("").is_none());
        assert!(card("rx_drops_invalid_checksum").is_some());
    }

    #[test]
    fn sentences_are_plain_and_remedies_are_filled() {
        for card in CARDS {
            assert!(!card.says.ends_with('.') && !card.remedy.is_empty(), "{card:?}");
        }
        for protocol in PROTOCOLS {
            assert!(!protocol.says.ends_with('.') && !protocol.remedy.is_empty(), "{protocol:?}");
        }
        assert_eq!(PROTOCOLS[OVERFLOWS].full_name(), "TcpExtListenOverflows");
        assert_eq!(PROTOCOLS[DROPS].full_name(), "TcpExtListenDrops");
    }
}
