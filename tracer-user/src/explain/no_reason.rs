//! Kernels without drop reasons (5.10), kernels with newer ones, and input that makes no sense.

use super::scenarios::{packet, seen};
use super::{Observation, Wanted, judge, wanted};
use crate::event::{Cause, Confidence, Hook, Severity};
use crate::node::{Facts, State, Topic, device, qdisc};

use Confidence::{Derived, Inferred};

type Row = (&'static str, &'static str, &'static str, Option<&'static str>, Cause, Confidence, Hook);

/// Place, callers, packet; derived reason, cause, confidence, hook.
const OLD_KERNEL: &[Row] = &[
    (
        "nf_hook_slow",
        "ip_local_deliver ip_rcv",
        "tcp",
        Some("NETFILTER_DROP"),
        Cause::Unknown,
        Confidence::Unknown,
        Hook::Input,
    ),
    ("tcp_v4_rcv", "", "tcp", Some("NO_SOCKET"), Cause::NoSocket, Inferred, Hook::Socket),
    ("__udp4_lib_rcv", "", "udp", Some("NO_SOCKET"), Cause::NoSocket, Inferred, Hook::Socket),
    ("ip_rcv_finish_core.isra.0", "ip_rcv", "tcp", Some("IP_RPFILTER"), Cause::ReversePath, Inferred, Hook::Route),
    ("ip_error", "ip_rcv", "udp", Some("IP_INNOROUTES"), Cause::NoRoute, Inferred, Hook::Route),
    ("ip_forward", "ip_rcv", "udp ttl", Some("IP_INHDR"), Cause::Ttl, Derived, Hook::Forward),
    ("ip_forward", "ip_rcv", "udp", Some("PKT_TOO_BIG"), Cause::Mtu, Inferred, Hook::Forward),
    (
        "neigh_invalidate",
        "neigh_timer_handler",
        "icmp",
        Some("NEIGH_FAILED"),
        Cause::Neighbour,
        Derived,
        Hook::Neighbour,
    ),
    ("kfree_skb_list", "__dev_queue_xmit", "udp", Some("QDISC_DROP"), Cause::Qdisc, Inferred, Hook::Qdisc),
    ("veth_xdp_rcv_skb", "", "udp", Some("XDP"), Cause::BpfProgram, Derived, Hook::Device),
    ("tcp_v4_rcv", "", "tcp ack", None, Cause::NoSocket, Derived, Hook::Socket),
    ("nf_queue", "nf_hook_slow ip_local_deliver", "tcp", None, Cause::NetfilterRule, Derived, Hook::Input),
];

#[test]
fn a_kernel_without_reasons_is_read_by_its_places() {
    for (location, callers, kind, derived, cause, confidence, hook) in OLD_KERNEL {
        let seen = seen(None, location, callers, kind);
        let got = (seen.derived, seen.explanation.cause, seen.explanation.confidence, seen.hook);
        assert_eq!(got, (*derived, *cause, *confidence, *hook), "{location}: {seen:#?}");
        assert!(seen.explanation.evidence[0].starts_with("this kernel gives no drop reason"));
    }
}

#[test]
fn background_of_a_kernel_without_reasons_is_no_problem() {
    for (location, kind) in [
        ("inet_sock_destruct", "local"),
        ("skb_queue_purge", "udp"),
        ("unix_release_sock", "local"),
        ("unix_stream_connect", "local"),
        ("ip6_mc_input", "mld"),
        ("__udp4_lib_rcv", "udp broadcast"),
        ("ip_rcv_core", "otherhost"),
        ("ping_rcv", "icmp"),
        ("__rtnl_unlock", "udp"),
        ("tcp_v4_do_rcv", "tcp fin"),
    ] {
        let seen = seen(None, location, "", kind);
        assert_ne!(seen.severity, Severity::Problem, "{location}: {}", seen.severity_why);
    }
}

