//! Drops as they were caused and seen on a real 6.18 kernel: reason, place and stack must give this hook, cause and
//! class. Stacks are innermost first and carry the frames of tracing on top, as a BPF program sees them.

use super::{Judgement, Observation, judge};
use crate::event::Severity::{Expected, Noise, Problem};
use crate::event::{Cause, Hook, Severity};

/// Frames above the one that frees a packet.
const TRACING: &str = "bpf_prog_6deef7357e7b4530_drop bpf_trace_run4 __traceiter_kfree_skb sk_skb_reason_drop";

const RX: &str = "__netif_receive_skb_core.constprop.0 __netif_receive_skb_one_core process_backlog net_rx_action";
const UP: &str = "ip_protocol_deliver_rcu ip_local_deliver_finish ip_local_deliver ip_rcv";
const UP6: &str = "ip6_protocol_deliver_rcu ip6_input_finish ip6_input ipv6_rcv";
const TX: &str = "ip_finish_output2 ip_output ip_send_skb udp_send_skb udp_sendmsg __sys_sendto";

/// A packet of a scenario.
pub(super) fn packet(kind: &str) -> Observation<'static> {
    let v4 = Observation {
        ethertype: 0x0800,
        source: "10.99.1.2".parse().ok(),
        destination: "10.99.2.2".parse().ok(),
        ttl: Some(63),
        interface: Some("r1"),
        ..Observation::default()
    };
    let tcp = Observation {
        protocol: Some(6),
        source_port: Some(40_000),
        destination_port: Some(81),
        tcp_flags: Some(0x02),
        ..v4
    };
    let udp = Observation { protocol: Some(17), source_port: Some(40_000), destination_port: Some(9999), ..v4 };
    let ipv6 = |drop: Observation<'static>, to: &str| Observation {
        ethertype: 0x86dd,
        source: "fd99:1::2".parse().ok(),
        destination: to.parse().ok(),
        ..drop
    };
    match kind {
        "tcp" => tcp,
        "tcp ack" => Observation { tcp_flags: Some(0x10), ..tcp },
        "tcp fin" => Observation { tcp_flags: Some(0x11), ..tcp },
        "tcp rst" => Observation { tcp_flags: Some(0x04), ..tcp },
        "tcp cut" => Observation { protocol: Some(6), ..v4 },
        "udp" => udp,
        "udp ttl" => Observation { ttl: Some(1), ..udp },
        "udp traceroute" => Observation { ttl: Some(1), destination_port: Some(33_435), ..udp },
        "udp broadcast" => Observation { packet_type: 1, destination: "10.99.1.255".parse().ok(), ..udp },
        "udp subnet broadcast" => Observation { destination: "10.99.2.255".parse().ok(), ..udp },
        "tcp counted" => Observation { protocol: Some(6), ttl: None, ..v4 },
        "udp multicast" => Observation { packet_type: 2, destination: "239.1.1.1".parse().ok(), ..udp },
        "udp dns answer" => Observation { source_port: Some(53), destination_port: Some(40_001), ..udp },
        "icmp" => Observation { protocol: Some(1), icmp_type: Some(8), ..v4 },
        "icmp broadcast" => Observation { protocol: Some(1), packet_type: 1, ..v4 },
        "ip" => v4,
        "otherhost" => Observation { packet_type: 3, ..udp },
        "tcp6" => ipv6(tcp, "fd99:2::2"),
        "udp6" => ipv6(udp, "fd99:2::2"),
        "udp6 short" => Observation { length: Some(60), ..ipv6(udp, "fd99:2::2") },
        "otherhost6" => Observation { packet_type: 3, ..ipv6(udp, "fd99:2::2") },
        "icmp6" => Observation { protocol: Some(58), icmp_type: Some(128), ..ipv6(v4, "fd99:2::2") },
        "ns" => Observation { protocol: Some(58), icmp_type: Some(135), ..ipv6(v4, "ff02::1:ff00:2") },
        "mld" => Observation { protocol: Some(58), icmp_type: Some(143), packet_type: 2, ..ipv6(v4, "ff02::16") },
        "arp" => Observation { ethertype: 0x0806, packet_type: 1, interface: Some("r1"), ..Observation::default() },
        "frame" => Observation { ethertype: 0x88b5, interface: Some("r1"), ..Observation::default() },
        "local" => Observation::default(),
        other => panic!("no packet kind {other}"),
    }
}

