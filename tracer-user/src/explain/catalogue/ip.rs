//! IPv4 input and forwarding, routes, fragments. Several names serve IPv6 as well.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Expected, Noise, Problem};

const MARTIANS: &str = "{ns}sysctl net.ipv4.conf.{conf}.log_martians";
const ROUTE_BACK: &str = "{ns}{ip} route get {source}";
const ROUTE_THERE: &str = "{ns}{ip} route get {destination}";
const CAPTURE: &str = "{ns}tcpdump -nevi {interface} host {source}";

pub(super) const GROUP: Group = Group {
    title: "IP, routing and fragments",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "IP_RPFILTER",
            meaning: "the reverse-path filter refused the source address on this interface",
            usual_cause: "rp_filter is on and the route back to the source leaves by another interface: two uplinks, \
                          policy routing, a pod network reached by a second path, or a forged source",
            severity: Problem,
            severity_why: "packets from this source can never arrive by this interface",
            cause: Cause::ReversePath,
            remedy: &[
                ROUTE_BACK,
                "{ns}sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{conf}.rp_filter",
                "add the missing route back, or relax the check: {ns}sysctl -w net.ipv4.conf.{conf}.rp_filter=2",
            ],
        },
        ReasonEntry {
            name: "IP_LOCAL_SOURCE",
            meaning: "it came from outside with this machine's own address as its source",
            usual_cause: "The address is used twice in the network, a packet was reflected, or traffic between two \
                          interfaces of this machine needs accept_local",
            severity: Problem,
            severity_why: "an address is in use twice, or traffic comes back to its sender",
            cause: Cause::ReversePath,
            remedy: &[
                "{ns}ip -br addr show",
                "{ns}arping -D -I {interface} {source}",
                "{ns}sysctl net.ipv4.conf.{conf}.accept_local",
            ],
        },
        ReasonEntry {
            name: "IP_INVALID_SOURCE",
            meaning: "its source address can never be a source: multicast, broadcast or zero",
            usual_cause: "A broken or misconfigured sender, a host that has no address yet, or a forged packet",
            severity: Problem,
            severity_why: "the sender uses an address that nobody can answer",
            cause: Cause::ReversePath,
            remedy: &[CAPTURE, MARTIANS],
        },
        ReasonEntry {
            name: "IP_LOCALNET",
            meaning: "an address of 127.0.0.0/8 came from outside",
            usual_cause: "A rule translates to 127.0.0.1 without route_localnet, as some host ports and node ports do, \
                          or somebody forges packets",
            severity: Problem,
            severity_why: "loopback addresses do not travel unless route_localnet says so",
            cause: Cause::ReversePath,
            remedy: &["{ns}sysctl net.ipv4.conf.all.route_localnet net.ipv4.conf.{conf}.route_localnet", CAPTURE],
        },
        ReasonEntry {
            name: "IP_INVALID_DEST",
            meaning: "its destination address is no place to send to: zero, or a route of no use here",
            usual_cause: "A broken or misconfigured sender",
            severity: Problem,
            severity_why: "the packet can reach nobody",
            cause: Cause::NoRoute,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IP_INNOROUTES",
            meaning: "no route leads to the destination",
            usual_cause: "The pod or service network has no route on this node, the default route is gone, or the \
                          destination does not exist",
            severity: Problem,
            severity_why: "packets to this destination cannot be forwarded",
            cause: Cause::NoRoute,
            remedy: &[ROUTE_THERE, "{ns}{ip} route show", "{ns}{ip} rule show"],
        },
        ReasonEntry {
            name: "IP_INADDRERRORS",
            meaning: "it is not for this machine, and this interface does not forward",
            usual_cause: "Forwarding is off, or the destination address was removed while packets still come",
            severity: Problem,
            severity_why: "packets that should be forwarded end here",
            cause: Cause::NoRoute,
            remedy: &[
                "{ns}sysctl net.{family}.conf.all.forwarding net.{family}.conf.{conf}.forwarding",
                "{ns}ip -br addr show",
                ROUTE_THERE,
            ],
        },
        ReasonEntry {
            name: "IP_OUTNOROUTES",
            meaning: "this machine has no route for a packet that it sends itself",
            usual_cause: "A route or address was removed under a live connection or tunnel",
            severity: Problem,
            severity_why: "a local program or tunnel cannot send",
            cause: Cause::NoRoute,
            remedy: &[ROUTE_THERE, "{ns}{ip} route show", "{ns}ip -br addr show"],
        },
        ReasonEntry {
            name: "IP_INHDR",
            meaning: "its IP header is wrong",
            usual_cause: "A damaged or forged packet; when forwarding, a TTL or hop limit that is used up",
            severity: Problem,
            severity_why: "the packet cannot be read",
            cause: Cause::Checksum,
            remedy: &["{ns}nstat -az IpInHdrErrors Ip6InHdrErrors", CAPTURE],
        },
        ReasonEntry {
            name: "IP_CSUM",
            meaning: "its IPv4 header checksum is wrong",
            usual_cause: "Broken checksum offload in a driver or tunnel, or memory or cable damage",
            severity: Problem,
            severity_why: "the packet was damaged on its way",
            cause: Cause::Checksum,
            remedy: &["{ns}nstat -az IpExtInCsumErrors", "{ns}ethtool -k {interface}", CAPTURE],
        },
        ReasonEntry {
            name: "IP_NOPROTO",
            meaning: "nothing here handles its IP protocol",
            usual_cause: "A tunnel or protocol (GRE, ESP, SCTP, IPIP) whose module is not loaded or not configured",
            severity: Problem,
            severity_why: "no protocol on this machine takes the packet",
            cause: Cause::NoSocket,
            remedy: &["{ns}nstat -az IpInUnknownProtos", "load or configure the protocol, or stop the sender"],
        },
        ReasonEntry {
            name: "OTHERHOST",
            meaning: "the frame was addressed to another machine's MAC address",
            usual_cause: "A bridge or switch floods frames, or the interface is promiscuous (a capture is running)",
            severity: Noise,
            severity_why: "a frame for another machine was flooded to this one",
            cause: Cause::Device,
            remedy: &["{ns}ip -d link show dev {interface}", "{ns}bridge fdb show", "{ns}ip neigh show {destination}"],
        },
        ReasonEntry {
            name: "UNICAST_IN_L2_MULTICAST",
            meaning: "a unicast IP packet came in a broadcast or multicast frame",
            usual_cause: "drop_unicast_in_l2_multicast is on, and a sender or access point uses broadcast frames",
            severity: Expected,
            severity_why: "the setting drop_unicast_in_l2_multicast asks for it",
            cause: Cause::Device,
            remedy: &["{ns}sysctl net.{family}.conf.{conf}.drop_unicast_in_l2_multicast"],
        },
        ReasonEntry {
            name: "INVALID_PROTO",
            meaning: "the protocol does not allow it here, such as an ICMP echo to a broadcast address",
            usual_cause: "A broadcast ping with icmp_echo_ignore_broadcasts on, or a forged packet",
            severity: Expected,
            severity_why: "the protocol says that such packets are ignored",
            cause: Cause::Unknown,
            remedy: &["{ns}sysctl net.ipv4.icmp_echo_ignore_broadcasts"],
        },
        ReasonEntry {
            name: "ICMP_CSUM",
            meaning: "its ICMP checksum is wrong",
            usual_cause: "Broken checksum offload in a driver or tunnel, or damage on the way",
            severity: Problem,
            severity_why: "the packet was damaged on its way",
            cause: Cause::Checksum,
            remedy: &["{ns}nstat -az IcmpInCsumErrors Icmp6InCsumErrors", "{ns}ethtool -k {interface}"],
        },
        ReasonEntry {
            name: "PKT_TOO_BIG",
            meaning: "it is larger than the next link takes and must not be fragmented",
            usual_cause: "A smaller MTU behind this hop (tunnel, VPN, overlay) and a sender that does not get, or \
                          ignores, the ICMP answer",
            severity: Problem,
            severity_why: "large packets to this destination are lost",
            cause: Cause::Mtu,
            remedy: &[
                "{ns}ip link show",
                "{ns}ping -M do -s 1372 {destination}",
                "let ICMP fragmentation-needed and packet-too-big through, or lower the sender's MTU",
            ],
        },
        ReasonEntry {
            name: "DUP_FRAG",
            meaning: "this fragment had already come",
            usual_cause: "The network duplicates packets, or a mirror or bridge shows them twice",
            severity: Expected,
            severity_why: "a copy of a fragment that is already here",
            cause: Cause::Mtu,
            remedy: &[
                "{ns}nstat -az IpReasmReqds IpReasmFails",
                "look for duplicated frames: a bridge loop, a mirror port",
            ],
        },
        ReasonEntry {
            name: "FRAG_REASM_TIMEOUT",
            meaning: "the other fragments never came in time",
            usual_cause: "One fragment was lost or filtered (firewalls and clouds often drop fragments), or paths are \
                          overloaded",
            severity: Problem,
            severity_why: "fragmented packets of this flow do not arrive whole",
            cause: Cause::Mtu,
            remedy: &[
                "{ns}nstat -az IpReasmTimeout IpReasmFails Ip6ReasmTimeout Ip6ReasmFails",
                "avoid fragments: lower the MTU or the datagram size of the sender",
            ],
        },
        ReasonEntry {
            name: "FRAG_TOO_FAR",
            meaning: "fragments of too many other packets came between those of this one",
            usual_cause: "Heavy fragmented traffic from one address, with more disorder than ipfrag_max_dist allows",
            severity: Problem,
            severity_why: "fragmented packets of this flow do not arrive whole",
            cause: Cause::Mtu,
            remedy: &["{ns}sysctl net.ipv4.ipfrag_max_dist", "avoid fragments: lower the MTU or the datagram size"],
        },
        ReasonEntry {
            name: "ARP_PVLAN_DISABLE",
            meaning: "proxy ARP would have answered on the interface where the question came from",
            usual_cause: "proxy_arp is on, proxy_arp_pvlan is not, and the asked address is reached by the same \
                          interface",
            severity: Expected,
            severity_why: "proxy ARP does not answer for neighbours of the asker unless proxy_arp_pvlan says so",
            cause: Cause::Neighbour,
            remedy: &["{ns}sysctl net.ipv4.conf.{conf}.proxy_arp net.ipv4.conf.{conf}.proxy_arp_pvlan"],
        },
    ],
};