#[test]
fn a_reason_of_a_newer_kernel_is_shown_by_name() {
    let seen = seen(Some("FROM_THE_FUTURE"), "some_function", "", "udp");
    assert_eq!((seen.severity, seen.hook), (Severity::Problem, Hook::Other));
    assert!(seen.explanation.summary.contains("FROM_THE_FUTURE"));
    assert!(seen.explanation.unknown.unwrap().contains("FROM_THE_FUTURE"));
    assert_eq!(seen.explanation.confidence, Confidence::Unknown);
}

#[test]
fn nothing_at_all_is_not_a_panic() {
    let seen = judge(&Observation::default());
    assert_eq!((seen.hook, seen.explanation.cause), (Hook::Other, Cause::Unknown));
    assert!(seen.explanation.unknown.is_some());
}

#[test]
fn the_prefix_of_the_enum_does_not_matter() {
    let seen = seen(Some("SKB_DROP_REASON_NO_SOCKET"), "tcp_v4_rcv", "", "tcp");
    assert_eq!(seen.explanation.cause, Cause::NoSocket);
    assert_eq!(seen.explanation.summary, "nobody listens on tcp 10.99.2.2:81");
}

#[test]
fn unknown_is_no_reason() {
    for reason in [Some("UNKNOWN"), Some(""), None] {
        assert_eq!(seen(reason, "nf_hook_slow", "ip_rcv", "tcp").derived, Some("NETFILTER_DROP"));
    }
}

#[test]
fn a_harmless_packet_gets_no_advice() {
    assert!(!seen(Some("NO_SOCKET"), "tcp_v4_rcv", "", "tcp").explanation.remedy.is_empty());
    assert!(seen(Some("NO_SOCKET"), "tcp_v4_rcv", "", "tcp rst").explanation.remedy.is_empty());
    assert!(seen(Some("NOT_SPECIFIED"), "icmpv6_rcv", "", "icmp6").explanation.remedy.is_empty());
}

#[test]
fn neighbour_discovery_and_arp_behind_a_firewall_are_problems() {
    for (kind, severity) in [
        ("ns", Severity::Problem),
        ("arp", Severity::Problem),
        ("mld", Severity::Expected),
        ("udp broadcast", Severity::Expected),
        ("udp", Severity::Problem),
    ] {
        assert_eq!(seen(Some("NETFILTER_DROP"), "nft_do_chain", "ip6_input", kind).severity, severity, "{kind}");
    }
}

#[test]
fn a_bridge_that_sends_its_own_packet_is_at_output() {
    let own = seen(Some("NETFILTER_DROP"), "nft_do_chain", "__br_forward br_dev_xmit dev_hard_start_xmit", "udp");
    assert_eq!(own.hook, Hook::Output);
    let passing = "__br_forward br_handle_frame_finish br_handle_frame __dev_queue_xmit br_dev_xmit";
    assert_eq!(seen(Some("NETFILTER_DROP"), "nft_do_chain", passing, "udp").hook, Hook::Forward);
}

#[test]
fn commands_enter_the_namespace() {
    let drop = Observation {
        reason: Some("NO_SOCKET"),
        location: Some("tcp_v4_rcv"),
        netns_entry: Some("nsenter --net=/run/netns/wd-s"),
        ..packet("tcp")
    };
    let remedy = judge(&drop).explanation.remedy;
    assert_eq!(remedy[0], "nsenter --net=/run/netns/wd-s ss -lnp '( sport = :81 )'");
}

