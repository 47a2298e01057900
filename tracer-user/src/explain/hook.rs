//! Where on its way a packet was, read off the kernel stack.
//!
//! Rule: for netfilter the innermost caller that runs a hook decides; for anything else the place that freed the
//! packet does. Frames differ between kernels and compilers, so the lists are generous and a miss is `other`.

use super::observation::bare;
use crate::event::Hook;

/// Functions that run a netfilter hook, by hook (`NF_HOOK` and `nf_hook` are inlined into them).
const NETFILTER: &[(Hook, &str)] = &[
    (
        Hook::Prerouting,
        "ip_rcv ip_list_rcv ip_sublist_rcv ipv6_rcv ipv6_list_rcv ip6_sublist_rcv br_nf_pre_routing \
             br_nf_pre_routing_ipv6 br_handle_frame nf_hook_bridge_pre",
    ),
    (
        Hook::Input,
        "ip_local_deliver ip6_input ip6_mc_input arp_rcv br_pass_frame_up br_netif_receive_skb br_nf_local_in",
    ),
    (
        Hook::Forward,
        "ip_forward ip6_forward ip_mr_forward ip6_mr_forward ipmr_queue_fwd_xmit ip6mr_forward2 __br_forward \
             br_nf_forward br_nf_forward_ip br_nf_forward_arp",
    ),
    (
        Hook::Output,
        "__ip_local_out ip_local_out __ip_queue_xmit ip_queue_xmit ip_build_and_send_pkt ip_send_skb \
             ip_push_pending_frames raw_sendmsg raw_send_hdrinc __ip6_local_out ip6_local_out ip6_xmit \
             ip6_send_skb rawv6_sendmsg rawv6_send_hdrinc ndisc_send_skb mld_sendpack igmp6_send igmpv3_sendpack \
             arp_xmit arp_send_dst br_dev_xmit",
    ),
    (
        Hook::Postrouting,
        "ip_output ip_mc_output ip6_output ip6_mc_output xfrm4_output xfrm6_output xfrm_output_resume \
             br_forward_finish br_nf_post_routing br_nf_dev_queue_xmit",
    ),
    (Hook::Ingress, "__netif_receive_skb_core nf_hook_ingress nf_ingress"),
    (Hook::Egress, "__dev_queue_xmit nf_hook_egress"),
];

/// Reasons that name their place whatever the function.
const BY_REASON: &[(Hook, &str)] = &[
    (Hook::Ingress, "TC_INGRESS CPU_BACKLOG"),
    (Hook::Egress, "TC_EGRESS BPF_CGROUP_EGRESS"),
    (
        Hook::Qdisc,
        "QDISC_DROP QDISC_OVERLIMIT QDISC_CONGESTED QDISC_BURST_DROP CAKE_FLOOD DUALPI2_STEP_DROP \
             FQ_BAND_LIMIT FQ_HORIZON_LIMIT FQ_FLOW_LIMIT",
    ),
    (
        Hook::Device,
        "XDP FULL_RING DEV_READY DEV_HDR TAP_FILTER TAP_TXFILTER RECURSION_LIMIT MACVLAN_BROADCAST_BACKLOG \
             IPVLAN_MULTICAST_BACKLOG BRIDGE_INGRESS_STP_STATE",
    ),
    (Hook::Neighbour, "NEIGH_FAILED NEIGH_CREATEFAIL NEIGH_QUEUEFULL NEIGH_DEAD NEIGH_HH_FILLFAIL ARP_PVLAN_DISABLE"),
    (
        Hook::Route,
        "IP_RPFILTER IP_LOCAL_SOURCE IP_INVALID_SOURCE IP_LOCALNET IP_INVALID_DEST IP_INNOROUTES IP_OUTNOROUTES",
    ),
];

/// Functions that drop packets themselves, by what they do.
const BY_LOCATION: &[(Hook, &str)] = &[
    (Hook::Prerouting, "ip_rcv ip_rcv_core ip6_rcv_core ipv6_rcv ip_rcv_options ipv6_parse_hopopts"),
    (
        Hook::Route,
        "ip_rcv_finish ip_rcv_finish_core ip_error ip6_pkt_drop ip6_pkt_discard ip6_pkt_prohibit \
             ip6_pkt_discard_out ip6_pkt_prohibit_out dst_discard dst_discard_out ip_route_input_noref",
    ),
    (Hook::Forward, "ip_forward ip6_forward"),
    (
        Hook::Input,
        "ip_local_deliver ip_local_deliver_finish ip_protocol_deliver_rcu ip6_input_finish \
             ip6_protocol_deliver_rcu ip6_mc_input ip_defrag ip_expire ip6_frag_expire ipv6_frag_rcv \
             ip6_tlvopt_unknown ipv6_rthdr_rcv ipv6_destopt_rcv igmp_rcv inet_frag_queue_flush \
             inet_frag_rbtree_purge inet_frag_destroy",
    ),
    (Hook::Output, "__ip_queue_xmit ip_queue_xmit inet6_csk_xmit ip6_xmit"),
    (
        Hook::Postrouting,
        "ip_finish_output __ip_finish_output ip6_finish_output ip_fragment ip_do_fragment ip6_fragment \
             ip_mc_finish_output",
    ),
    (Hook::Ingress, "__netif_receive_skb_core enqueue_to_backlog netif_receive_skb_internal"),
    (Hook::Egress, "validate_xmit_skb skb_checksum_help sch_handle_egress"),
    (
        Hook::Neighbour,
        "neigh_invalidate __neigh_event_send neigh_destroy neigh_resolve_output neigh_connected_output \
             ip_finish_output2 ip6_finish_output2 arp_process arp_rcv arp_error_report ndisc_error_report \
             ndisc_rcv",
    ),
    (
        Hook::Qdisc,
        "__dev_queue_xmit __dev_xmit_skb __tcf_kfree_skb_list sch_direct_xmit dev_qdisc_enqueue __qdisc_run \
             qdisc_reset net_tx_action",
    ),
    (
        Hook::Device,
        "do_xdp_generic netif_receive_generic_xdp bpf_prog_run_generic_xdp generic_xdp_tx __dev_forward_skb \
             __dev_forward_skb2 dev_hard_start_xmit br_handle_frame br_handle_frame_finish __br_forward \
             br_dev_queue_push_xmit loopback_xmit skb_do_redirect __bpf_redirect",
    ),
    (Hook::Socket, "icmp_rcv icmpv6_rcv ping_rcv raw_rcv rawv6_rcv skb_queue_purge skb_queue_purge_reason"),
];

