//! VXLAN and other tunnels.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::Problem;

const VXLAN: &str = "{ns}ip -d link show type vxlan";
const FDB: &str = "{ns}bridge fdb show";

pub(super) const GROUP: Group = Group {
    title: "Tunnels",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "VXLAN_INVALID_HDR",
            meaning: "its VXLAN header is wrong",
            usual_cause: "The sender uses an extension (GBP, GPE) that this device does not, or it is not VXLAN at all",
            severity: Problem,
            severity_why: "the two ends of the overlay do not speak the same VXLAN",
            cause: Cause::Checksum,
            remedy: &[VXLAN, "{ns}tcpdump -nvi {interface} udp port {dport}"],
        },
        ReasonEntry {
            name: "VXLAN_VNI_NOT_FOUND",
            meaning: "no VXLAN device here has its network number",
            usual_cause: "Nodes of two overlays share a port, or the device of this overlay is missing on this node",
            severity: Problem,
            severity_why: "overlay traffic comes to a node that does not carry this overlay",
            cause: Cause::Device,
            remedy: &[VXLAN, "{ns}tcpdump -nvi {interface} udp port {dport}"],
        },
        ReasonEntry {
            name: "VXLAN_ENTRY_EXISTS",
            meaning: "its source MAC address belongs to another node by a fixed entry",
            usual_cause: "Two machines use one MAC address, a pod moved, or somebody forges frames",
            severity: Problem,
            severity_why: "a MAC address is in use in two places",
            cause: Cause::Device,
            remedy: &[FDB, VXLAN],
        },
        ReasonEntry {
            name: "LOCAL_MAC",
            meaning: "it came from outside with this device's own MAC address as its source",
            usual_cause: "A loop in the overlay, or two devices with one MAC address",
            severity: Problem,
            severity_why: "a MAC address is in use twice, or traffic comes back to its sender",
            cause: Cause::Device,
            remedy: &["{ns}ip -br link show", FDB],
        },
        ReasonEntry {
            name: "IP_TUNNEL_ECN",
            meaning: "the congestion mark of the outer header contradicts the inner one",
            usual_cause: "A router marks tunnel packets whose content does not understand marks (RFC 6040)",
            severity: Problem,
            severity_why: "tunnel packets that were marked on the way are lost",
            cause: Cause::Checksum,
            remedy: &[VXLAN, "find the router that marks packets without ECN"],
        },
        ReasonEntry {
            name: "TUNNEL_TXINFO",
            meaning: "it reached a tunnel in external mode without tunnel metadata",
            usual_cause: "A route or bridge sends plain traffic to a device that a CNI or Open vSwitch is to steer",
            severity: Problem,
            severity_why: "the tunnel does not know where to send it",
            cause: Cause::Device,
            remedy: &["{ns}ip -d link show dev {interface}", "{ns}{ip} route get {destination}"],
        },
    ],
};