/// Words that mean something here and some that mean nothing, combined without sense.
#[test]
fn any_combination_of_words_is_judged() {
    const WORDS: &[&str] = &[
        "",
        ".",
        "+",
        "{",
        "}",
        "{ns}",
        "NETFILTER_DROP",
        "NOT_SPECIFIED",
        "UNKNOWN",
        "QDISC_DROP",
        "nft_do_chain",
        "nf_hook_slow",
        "ip_rcv",
        "ip_forward",
        "br_",
        "__br_forward",
        "tcp_v4_rcv",
        "ip_error",
        "\u{1F980}.x",
        "*",
    ];
    let kinds = ["tcp", "udp", "ns", "arp", "local", "udp multicast", "otherhost6", "tcp cut"];
    for (i, reason) in WORDS.iter().enumerate() {
        for (j, location) in WORDS.iter().enumerate() {
            let stack = [WORDS[(i * 7 + j) % WORDS.len()], WORDS[(i + j * 11) % WORDS.len()], location];
            let drop = Observation {
                reason: (i > 0).then_some(*reason),
                location: (j > 0).then_some(*location),
                stack: &stack,
                interface: Some(reason),
                ..packet(kinds[(i + j) % kinds.len()])
            };
            let seen = judge(&drop);
            assert!(!seen.explanation.summary.is_empty() && !seen.severity_why.is_empty());
            assert!(seen.explanation.evidence.iter().all(|fact| !fact.is_empty()));
        }
    }
}

type Place = (&'static str, &'static str, &'static str, Option<&'static str>, Option<Topic>);

/// Places of a kernel without reasons where only the node's state tells the rest: place, caller, packet; derived reason,
/// what is read.
const READ: &[Place] = &[
    ("ip_error", "ip_rcv_finish_core", "udp", Some("IP_INNOROUTES"), Some(Topic::Route)),
    ("dst_discard_out", "", "udp6", None, Some(Topic::Route)),
    ("ip6_pkt_drop", "ip6_pkt_discard", "udp6", Some("IP_INNOROUTES"), Some(Topic::Route)),
    ("__ip_queue_xmit", "__tcp_transmit_skb", "tcp ack", Some("IP_OUTNOROUTES"), Some(Topic::Route)),
    ("ip_forward", "ip_rcv", "udp ttl", Some("IP_INHDR"), Some(Topic::Route)),
    ("ip_forward", "ip_rcv", "udp", Some("PKT_TOO_BIG"), Some(Topic::Mtu)),
    ("ip6_forward", "ip6_rcv_finish", "udp6", Some("PKT_TOO_BIG"), Some(Topic::Mtu)),
    ("ip6_forward", "ip6_rcv_finish", "udp6 short", Some("IP_INADDRERRORS"), Some(Topic::Route)),
    ("ip_rcv_finish_core.isra.0", "ip_rcv_finish", "udp", Some("IP_RPFILTER"), Some(Topic::ReversePath)),
    ("ip_rcv_finish", "ip_rcv", "udp", Some("IP_RPFILTER"), Some(Topic::ReversePath)),
    ("ip_rcv_finish_core.isra.0", "ip_rcv_finish", "udp multicast", None, None),
    ("tcp_v4_rcv", "ip_protocol_deliver_rcu", "tcp", Some("NO_SOCKET"), Some(Topic::Socket)),
    ("__udp6_lib_rcv", "ip6_protocol_deliver_rcu", "udp6", Some("NO_SOCKET"), Some(Topic::Socket)),
    ("udp_queue_rcv_one_skb", "udp_queue_rcv_skb", "udp", Some("SOCKET_RCVBUFF"), Some(Topic::Socket)),
    ("neigh_invalidate", "neigh_timer_handler", "icmp", Some("NEIGH_FAILED"), Some(Topic::Neighbour)),
    ("__neigh_event_send", "neigh_resolve_output", "udp", Some("NEIGH_QUEUEFULL"), Some(Topic::Neighbour)),
    ("ip_finish_output2", "ip_output", "udp", Some("NEIGH_CREATEFAIL"), Some(Topic::Neighbour)),
    ("veth_xmit", "dev_hard_start_xmit", "icmp", Some("PKT_TOO_BIG"), Some(Topic::Mtu)),
    ("ip_expire", "call_timer_fn", "udp", Some("FRAG_REASM_TIMEOUT"), Some(Topic::Fragment)),
    ("ip6_frag_expire", "call_timer_fn", "udp6", Some("FRAG_REASM_TIMEOUT"), Some(Topic::Fragment)),
    ("__netif_receive_skb_core.constprop.0", "", "udp", Some("TC_INGRESS"), Some(Topic::Program)),
    ("veth_xdp_rcv_skb", "veth_xdp_rcv", "udp", Some("XDP"), Some(Topic::Program)),
    ("kfree_skb_list", "__dev_queue_xmit", "udp", Some("QDISC_DROP"), Some(Topic::Qdisc)),
    ("kfree_skb_list", "__dev_queue_xmit", "arp", Some("QDISC_DROP"), Some(Topic::Qdisc)),
    ("kfree_skb_list", "skb_release_data", "udp", None, None),
    ("kfree_skb_list", "ip_do_fragment", "udp", None, None),
    ("__dev_queue_xmit", "ip_finish_output2", "udp", Some("TC_EGRESS"), Some(Topic::Program)),
    ("drop_func", "fq_codel_dequeue", "udp", Some("QDISC_CONGESTED"), None),
    ("tun_net_xmit", "dev_hard_start_xmit", "udp", Some("FULL_RING"), Some(Topic::Device)),
    ("enqueue_to_backlog", "netif_rx_internal", "udp", Some("CPU_BACKLOG"), Some(Topic::Device)),
    ("vxlan_rcv", "udp_queue_rcv_one_skb", "udp", Some("VXLAN_VNI_NOT_FOUND"), Some(Topic::Device)),
    ("vxlan_xmit", "dev_hard_start_xmit", "udp", Some("NO_TX_TARGET"), Some(Topic::Device)),
    ("vxlan_xmit", "dev_hard_start_xmit", "mld", None, None),
    ("br_handle_frame", "__netif_receive_skb_core", "udp", Some("BRIDGE_INGRESS_STP_STATE"), Some(Topic::Device)),
    ("br_handle_frame_finish", "br_handle_frame", "udp", None, Some(Topic::Device)),
    ("br_handle_frame_finish", "br_handle_frame", "udp multicast", None, None),
];