/// Judges a drop at `location` with `callers` above it.
pub(super) fn seen(reason: Option<&str>, location: &str, callers: &str, kind: &str) -> Judgement {
    let above = if reason == Some("NETFILTER_DROP") && location == "nft_do_chain" {
        "nft_do_chain_inet nf_hook_slow"
    } else {
        ""
    };
    let stack: Vec<&str> =
        [TRACING, location, above, callers, RX].iter().flat_map(|part| part.split_ascii_whitespace()).collect();
    judge(&Observation { reason, location: Some(location), stack: &stack, ..packet(kind) })
}

type Row = (u16, &'static str, &'static str, &'static str, &'static str, Hook, Cause, Severity);

/// Scenario, reason, place, callers, packet; hook, cause, class. Netfilter rows hold for legacy and nft.
const NETFILTER: &[(u16, &str, &str, Hook)] = &[
    (1, "ip_local_deliver ip_rcv", "tcp", Hook::Input),
    (2, "ip_forward ip_rcv", "tcp", Hook::Forward),
    (3, "__ip_local_out __ip_queue_xmit __tcp_transmit_skb tcp_connect", "tcp", Hook::Output),
    (4, "ip_rcv", "tcp", Hook::Prerouting),
    (5, "ip_output ip_forward ip_rcv", "tcp", Hook::Postrouting),
    (38, "", "tcp", Hook::Ingress),
    (40, "__dev_queue_xmit ip_finish_output2 ip_output", "tcp", Hook::Egress),
    (50, "ip_output ip_forward ip_rcv", "tcp", Hook::Postrouting),
    (113, "ip_forward ip_rcv", "tcp", Hook::Forward),
    (114, "ip6_input ipv6_rcv", "tcp6", Hook::Input),
    (115, "ip6_forward ipv6_rcv", "tcp6", Hook::Forward),
    (116, "ip6_xmit inet6_csk_xmit __tcp_transmit_skb", "tcp6", Hook::Output),
    (117, "ipv6_rcv", "tcp6", Hook::Prerouting),
    (119, "ipv6_rcv", "icmp6", Hook::Prerouting),
    (172, "__br_forward br_handle_frame_finish br_handle_frame", "udp", Hook::Forward),
    (174, "br_nf_forward_ip br_nf_forward nf_hook_slow __br_forward br_handle_frame_finish", "udp", Hook::Forward),
    (178, "arp_rcv", "arp", Hook::Input),
    (191, "ip_rcv", "tcp", Hook::Prerouting),
    (197, "__ip_local_out ip_send_skb udp_send_skb", "udp", Hook::Output),
];

use Cause as C;
use Hook as H;

