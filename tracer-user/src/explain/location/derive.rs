//! The reason of a drop on kernels that give none (before 5.17), read off its place.
//!
//! A place with one cause gives `derived`; one that drops for several gives the most frequent as `inferred`.

use super::is_one_of;
use crate::event::Confidence::{self, Derived as Sure, Inferred as Likely};
use crate::explain::observation::{Observation, Segment};

/// A reason that the kernel did not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) reason: &'static str,
    pub(crate) confidence: Confidence,
}

struct Row {
    locations: &'static str,
    when: fn(&Observation<'_>) -> bool,
    reason: &'static str,
    confidence: Confidence,
}

/// A row for every packet.
const fn row(locations: &'static str, reason: &'static str, confidence: Confidence) -> Row {
    Row { locations, when: |_| true, reason, confidence }
}

/// A row for some packets.
const fn row_when(
    locations: &'static str,
    when: fn(&Observation<'_>) -> bool,
    reason: &'static str,
    confidence: Confidence,
) -> Row {
    Row { locations, when, reason, confidence }
}

fn otherhost(drop: &Observation<'_>) -> bool {
    drop.is_otherhost()
}

fn ttl_spent(drop: &Observation<'_>) -> bool {
    drop.ttl_spent()
}

fn short(drop: &Observation<'_>) -> bool {
    drop.fits_every_ipv6_link()
}

/// Fragments and segments are freed by the same function as what a queue drops, with or instead of the packet they are of.
fn of_a_larger_packet(drop: &Observation<'_>) -> bool {
    ["skb_release_data", "ip_do_fragment", "ip_fragment", "ip6_fragment", "ip6_fraglist_next"]
        .iter()
        .any(|caller| drop.called_by(caller))
}

const FORWARD: &str = "ip_forward ip6_forward";
const RECEIVE: &str = "ip_rcv ip_rcv_core ipv6_rcv ip6_rcv_core";
const TCP_RECEIVE: &str = "tcp_v4_rcv tcp_v6_rcv";
const UDP_QUEUE: &str = "udp_queue_rcv_one_skb udpv6_queue_rcv_one_skb __udp_queue_rcv_skb __udpv6_queue_rcv_skb \
                         __udp_enqueue_schedule_skb";
const PURGE: &str = "skb_queue_purge __skb_queue_purge inet_sock_destruct sk_stream_kill_queues packet_release";

/// Without reasons (before 5.17) queues collect what they drop in a list.
const QUEUE: &str = "kfree_skb_list kfree_skb_list_reason __tcf_kfree_skb_list __dev_xmit_skb";

const ROWS: &[Row] = &[
    row("nf_hook_slow nf_hook_slow_list nft_do_chain", "NETFILTER_DROP", Sure),
    row_when(TCP_RECEIVE, |drop| drop.tcp() == Some(Segment::Open), "NO_SOCKET", Likely),
    row_when("__udp4_lib_rcv __udp6_lib_rcv udp_rcv", |drop| !drop.is_multicast(), "NO_SOCKET", Likely),
    row("ping_rcv", "NO_SOCKET", Sure),
    row(UDP_QUEUE, "SOCKET_RCVBUFF", Likely),
    row("tcp_v4_do_rcv tcp_v6_do_rcv tcp_rcv_state_process", "TCP_FLAGS", Likely),
    row(PURGE, "QUEUE_PURGE", Sure),
    row("unix_release_sock", "SOCKET_CLOSE", Sure),
    row_when(RECEIVE, otherhost, "OTHERHOST", Sure),
    row(RECEIVE, "IP_INHDR", Likely),
    row_when("ip_rcv_finish_core ip_rcv_finish", |drop| !drop.is_multicast(), "IP_RPFILTER", Likely),
    row("ip_error", "IP_INNOROUTES", Likely),
    row("ip6_pkt_drop ip6_pkt_discard ip6_pkt_prohibit", "IP_INNOROUTES", Sure),
    row("__ip_queue_xmit inet6_csk_xmit", "IP_OUTNOROUTES", Sure),
    row_when(FORWARD, ttl_spent, "IP_INHDR", Sure),
    row_when("ip6_forward", short, "IP_INADDRERRORS", Likely),
    row(FORWARD, "PKT_TOO_BIG", Likely),
    row("__dev_forward_skb veth_xmit veth_forward_skb", "PKT_TOO_BIG", Likely),
    row(
        "ip_local_deliver_finish ip_protocol_deliver_rcu ip6_protocol_deliver_rcu ip6_input_finish",
        "IP_NOPROTO",
        Likely,
    ),
    row("ip_expire ip6_frag_expire ip6frag_expire_frag_queue", "FRAG_REASM_TIMEOUT", Sure),
    row("ip_finish_output ip6_finish_output", "BPF_CGROUP_EGRESS", Likely),
    row("neigh_invalidate arp_error_report ndisc_error_report", "NEIGH_FAILED", Sure),
    row("__neigh_event_send", "NEIGH_QUEUEFULL", Likely),
    row("enqueue_to_backlog", "CPU_BACKLOG", Sure),
    row("sch_handle_ingress", "TC_INGRESS", Sure),
    row("sch_handle_egress", "TC_EGRESS", Sure),
    // That function, inlined (net/core/dev.c, 5.10 and 5.15).
    row("__dev_queue_xmit", "TC_EGRESS", Likely),
    row_when("__netif_receive_skb_core", |drop| drop.is_ip() || drop.is_arp(), "TC_INGRESS", Likely),
    row("__netif_receive_skb_core", "UNHANDLED_PROTO", Likely),
    row_when(QUEUE, |drop| !of_a_larger_packet(drop), "QDISC_DROP", Likely),
    // The callback of CoDel, in codel and fq_codel.
    row("drop_func", "QDISC_CONGESTED", Likely),
    row("do_xdp_generic netif_receive_generic_xdp veth_xdp_rcv_skb veth_xdp_rcv_one", "XDP", Sure),
    row("tun_net_xmit", "FULL_RING", Likely),
    row("vxlan_rcv", "VXLAN_VNI_NOT_FOUND", Likely),
    row_when("vxlan_xmit vxlan_xmit_one", |drop| !drop.is_multicast(), "NO_TX_TARGET", Likely),
    row_when("br_handle_frame", |drop| !drop.is_multicast(), "BRIDGE_INGRESS_STP_STATE", Likely),
    row("ip_finish_output2 ip6_finish_output2", "NEIGH_CREATEFAIL", Likely),
];

/// The reason that the place of a drop stands for; `None` if it stands for none.
pub(crate) fn derive(drop: &Observation<'_>) -> Option<Derived> {
    let symbol = drop.symbol();
    let row = ROWS.iter().find(|row| is_one_of(symbol, row.locations) && (row.when)(drop))?;
    Some(Derived { reason: row.reason, confidence: row.confidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::catalogue::reason;

    #[test]
    fn only_reasons_of_the_catalogue_are_derived() {
        assert!(ROWS.iter().all(|row| reason(row.reason).is_some()));
        assert!(ROWS.iter().all(|row| matches!(row.confidence, Sure | Likely)));
    }
}