#[test]
fn the_place_alone_says_what_is_to_be_read() {
    for (location, caller, kind, derived, topic) in READ {
        let stack = [location, caller].map(|frame| *frame);
        let drop = Observation { location: Some(location), stack: &stack, ..packet(kind) };
        let seen = judge(&drop);
        let read = wanted(&drop);
        assert_eq!(seen.derived, *derived, "{location} {caller} {kind}: {seen:#?}");
        assert_eq!(read, topic.map(Wanted::State), "{location} {caller} {kind}: {seen:#?}");
        assert_ne!(seen.explanation.confidence, Confidence::Certain, "{location}: a place is no proof");
    }
}

/// What was read of the node may decide what the place left open, and the reason stays marked as derived.
#[test]
fn the_state_decides_what_the_place_left_open() {
    let link = device::Link { name: "c0".into(), is_up: true, has_carrier: true, ..device::Link::default() };
    let counters = qdisc::Counters { drops: 3, ..qdisc::Counters::default() };
    let bucket = qdisc::Queue {
        kind: "tbf".into(),
        parent: u32::MAX,
        handle: 0x8001_0000,
        counters,
        rose: Some(2),
        ..qdisc::Queue::default()
    };
    let of = |link: device::Link| {
        let facts = qdisc::Qdisc { link: Some(link), queues: vec![bucket.clone()], ..qdisc::Qdisc::default() };
        State { read: std::time::SystemTime::UNIX_EPOCH, facts: Facts::Qdisc(Box::new(facts)), unknown: Vec::new() }
    };
    let judged = |state: &State| {
        let stack = ["kfree_skb_list", "__dev_queue_xmit"];
        judge(&Observation { location: Some("kfree_skb_list"), stack: &stack, state: Some(state), ..packet("udp") })
    };
    let full = judged(&of(link.clone()));
    assert_eq!((full.derived, full.explanation.confidence), (Some("QDISC_DROP"), Confidence::Certain));
    assert!(full.explanation.summary.starts_with("the tbf qdisc 8001: of c0"));
    assert!(full.explanation.evidence[0].starts_with("this kernel gives no drop reason"));
}
