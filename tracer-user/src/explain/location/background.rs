//! Places that drop packets on a healthy machine.

use super::{NOT_SPECIFIED, Place, ROW};
use crate::event::Severity::{Expected, Noise};
use crate::event::{Cause, Confidence};
use crate::explain::observation::Segment;

pub(super) const PLACES: &[Place] = &[
    Place {
        locations: "unix_* __unix_* netlink_* __netlink_* virtio_transport_* vhost_transport_* vsock_* vmci_transport_* \
             scm_*",
        says: "a message between local sockets was thrown away",
        cause: Some(Cause::NoSocket),
        severity: Some((Noise, "local sockets, not the network")),
        ..ROW
    },
    Place {
        locations: "inet_sock_destruct sk_stream_kill_queues skb_queue_purge skb_queue_purge_reason __skb_queue_purge \
             udp_destruct_common udp_destruct_sock udpv6_destruct_sock __sk_destruct packet_release \
             packet_sock_destruct neigh_destroy tcp_write_queue_purge tcp_disconnect tun_queue_purge __tun_detach \
             tun_detach_all tap_queue_purge",
        says: "a queue was emptied because its socket, device or neighbour was removed",
        like: Some("QUEUE_PURGE"),
        ..ROW
    },
    Place {
        locations: "qdisc_reset pfifo_fast_reset rtnl_kfree_skbs __rtnl_unlock dev_deactivate_queue",
        says: "the queue of {interface} was emptied because the interface or its queueing discipline was changed",
        cause: Some(Cause::Qdisc),
        severity: Some((Expected, "queues are emptied when an interface goes down or its qdisc is replaced")),
        ..ROW
    },
    Place {
        // The kernel asks its tables with a packet made up for it (`inet_rtm_getroute_build_skb`, 4.18 to 7.2).
        locations: "inet_rtm_getroute inet6_rtm_getroute",
        says: "a program asked the kernel for a route to {destination} (as ip route get does), and there is none",
        cause: Some(Cause::NoRoute),
        severity: Some((Noise, "a question about a route, not a packet")),
        remedy: Some(&[]),
        ..ROW
    },
    Place {
        locations: "drop_func",
        says: "CoDel dropped it to keep the delay of {interface} low",
        like: Some("QDISC_CONGESTED"),
        ..ROW
    },
    Place {
        locations: "ip_rcv_finish_core ip_rcv_finish ip_sublist_rcv ip_list_rcv",
        only: "multicast or broadcast",
        when: |drop| drop.is_multicast(),
        says: "nobody on this machine asked for the multicast to {destination}",
        cause: Some(Cause::NoSocket),
        severity: Some((Noise, "multicast that nobody on this machine asked for")),
        ..ROW
    },
    Place {
        locations: "ip6_mc_input",
        says: "nobody on this machine asked for the multicast to {destination}",
        cause: Some(Cause::NoSocket),
        severity: Some((Noise, "multicast that nobody on this machine asked for")),
        ..ROW
    },
    Place {
        locations: "__udp4_lib_rcv __udp6_lib_rcv udp_rcv udpv6_rcv __udp4_lib_mcast_deliver __udp6_lib_mcast_deliver",
        only: "multicast or broadcast",
        when: |drop| drop.is_multicast(),
        says: "no program on this machine listens for the broadcast or multicast {to}",
        cause: Some(Cause::NoSocket),
        severity: Some((Noise, "broadcast or multicast that no program on this machine asked for")),
        ..ROW
    },
    Place {
        // With a whole header only the delivery of a broadcast frees without a reason there (`__udp4_lib_mcast_deliver`,
        // mostly inlined), also where the frame itself was sent to this machine alone: a router and its other subnet.
        locations: "__udp4_lib_rcv",
        only: "IPv4 to an address that ends in 255",
        when: |drop| drop.is_subnet_broadcast() && drop.destination_port.is_some(),
        says: "no program on this machine listens for the broadcast {to}",
        cause: Some(Cause::NoSocket),
        confidence: Confidence::Inferred,
        severity: Some((Noise, "broadcast or multicast that no program on this machine asked for")),
        ..ROW
    },
    Place {
        reasons: &["NO_SOCKET", NOT_SPECIFIED],
        locations: "ping_rcv",
        says: "an echo reply came that no ping socket waited for: its ping had ended, or took the reply by a raw socket",
        cause: Some(Cause::NoSocket),
        severity: Some((Noise, "an answer that nobody waits for any more")),
        remedy: Some(&[]),
        ..ROW
    },
    Place {
        reasons: &[NOT_SPECIFIED],
        locations: "tcp_rcv_state_process",
        only: "a TCP segment that opens no connection",
        when: |drop| matches!(drop.tcp(), Some(Segment::Other | Segment::Close)),
        says: "an acknowledgement did its work while a connection opened or closed, and is thrown away",
        cause: Some(Cause::Unknown),
        severity: Some((Noise, "the kernel drops an acknowledgement that leaves nothing to queue")),
        remedy: Some(&[]),
        ..ROW
    },
    Place {
        locations: "tcp_v4_rcv tcp_v6_rcv",
        only: "a TCP segment that opens no connection, or one that was only counted",
        // Of a packet that was looked at, the TTL is known.
        when: |drop| drop.tcp().map_or(drop.ttl.is_none(), |segment| segment != Segment::Open),
        says: "a late segment of a connection that has ended, or the last step of a handshake into a full accept queue",
        cause: Some(Cause::NoSocket),
        // Kernels up to 6.12 give no reason for a full accept queue either, so it is not called noise.
        severity: Some((Expected, "connections leave late segments behind (time-wait)")),
        ..ROW
    },
    Place {
        locations: "br_* __br_* vxlan_xmit vxlan_xmit_one",
        only: "multicast or broadcast",
        when: |drop| drop.is_multicast(),
        says: "a broadcast or multicast frame had no further port to go to",
        cause: Some(Cause::Device),
        severity: Some((Noise, "broadcast and multicast end where nobody else is to get them")),
        ..ROW
    },
    Place {
        locations: "arp_process arp_rcv",
        says: "an ARP message that is of no use here",
        cause: Some(Cause::Neighbour),
        severity: Some((Expected, "ARP messages are broadcast, and most are for others")),
        ..ROW
    },
    Place {
        reasons: &[NOT_SPECIFIED],
        locations: "icmpv6_rcv",
        only: "neighbour discovery",
        when: |drop| drop.is_neighbour_discovery(),
        says: "a neighbour message was handled, and freed like a drop",
        cause: Some(Cause::Neighbour),
        severity: Some((Noise, "kernels before 6.3 free every neighbour message this way")),
        remedy: Some(&[]),
        ..ROW
    },
    Place {
        locations: "icmpv6_rcv icmp_rcv igmp_rcv",
        says: "an ICMP message that this machine does not use",
        cause: Some(Cause::NoSocket),
        severity: Some((Expected, "ICMP messages of unknown kinds are ignored")),
        ..ROW
    },
    Place {
        reasons: &["PKT_TOO_SMALL"],
        locations: "icmpv6_rcv icmp_rcv",
        says: "an ICMP message that quotes too little of the packet it is about",
        cause: Some(Cause::Checksum),
        severity: Some((Expected, "an ICMP answer that cannot be matched to a connection")),
        ..ROW
    },
    Place {
        locations: "ipv6_rthdr_rcv",
        says: "it carries an IPv6 routing header that is not accepted",
        cause: Some(Cause::Unknown),
        severity: Some((Expected, "routing headers are refused unless seg6_enabled or similar says otherwise")),
        remedy: Some(&["{ns}sysctl net.ipv6.conf.{conf}.accept_source_route net.ipv6.conf.{conf}.seg6_enabled"]),
        ..ROW
    },
    Place {
        locations: "packet_rcv tpacket_rcv packet_rcv_spkt",
        says: "a capture could not take its copy",
        like: Some("PACKET_SOCK_ERROR"),
        ..ROW
    },
];