/// Beginnings of function names, after the lists above.
const BY_PREFIX: &[(Hook, &str)] = &[
    (
        Hook::Device,
        "veth_ vxlan_ geneve_ tun_ tap_ macvlan_ ipvlan_ ipip gre_ ipgre_ ip_tunnel_ ip6_tnl_ wg_ virtnet_ \
             bond_ vlan_ ovs_ do_execute_actions dev_loopback_",
    ),
    (
        Hook::Socket,
        "tcp_ udp_ __udp udp6_ udpv6_ sctp_ inet_ sk_ __sk_ sock_ unix_ netlink_ packet_ tpacket_ \
             virtio_transport_ vhost_transport_ vsock_",
    ),
    (Hook::Neighbour, "neigh_ arp_ ndisc_"),
];

/// Reasons of the socket layer, where the place says nothing.
const SOCKET_REASONS: &[(Hook, &str)] = &[(Hook::Socket, "TCP_ SOCKET_ UDP_ UNIX_ NO_SOCKET PROTO_MEM QUEUE_PURGE")];

/// The hook of a netfilter drop and the frame that says so.
pub fn netfilter_hook<'a>(frames: impl Iterator<Item = &'a str>) -> Option<(Hook, &'a str)> {
    let mut frames = frames.map(bare);
    let (hook, frame) = frames.find_map(|frame| listed(NETFILTER, frame).map(|hook| (hook, frame)))?;
    // A bridge runs the same function for what it forwards and for what its own machine sends. The first of the two
    // frames decides: a receive path often stands on top of an unrelated transmit path (softirq after veth).
    let from = |outer: &&str| *outer == "br_dev_xmit" || outer.starts_with("br_handle_frame");
    if frame == "__br_forward" && frames.find(from) == Some("br_dev_xmit") {
        return Some((Hook::Output, frame));
    }
    Some((hook, frame))
}

/// The hook of a drop. `stack` is innermost first and may hold tracing frames; `location` is where the packet was
/// freed; `reason` is the kernel's, or the one derived from the place.
pub fn hook(stack: &[&str], location: &str, reason: Option<&str>) -> Hook {
    let reason = reason.unwrap_or_default();
    let location = bare(location);
    if reason == "NETFILTER_DROP" || in_netfilter(location) {
        return netfilter_hook(stack.iter().copied()).map_or(Hook::Other, |(hook, _)| hook);
    }
    listed(BY_REASON, reason)
        .or_else(|| reason.starts_with("IPV6_NDISC_").then_some(Hook::Neighbour))
        .or_else(|| reason.starts_with("QDISC_DROP_").then_some(Hook::Qdisc))
        .or_else(|| listed(BY_LOCATION, location))
        .or_else(|| listed(NETFILTER, location))
        .or_else(|| prefixed(BY_PREFIX, location))
        .or_else(|| prefixed(SOCKET_REASONS, reason))
        .unwrap_or(Hook::Other)
}

/// Which part of netfilter dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netfilter {
    /// nf_tables freed it itself: a rule or chain policy of nft or of iptables-nft, ebtables-nft, arptables-nft.
    Nftables,
    /// A hook returned "drop": a rule or policy of iptables-legacy, a full connection table, address translation
    /// without a free port, TPROXY without a listener.
    Hook,
    /// The packet was to go to a program (NFQUEUE) that is not there or said drop.
    Queue,
}

/// Which part of netfilter freed the packet; `None` if none did.
pub fn netfilter(location: &str, reason: Option<&str>) -> Option<Netfilter> {
    match bare(location) {
        "nft_do_chain" => Some(Netfilter::Nftables),
        "nf_queue" | "__nf_queue" | "nf_reinject" | "nfqnl_reinject" | "nfqnl_recv_verdict" | "nfqnl_flush" => {
            Some(Netfilter::Queue)
        }
        "nf_hook_slow" | "nf_hook_slow_list" | "synproxy_tg4" | "ipv4_synproxy_hook" | "ipv6_synproxy_hook" => {
            Some(Netfilter::Hook)
        }
        _ => (reason == Some("NETFILTER_DROP")).then_some(Netfilter::Hook),
    }
}

fn in_netfilter(location: &str) -> bool {
    netfilter(location, None).is_some()
}

fn listed(table: &[(Hook, &str)], name: &str) -> Option<Hook> {
    table.iter().find(|(_, names)| names.split_ascii_whitespace().any(|listed| listed == name)).map(|(hook, _)| *hook)
}

fn prefixed(table: &[(Hook, &str)], name: &str) -> Option<Hook> {
    table
        .iter()
        .find(|(_, prefixes)| prefixes.split_ascii_whitespace().any(|prefix| name.starts_with(prefix)))
        .map(|(hook, _)| *hook)
}