const DROPS: &[Row] = &[
    (
        11,
        "NOT_SPECIFIED",
        "nf_queue",
        "nf_hook_slow ip_local_deliver ip_rcv",
        "tcp",
        H::Input,
        C::NetfilterRule,
        Problem,
    ),
    (12, "IP_RPFILTER", "ip_rcv_finish_core.isra.0", "ip_rcv", "tcp", H::Route, C::ReversePath, Problem),
    (14, "NO_SOCKET", "tcp_v4_rcv", UP, "tcp", H::Socket, C::NoSocket, Problem),
    (15, "NO_SOCKET", "__udp4_lib_rcv", UP, "udp", H::Socket, C::NoSocket, Problem),
    (15, "NO_SOCKET", "udp_rcv", UP, "udp", H::Socket, C::NoSocket, Problem),
    (16, "NOT_SPECIFIED", "ip_error", "ip_rcv", "udp", H::Route, C::RouteReject, Problem),
    (24, "IP_INNOROUTES", "ip_error", "ip_rcv", "udp", H::Route, C::NoRoute, Problem),
    (26, "IP_INADDRERRORS", "ip_error", "ip_rcv", "udp", H::Route, C::NoRoute, Problem),
    (28, "IP_INHDR", "ip_forward", "ip_rcv", "icmp", H::Forward, C::Ttl, Problem),
    (28, "IP_INHDR", "ip_forward", "ip_rcv", "udp traceroute", H::Forward, C::Ttl, Expected),
    (29, "PKT_TOO_BIG", "ip_forward", "ip_rcv", "icmp", H::Forward, C::Mtu, Problem),
    (31, "NEIGH_FAILED", "neigh_invalidate", "neigh_timer_handler", "icmp", H::Neighbour, C::Neighbour, Problem),
    (57, "OTHERHOST", "ip_rcv_core", "ip_rcv", "otherhost", H::Prerouting, C::Device, Noise),
    (58, "IP_CSUM", "ip_rcv_core", "ip_rcv", "udp", H::Prerouting, C::Checksum, Problem),
    (59, "IP_INHDR", "ip_rcv_core", "ip_rcv", "ip", H::Prerouting, C::Checksum, Problem),
    (61, "PKT_TOO_SMALL", "ip_rcv_core", "ip_rcv", "ip", H::Prerouting, C::Checksum, Problem),
    (63, "NOT_SPECIFIED", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::ReversePath, Problem),
    (64, "IP_INHDR", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::Checksum, Problem),
    (65, "IP_NOPROTO", "ip_local_deliver_finish", "ip_rcv", "ip", H::Input, C::NoSocket, Problem),
    (66, "UNHANDLED_PROTO", "__netif_receive_skb_core", "", "frame", H::Ingress, C::NoSocket, Expected),
    (67, "TCP_CSUM", "tcp_v4_rcv", UP, "tcp", H::Socket, C::Checksum, Problem),
    (68, "UDP_CSUM", "__udp4_lib_rcv", UP, "udp", H::Socket, C::Checksum, Problem),
    (69, "ICMP_CSUM", "icmp_rcv", UP, "icmp", H::Socket, C::Checksum, Problem),
    (70, "PKT_TOO_SMALL", "tcp_v4_rcv", UP, "tcp", H::Socket, C::Checksum, Problem),
    (71, "NOT_SPECIFIED", "tcp_v4_rcv", UP, "tcp cut", H::Socket, C::Checksum, Problem),
    (73, "UNHANDLED_PROTO", "icmp_rcv", UP, "icmp", H::Socket, C::NoSocket, Expected),
    (74, "IP_LOCALNET", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::ReversePath, Problem),
    (75, "IP_INVALID_SOURCE", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::ReversePath, Problem),
    (78, "IP_LOCAL_SOURCE", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::ReversePath, Problem),
    (80, "IP_INVALID_DEST", "ip_rcv_finish_core", "ip_rcv", "udp", H::Route, C::NoRoute, Problem),
    (82, "NOT_SPECIFIED", "ip_rcv_finish_core", "ip_rcv", "udp multicast", H::Route, C::NoSocket, Noise),
    (83, "NOT_SPECIFIED", "__udp4_lib_rcv", UP, "udp broadcast", H::Socket, C::NoSocket, Noise),
    (84, "DUP_FRAG", "ip_defrag", "ip_local_deliver", "udp", H::Input, C::Mtu, Expected),
    (85, "NOT_SPECIFIED", "ip_defrag", "ip_local_deliver", "udp", H::Input, C::Checksum, Problem),
    (87, "NOT_SPECIFIED", "arp_process", "arp_rcv", "arp", H::Neighbour, C::Neighbour, Expected),
    (88, "UNICAST_IN_L2_MULTICAST", "ip_rcv_finish_core", "ip_rcv", "udp broadcast", H::Route, C::Device, Expected),
    (89, "FRAG_REASM_TIMEOUT", "ip_expire", "call_timer_fn", "udp", H::Input, C::Mtu, Problem),
    (92, "OTHERHOST", "ip6_rcv_core", "ipv6_rcv", "otherhost6", H::Prerouting, C::Device, Noise),
    (93, "IP_INHDR", "ip6_forward", "ipv6_rcv", "udp6", H::Forward, C::Ttl, Problem),
    (94, "IP_INHDR", "ip6_rcv_core", "ipv6_rcv", "udp6", H::Prerouting, C::Checksum, Problem),
    (98, "UNHANDLED_PROTO", "ip6_rcv_core", "ipv6_rcv", "udp6", H::Prerouting, C::NoSocket, Expected),
    (99, "IP_NOPROTO", "ip6_input_finish", "ip6_input", "udp6", H::Input, C::NoSocket, Problem),
    (99, "PKT_TOO_SMALL", "icmpv6_rcv", UP6, "icmp6", H::Socket, C::Checksum, Expected),
    (100, "NOT_SPECIFIED", "ipv6_parse_hopopts", "ip6_rcv_core", "udp6", H::Prerouting, C::Checksum, Problem),
    (101, "UNHANDLED_PROTO", "ip6_tlvopt_unknown", "ip6_parse_tlv", "udp6", H::Input, C::NoSocket, Expected),
    (102, "TCP_CSUM", "tcp_v6_rcv", UP6, "tcp6", H::Socket, C::Checksum, Problem),
    (104, "NO_SOCKET", "__udp6_lib_rcv", UP6, "udp6", H::Socket, C::NoSocket, Problem),
    (105, "ICMP_CSUM", "icmpv6_rcv", UP6, "icmp6", H::Socket, C::Checksum, Problem),
    (106, "IPV6_NDISC_HOP_LIMIT", "icmpv6_rcv", UP6, "ns", H::Neighbour, C::Neighbour, Problem),
    (109, "IPV6_NDISC_NS_OTHERHOST", "icmpv6_rcv", UP6, "ns", H::Neighbour, C::Neighbour, Noise),
    (110, "NOT_SPECIFIED", "icmpv6_rcv", UP6, "icmp6", H::Socket, C::NoSocket, Expected),
    (111, "NOT_SPECIFIED", "ipv6_rthdr_rcv", UP6, "udp6", H::Input, C::Unknown, Expected),
    (112, "FRAG_REASM_TIMEOUT", "ip6_frag_expire", "call_timer_fn", "udp6", H::Input, C::Mtu, Problem),
    (121, "NO_SOCKET", "tcp_v6_rcv", UP6, "tcp6", H::Socket, C::NoSocket, Problem),
    (123, "NOT_SPECIFIED", "dst_discard_out", "ipv6_rcv", "udp6", H::Route, C::RouteReject, Problem),
    (125, "IP_INNOROUTES", "ip6_pkt_discard", "ipv6_rcv", "udp6", H::Route, C::NoRoute, Problem),
    (126, "IP_INNOROUTES", "ip6_pkt_prohibit", "ipv6_rcv", "udp6", H::Route, C::RouteReject, Problem),
    (128, "IP_INADDRERRORS", "ip6_forward", "ipv6_rcv", "udp6", H::Forward, C::NoRoute, Problem),
    (129, "PKT_TOO_BIG", "ip6_forward", "ipv6_rcv", "icmp6", H::Forward, C::Mtu, Problem),
    (130, "NOT_SPECIFIED", "neigh_invalidate", "neigh_timer_handler", "icmp6", H::Neighbour, C::Neighbour, Problem),
    (132, "IPV6DISABLED", "ip6_rcv_core", "ipv6_rcv", "udp6", H::Prerouting, C::Device, Problem),
    (133, "SOCKET_RCVBUFF", "udp_queue_rcv_one_skb", UP, "udp", H::Socket, C::SocketBuffer, Problem),
    (134, "SOCKET_RCVBUFF", "udpv6_queue_rcv_one_skb", UP6, "udp6", H::Socket, C::SocketBuffer, Problem),
    (135, "SOCKET_FILTER", "udp_queue_rcv_one_skb", UP, "udp", H::Socket, C::BpfProgram, Problem),
    (137, "TCP_MINTTL", "tcp_v4_rcv", UP, "tcp", H::Socket, C::Ttl, Problem),
    (138, "TCP_OLD_DATA", "tcp_rcv_established", UP, "tcp ack", H::Socket, C::Unknown, Noise),
    (139, "TCP_INVALID_SEQUENCE", "tcp_validate_incoming", UP, "tcp ack", H::Socket, C::Unknown, Problem),
    (140, "TCP_ACK_UNSENT_DATA", "tcp_v4_do_rcv", UP, "tcp ack", H::Socket, C::Unknown, Problem),
    (141, "TCP_TOO_OLD_ACK", "tcp_v4_do_rcv", UP, "tcp ack", H::Socket, C::Unknown, Expected),
    (142, "TCP_INVALID_SYN", "tcp_validate_incoming", UP, "tcp", H::Socket, C::Unknown, Problem),
    (143, "TCP_FLAGS", "tcp_v4_do_rcv", UP, "tcp fin", H::Socket, C::NoSocket, Noise),
    (144, "TCP_RFC7323_PAWS", "tcp_validate_incoming", UP, "tcp ack", H::Socket, C::Unknown, Expected),
    (145, "TCP_OLD_SEQUENCE", "tcp_validate_incoming", UP, "tcp ack", H::Socket, C::Unknown, Noise),
    (148, "TCP_FLAGS", "tcp_v4_do_rcv", UP, "tcp ack", H::Socket, C::NoSocket, Expected),
    (148, "NO_SOCKET", "tcp_v4_rcv", UP, "tcp rst", H::Socket, C::NoSocket, Noise),
    (149, "TCP_RESET", "tcp_rcv_state_process", UP, "tcp rst", H::Socket, C::NoSocket, Expected),
    (150, "QDISC_DROP", "__dev_queue_xmit", TX, "udp", H::Qdisc, C::Qdisc, Problem),
    (150, "QDISC_DROP", "__tcf_kfree_skb_list", TX, "udp", H::Qdisc, C::Qdisc, Problem),
    (154, "TC_INGRESS", "__netif_receive_skb_core", "", "udp", H::Ingress, C::BpfProgram, Problem),
    (155, "TC_EGRESS", "__dev_queue_xmit", TX, "udp", H::Egress, C::BpfProgram, Problem),
    (156, "NOT_SPECIFIED", "veth_xdp_rcv_skb", "veth_xdp_rcv.constprop.0", "udp", H::Device, C::BpfProgram, Problem),
    (157, "NOT_SPECIFIED", "do_xdp_generic", "", "udp", H::Device, C::BpfProgram, Problem),
    (159, "QDISC_DROP", "__dev_queue_xmit", "arp_xmit arp_solicit neigh_probe", "arp", H::Qdisc, C::Qdisc, Problem),
    (162, "FULL_RING", "tun_net_xmit", "dev_hard_start_xmit", "udp", H::Device, C::Device, Problem),
    (164, "XFRM_POLICY", "udp_queue_rcv_one_skb", UP, "udp", H::Socket, C::Ipsec, Problem),
    (165, "XFRM_POLICY", "ip_forward", "ip_rcv", "udp", H::Forward, C::Ipsec, Problem),
    (167, "VXLAN_INVALID_HDR", "vxlan_rcv", UP, "udp", H::Device, C::Checksum, Problem),
    (168, "VXLAN_VNI_NOT_FOUND", "vxlan_rcv", UP, "udp", H::Device, C::Device, Problem),
    (170, "LOCAL_MAC", "vxlan_rcv", UP, "udp", H::Device, C::Device, Problem),
    (171, "NO_TX_TARGET", "vxlan_xmit", "dev_hard_start_xmit", "udp", H::Device, C::Device, Problem),
    (175, "NOT_SPECIFIED", "br_handle_frame_finish", "br_handle_frame", "udp", H::Device, C::Device, Problem),
    (176, "NO_TX_TARGET", "br_handle_frame_finish", "br_handle_frame", "udp", H::Device, C::Device, Problem),
    (179, "NOT_SPECIFIED", "udp_destruct_common", "__sk_destruct", "local", H::Socket, C::NoSocket, Noise),
    (179, "NO_SOCKET", "cookie_v4_check", UP, "tcp ack", H::Socket, C::ListenOverflow, Problem),
    (180, "TCP_LISTEN_OVERFLOW", "tcp_v4_rcv", UP, "tcp ack", H::Socket, C::ListenOverflow, Problem),
    (182, "CPU_BACKLOG", "enqueue_to_backlog", "netif_rx_internal", "udp", H::Ingress, C::Device, Problem),
    (183, "NEIGH_QUEUEFULL", "__neigh_event_send", "neigh_resolve_output", "udp", H::Neighbour, C::Neighbour, Problem),
    (184, "BPF_CGROUP_EGRESS", "ip_finish_output", TX, "udp", H::Egress, C::BpfProgram, Problem),
    (185, "SOCKET_FILTER", "udp_queue_rcv_one_skb", UP, "udp", H::Socket, C::BpfProgram, Problem),
    (186, "BRIDGE_INGRESS_STP_STATE", "br_handle_frame", "", "udp", H::Device, C::Device, Problem),
    (188, "NOT_SPECIFIED", "__dev_forward_skb2", "veth_xmit", "icmp", H::Device, C::Mtu, Problem),
    (189, "INVALID_PROTO", "icmp_rcv", UP, "icmp broadcast", H::Socket, C::Unknown, Expected),
    (192, "TCP_MD5UNEXPECTED", "tcp_v4_rcv", UP, "tcp", H::Socket, C::Unknown, Problem),
    (193, "IP_OUTNOROUTES", "__ip_queue_xmit", "__tcp_transmit_skb", "tcp ack", H::Route, C::NoRoute, Problem),
    (194, "MAC_INVALID_SOURCE", "vxlan_rcv", UP, "udp", H::Device, C::Device, Problem),
];

