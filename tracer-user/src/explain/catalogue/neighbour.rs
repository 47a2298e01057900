//! ARP and neighbour discovery.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::Problem;

const NEIGHBOURS: &str = "{ns}{ip} neigh show dev {interface}";
const ROUTE: &str = "{ns}{ip} route get {destination}";

pub(super) const GROUP: Group = Group {
    title: "Neighbours",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "NEIGH_FAILED",
            meaning: "the next hop did not answer ARP or neighbour discovery",
            usual_cause: "The next hop is down or gone (a deleted pod, a stopped machine), the address is wrong, or \
                          something on the link filters ARP or neighbour discovery",
            severity: Problem,
            severity_why: "the next hop cannot be reached",
            cause: Cause::Neighbour,
            remedy: &[NEIGHBOURS, ROUTE, "check that the next hop is up, on this link and not filtering ARP or ICMPv6"],
        },
        ReasonEntry {
            name: "NEIGH_CREATEFAIL",
            meaning: "no neighbour entry could be made for the next hop",
            usual_cause: "The neighbour table is full (gc_thresh3), or memory ran out",
            severity: Problem,
            severity_why: "new neighbours cannot be reached",
            cause: Cause::Neighbour,
            remedy: &[
                "{ns}{ip} -s neigh show",
                "sysctl net.ipv4.neigh.default.gc_thresh3 net.ipv6.neigh.default.gc_thresh3",
                "raise gc_thresh1, gc_thresh2 and gc_thresh3 on nodes with many pods",
            ],
        },
        ReasonEntry {
            name: "NEIGH_QUEUEFULL",
            meaning: "too many packets were waiting for the next hop to answer",
            usual_cause: "The next hop answers slowly or not at all while a program sends on",
            severity: Problem,
            severity_why: "packets to this next hop are lost until it answers",
            cause: Cause::Neighbour,
            remedy: &[NEIGHBOURS, ROUTE, "{ns}sysctl net.{family}.neigh.{conf}.unres_qlen_bytes"],
        },
        ReasonEntry {
            name: "NEIGH_DEAD",
            meaning: "the neighbour entry was being removed while the packet used it",
            usual_cause: "An interface, address or pod was taken away at this moment",
            severity: Problem,
            severity_why: "the next hop is being removed",
            cause: Cause::Neighbour,
            remedy: &[NEIGHBOURS, "{ns}ip link show dev {interface}"],
        },
        ReasonEntry {
            name: "NEIGH_HH_FILLFAIL",
            meaning: "the link-layer header could not be written",
            usual_cause: "The device changed or went away while the packet was on its way to it",
            severity: Problem,
            severity_why: "the packet could not be put on the link",
            cause: Cause::Device,
            remedy: &["{ns}ip -s link show dev {interface}", NEIGHBOURS],
        },
    ],
};
