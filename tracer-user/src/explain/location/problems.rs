//! Places where a shared or missing reason means a particular failure.

use super::{NOT_SPECIFIED, Place, ROW, UNKNOWN};
use crate::event::Severity::{Expected, Problem};
use crate::event::{Cause, Confidence};
use crate::explain::observation::{Segment, UDP};

const ROUTES: &[&str] = &["{ns}{ip} route get {destination}", "{ns}{ip} rule show", "{ns}{ip} route show table all"];
const LOOP: &[&str] = &[
    "{ns}{ip} route get {destination}",
    "{ns}tracepath -n {destination}",
    "look for two routers that send it to each other",
];
const BRIDGE: &[&str] =
    &["{ns}bridge -d link show", "{ns}bridge vlan show", "{ns}bridge fdb show", "{ns}ip -d link show dev {interface}"];

pub(super) const PLACES: &[Place] = &[
    Place {
        locations: "nf_queue __nf_queue",
        says: "a firewall rule hands it to a program (NFQUEUE) that does not take it",
        like: Some("NETFILTER_DROP"),
        cause: Some(Cause::NetfilterRule),
        remedy: Some(&["{ns}cat /proc/net/netfilter/nfnetlink_queue"]),
        ..ROW
    },
    Place {
        reasons: &["IP_INHDR"],
        locations: "ip_forward ip6_forward",
        only: "UDP to a port that traceroute uses",
        when: |drop| drop.protocol == Some(UDP) && matches!(drop.destination_port, Some(33_434..=33_534)),
        says: "the TTL of a traceroute probe to {destination} is used up here",
        cause: Some(Cause::Ttl),
        severity: Some((Expected, "this is how traceroute finds its way")),
        remedy: Some(LOOP),
        ..ROW
    },
    Place {
        reasons: &["IP_INHDR"],
        locations: "ip_forward ip6_forward",
        says: "the TTL of a packet to {destination} is used up here",
        cause: Some(Cause::Ttl),
        severity: Some((Problem, "packets go in a circle, or their way is too long; traceroute does it on purpose")),
        remedy: Some(LOOP),
        ..ROW
    },
    Place {
        reasons: &[UNKNOWN],
        locations: "ip_error",
        says: "it cannot be forwarded to {destination}: no route, a route that rejects it, or forwarding is off",
        like: Some("IP_INNOROUTES"),
        confidence: Confidence::Inferred,
        remedy: Some(&[
            "{ns}{ip} route get {destination}",
            "{ns}sysctl net.ipv4.ip_forward net.ipv4.conf.{conf}.forwarding",
            "{ns}{ip} rule show",
        ]),
        ..ROW
    },
    Place {
        locations: "ip_error",
        says: "a route or rule rejects {destination}: blackhole, unreachable or prohibit",
        cause: Some(Cause::RouteReject),
        severity: Some((Problem, "the routing table refuses packets to this destination")),
        remedy: Some(ROUTES),
        ..ROW
    },
    Place {
        locations: "dst_discard dst_discard_out",
        says: "a blackhole route swallows packets to {destination}, or their route was just removed",
        cause: Some(Cause::RouteReject),
        severity: Some((Problem, "the routing table refuses packets to this destination")),
        remedy: Some(ROUTES),
        ..ROW
    },
    Place {
        reasons: &["IP_INNOROUTES", "IP_OUTNOROUTES"],
        locations: "ip6_pkt_prohibit ip6_pkt_prohibit_out",
        says: "a route or rule prohibits {destination}",
        cause: Some(Cause::RouteReject),
        severity: Some((Problem, "the routing table refuses packets to this destination")),
        remedy: Some(ROUTES),
        ..ROW
    },
    Place {
        reasons: &["IP_INNOROUTES", "IP_OUTNOROUTES"],
        locations: "ip6_pkt_drop",
        only: "called by ip6_pkt_prohibit",
        when: |drop| drop.called_by("ip6_pkt_prohibit") || drop.called_by("ip6_pkt_prohibit_out"),
        says: "a route or rule prohibits {destination}",
        cause: Some(Cause::RouteReject),
        severity: Some((Problem, "the routing table refuses packets to this destination")),
        remedy: Some(ROUTES),
        ..ROW
    },
    Place {
        reasons: &["IP_INNOROUTES", "IP_OUTNOROUTES"],
        locations: "ip6_pkt_discard ip6_pkt_discard_out ip6_pkt_drop",
        says: "no route leads to {destination}, or an unreachable route stands in its place",
        like: Some("IP_INNOROUTES"),
        ..ROW
    },
    Place {
        reasons: &["IP_INADDRERRORS"],
        locations: "ip_error",
        says: "{interface} does not forward, and {destination} is not an address of this machine",
        like: Some("IP_INADDRERRORS"),
        ..ROW
    },
    Place {
        reasons: &["IP_INADDRERRORS", NOT_SPECIFIED],
        locations: "ip6_forward",
        says: "{destination} is not an address of this machine, and IPv6 forwarding is off or its source stays on its link",
        like: Some("IP_INADDRERRORS"),
        ..ROW
    },
    Place {
        locations: "neigh_invalidate arp_error_report ndisc_error_report ipv4_link_failure",
        says: "the next hop towards {destination} did not answer ARP or neighbour discovery",
        like: Some("NEIGH_FAILED"),
        ..ROW
    },
    Place {
        reasons: &["QDISC_DROP"],
        locations: "__dev_queue_xmit __tcf_kfree_skb_list kfree_skb_list kfree_skb_list_reason",
        only: "ARP and neighbour discovery",
        when: |drop| drop.is_arp() || drop.is_neighbour_discovery(),
        says: "the question for the next hop's address could not leave {interface}: its link or its peer is down",
        like: Some("QDISC_DROP"),
        ..ROW
    },
    Place {
        locations: "veth_xdp_rcv_skb veth_xdp_rcv_one do_xdp_generic netif_receive_generic_xdp bpf_prog_run_generic_xdp",
        says: "the XDP program of {interface} dropped it",
        like: Some("XDP"),
        ..ROW
    },
    Place {
        reasons: &[NOT_SPECIFIED],
        locations: "__dev_forward_skb2 __dev_forward_skb",
        only: "ARP and neighbour discovery",
        when: |drop| drop.is_arp() || drop.is_neighbour_discovery(),
        says: "the other end of {interface} is down, so it could not take the question for the next hop's address",
        cause: Some(Cause::Device),
        severity: Some((Problem, "the other end of a virtual link is down, so nothing gets through")),
        remedy: Some(&["{ns}ip -d link show dev {interface}", "bring the other end up, in the namespace where it is"]),
        ..ROW
    },
    Place {
        reasons: &[NOT_SPECIFIED, "PKT_TOO_BIG"],
        locations: "__dev_forward_skb2 __dev_forward_skb veth_xmit veth_forward_skb bpf_dev_redirect",
        says: "it does not fit through the other end of {interface}, whose MTU is smaller",
        cause: Some(Cause::Mtu),
        severity: Some((Problem, "the two ends of a virtual link have different MTUs, so large packets are lost")),
        remedy: Some(&["{ns}ip -d link show dev {interface}", "give both ends of the virtual link the same MTU"]),
        ..ROW
    },
    Place {
        locations: "netkit_xmit",
        says: "the BPF program of netkit device {interface} dropped it, or its other end is down",
        like: Some("TC_EGRESS"),
        confidence: Confidence::Inferred,
        ..ROW
    },
    Place {
        locations: "skb_do_redirect __bpf_redirect bpf_clone_redirect",
        says: "a BPF program sent it to an interface that does not take it",
        like: Some("TC_INGRESS"),
        ..ROW
    },
    Place {
        locations: "ip_rcv_finish_core ip_rcv_finish ip_route_input_noref",
        says: "the route check refused its source {source} on {interface}, or its IP options",
        cause: Some(Cause::ReversePath),
        confidence: Confidence::Inferred,
        severity: Some((Problem, "packets like this one cannot arrive by this interface")),
        remedy: Some(&[
            "{ns}{ip} route get {source}",
            "{ns}sysctl net.ipv4.conf.{conf}.log_martians net.ipv4.conf.{conf}.accept_source_route",
        ]),
        ..ROW
    },
    Place {
        locations: "ip_defrag ip_frag_queue ip6_frag_queue ipv6_frag_rcv nf_ct_frag6_gather inet_frag_queue_flush \
             inet_frag_destroy inet_frag_rbtree_purge",
        says: "its fragments overlap or contradict each other",
        cause: Some(Cause::Checksum),
        severity: Some((Problem, "fragmented packets of this flow do not arrive whole")),
        remedy: Some(&["{ns}nstat -az IpReasmFails Ip6ReasmFails", "{ns}tcpdump -nevi {interface} host {source}"]),
        ..ROW
    },
    Place {
        locations: "tcp_v4_rcv tcp_v6_rcv",
        only: "a SYN",
        when: |drop| drop.tcp() == Some(Segment::Open),
        says: "a new connection to {to} met the remains of an old one with the same ports",
        cause: Some(Cause::Unknown),
        severity: Some((Problem, "the connection attempt is delayed or fails")),
        remedy: Some(&[
            "{ns}ss -tan state time-wait '( sport = :{dport} )'",
            "give the client or its NAT more addresses or ports",
        ]),
        ..ROW
    },
    Place {
        // A wrong cookie has a reason of its own; this is a right one whose connection found no room.
        reasons: &["NO_SOCKET"],
        locations: "cookie_v4_check cookie_v6_check",
        says: "the accept queue of the listener {to} is full: it answered with a SYN cookie, and cannot take the connection",
        like: Some("TCP_LISTEN_OVERFLOW"),
        ..ROW
    },
    Place {
        locations: "tcp_v4_rcv tcp_v6_rcv",
        only: "a segment whose header is cut off",
        when: |drop| drop.tcp_flags.is_none(),
        says: "its TCP header is cut off",
        like: Some("PKT_TOO_SMALL"),
        ..ROW
    },
    Place {
        locations: "ipv6_parse_hopopts ip6_parse_tlv ipv6_destopt_rcv ipv6_srh_rcv",
        says: "one of its IPv6 extension headers is wrong",
        like: Some("IPV6_BAD_EXTHDR"),
        ..ROW
    },
    Place {
        locations: "br_* __br_*",
        says: "the bridge may not send it on: the port is isolated, locked or disabled, its VLAN is not allowed, or it \
               came from there (hairpin is off)",
        cause: Some(Cause::Device),
        severity: Some((Problem, "the bridge does not let these two ports talk")),
        remedy: Some(BRIDGE),
        ..ROW
    },
    Place {
        reasons: &["IP_OUTNOROUTES", NOT_SPECIFIED],
        locations: "__ip_queue_xmit ip_queue_xmit inet6_csk_xmit",
        says: "the route of a live connection to {destination} is gone",
        like: Some("IP_OUTNOROUTES"),
        ..ROW
    },
    Place {
        locations: "vxlan_rcv geneve_rcv geneve_udp_encap_recv",
        says: "the tunnel device cannot use it: its header or network number is not the expected one",
        like: Some("VXLAN_VNI_NOT_FOUND"),
        confidence: Confidence::Inferred,
        ..ROW
    },
    Place {
        locations: "vxlan_xmit vxlan_xmit_one geneve_xmit",
        says: "the tunnel device does not know where to send it, or has no route there",
        like: Some("NO_TX_TARGET"),
        confidence: Confidence::Inferred,
        ..ROW
    },
    Place {
        locations: "ip_fragment ip_do_fragment ip6_fragment",
        says: "it is larger than the link to {destination} takes and could not be fragmented",
        like: Some("PKT_TOO_BIG"),
        ..ROW
    },
    Place {
        locations: "xfrm_* __xfrm_* xfrm4_* xfrm6_* esp_* esp6_* ah_*",
        says: "IPsec could not process it",
        like: Some("XFRM_POLICY"),
        remedy: Some(&["{ns}cat /proc/net/xfrm_stat", "{ns}ip xfrm policy show", "{ns}ip xfrm state show"]),
        ..ROW
    },
];