/// Events of a healthy machine.
const BACKGROUND: &[(&str, &str, &str, &str)] = &[
    ("QUEUE_PURGE", "skb_queue_purge_reason", "", "local"),
    ("QUEUE_PURGE", "inet_sock_destruct", "__sk_destruct", "local"),
    ("QUEUE_PURGE", "sk_stream_kill_queues", "inet_csk_destroy_sock", "tcp ack"),
    ("QUEUE_PURGE", "packet_release", "__sock_release", "udp"),
    ("QUEUE_PURGE", "neigh_destroy", "", "udp"),
    ("NOT_SPECIFIED", "ip6_mc_input", "ipv6_rcv", "mld"),
    ("NO_SOCKET", "ping_rcv", "icmp_echo icmp_rcv", "icmp"),
    ("NO_SOCKET", "ping_rcv", "icmpv6_rcv", "icmp6"),
    ("NOT_SPECIFIED", "ip_rcv_finish_core", "ip_rcv", "udp multicast"),
    ("OTHERHOST", "ip_rcv_core", "ip_rcv", "otherhost"),
    ("IP_INNOROUTES", "ip6_pkt_discard", "ip_sabotage_in nf_hook_slow ipv6_rcv", "mld"),
    ("NO_TX_TARGET", "vxlan_xmit", "dev_hard_start_xmit", "mld"),
    ("SOCKET_CLOSE", "unix_release_sock", "unix_release", "local"),
    ("TCP_OLD_DATA", "tcp_data_queue", "tcp_rcv_established", "tcp ack"),
    ("TCP_ABORT_ON_DATA", "tcp_v4_do_rcv", UP, "tcp ack"),
    ("TCP_OLD_SEQUENCE", "tcp_validate_incoming", UP, "tcp ack"),
    ("TCP_FLAGS", "tcp_v4_do_rcv", UP, "tcp fin"),
    ("NOT_SPECIFIED", "icmpv6_rcv", UP6, "ns"),
    ("NOT_SPECIFIED", "tcp_v4_rcv", UP, "tcp ack"),
    ("NOT_SPECIFIED", "tcp_v4_rcv", UP, "tcp counted"),
    ("NOT_SPECIFIED", "__udp4_lib_rcv", UP, "udp subnet broadcast"),
    ("NOT_SPECIFIED", "tcp_rcv_state_process", UP, "tcp ack"),
    ("NOT_SPECIFIED", "virtio_transport_recv_pkt", "", "local"),
    ("SOCKET_FILTER", "netlink_broadcast_filtered", "nlmsg_notify", "local"),
    ("NO_SOCKET", "__udp4_lib_rcv", UP, "udp dns answer"),
];

