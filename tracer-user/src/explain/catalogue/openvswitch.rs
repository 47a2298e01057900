//! Open vSwitch (`enum ovs_drop_reason`, Linux 6.6 and newer): OVN-Kubernetes, Antrea, kube-ovn.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Expected, Problem};

const FLOWS: &str = "ovs-appctl dpctl/dump-flows -m";
const TRACE: &str = "ovs-appctl ofproto/trace BRIDGE FLOW";

/// An entry of this group.
const fn entry(name: &'static str, meaning: &'static str, usual: &'static str, cause: Cause) -> ReasonEntry {
    ReasonEntry {
        name,
        meaning,
        usual_cause: usual,
        severity: Problem,
        severity_why: "the virtual switch refused a packet that somebody sent",
        cause,
        remedy: &[FLOWS, TRACE],
    }
}

pub(super) const GROUP: Group = Group {
    title: "Open vSwitch",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            severity: Expected,
            severity_why: "a flow without an output is how a virtual switch ignores a packet",
            ..entry(
                "OVS_DROP_LAST_ACTION",
                "its flow ends without an output",
                "The flow tables say drop in this way; a network policy of OVN-Kubernetes or Antrea may be behind it",
                Cause::Unknown,
            )
        },
        entry(
            "OVS_DROP_ACTION_ERROR",
            "an action of its flow failed",
            "A broken flow, or memory ran out",
            Cause::Device,
        ),
        entry(
            "OVS_DROP_EXPLICIT",
            "its flow says drop",
            "A network policy or an access list of the virtual network",
            Cause::Unknown,
        ),
        entry(
            "OVS_DROP_EXPLICIT_WITH_ERROR",
            "its flow says drop because of an error",
            "The switch could not translate the flow tables (a loop, too many steps)",
            Cause::Device,
        ),
        entry("OVS_DROP_METER", "a meter of the virtual switch dropped it", "A rate limit (QoS)", Cause::Qdisc),
        entry(
            "OVS_DROP_RECURSION_LIMIT",
            "it went through the flow tables too many times",
            "Flows that send it round in a circle",
            Cause::Device,
        ),
        entry(
            "OVS_DROP_DEFERRED_LIMIT",
            "too many of its actions were put off",
            "Flows with very many clones or recirculations",
            Cause::Device,
        ),
        entry(
            "OVS_DROP_FRAG_L2_TOO_LONG",
            "it could not be fragmented because its link header is too long",
            "Many VLAN or MPLS tags on a packet above the MTU",
            Cause::Mtu,
        ),
        entry(
            "OVS_DROP_FRAG_INVALID_PROTO",
            "it is above the MTU and not an IP packet",
            "A frame that cannot be fragmented",
            Cause::Mtu,
        ),
        entry(
            "OVS_DROP_CONNTRACK",
            "connection tracking of the virtual switch failed",
            "The connection table or a zone limit is full, or the packet is invalid",
            Cause::Unknown,
        ),
        entry(
            "OVS_DROP_IP_TTL",
            "its TTL or hop limit is used up",
            "A routing loop in the virtual network",
            Cause::Ttl,
        ),
    ],
};