#[test]
fn netfilter_drops_give_their_hook_and_blame_no_rule() {
    for (number, callers, kind, hook) in NETFILTER {
        for location in ["nf_hook_slow", "nft_do_chain"] {
            let seen = seen(Some("NETFILTER_DROP"), location, callers, kind);
            let explanation = &seen.explanation;
            assert_eq!((seen.hook, seen.severity), (*hook, Problem), "scenario {number} at {location}");
            assert_eq!(explanation.cause, Cause::Unknown, "scenario {number}");
            assert!(explanation.unknown.is_some() && !explanation.remedy.is_empty(), "scenario {number}");
            assert!(explanation.summary.contains(&format!("at {hook}")), "{}", explanation.summary);
            let says_nft = explanation.summary.contains("nf_tables");
            assert_eq!(says_nft, location == "nft_do_chain", "{}", explanation.summary);
        }
    }
}

#[test]
fn drops_of_the_lab_are_understood() {
    for (number, reason, location, callers, kind, hook, cause, severity) in DROPS {
        let seen = seen(Some(reason), location, callers, kind);
        let got = (seen.hook, seen.explanation.cause, seen.severity);
        assert_eq!(got, (*hook, *cause, *severity), "scenario {number}: {reason} in {location}: {seen:#?}");
        assert!(!seen.explanation.summary.is_empty() && !seen.severity_why.is_empty());
        assert!(!seen.explanation.summary.ends_with('.'), "{}", seen.explanation.summary);
    }
}

/// Whole stacks of a real kernel: a receive path stands on top of the transmit path of the sender.
#[test]
fn recorded_stacks_give_their_hook() {
    let lines = include_str!("../../fixtures/stacks-6.18.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [what, kind, reason, location, hook, class, stack] = parts[..] else { panic!("{line}") };
        let stack: Vec<&str> = stack.split(' ').collect();
        let drop = Observation { reason: Some(reason), location: Some(location), stack: &stack, ..packet(kind) };
        let seen = judge(&drop);
        assert_eq!((seen.hook.as_str(), seen.severity.as_str()), (hook, class), "{what}");
        count += 1;
    }
    assert_eq!(count, 22);
}

#[test]
fn a_healthy_machine_has_no_problems() {
    for (reason, location, callers, kind) in BACKGROUND {
        let seen = seen(Some(reason), location, callers, kind);
        assert_ne!(seen.severity, Problem, "{reason} in {location}: {}", seen.severity_why);
    }
}
