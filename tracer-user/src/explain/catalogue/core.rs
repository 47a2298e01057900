//! Reasons that say little by themselves: unspecified, memory, buffers.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Noise, Problem};

const LINK: &str = "{ns}ip -d -s link show dev {interface}";
const MEMORY: &str = "free -m; dmesg | grep -i 'page allocation failure'";

pub(super) const GROUP: Group = Group {
    title: "General",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "NOT_SPECIFIED",
            meaning: "the kernel gives no reason",
            usual_cause: "The place in the kernel says more than the reason: see the table of places",
            severity: Problem,
            severity_why: "the kernel gives no reason, and the place is not known to be harmless",
            cause: Cause::Unknown,
            remedy: &["look at the location, and at the stack with --stack"],
        },
        ReasonEntry {
            name: "SKB_CONSUMED",
            meaning: "the packet was used up, not dropped",
            usual_cause: "Normal processing that passes by the drop path",
            severity: Noise,
            severity_why: "nothing was dropped",
            cause: Cause::Unknown,
            remedy: &[],
        },
        ReasonEntry {
            name: "SKB_NOT_DROPPED_YET",
            meaning: "the packet was freed while marked as not dropped",
            usual_cause: "Normal processing that passes by the drop path",
            severity: Noise,
            severity_why: "nothing was dropped",
            cause: Cause::Unknown,
            remedy: &[],
        },
        ReasonEntry {
            name: "NOMEM",
            meaning: "the kernel had no memory for it",
            usual_cause: "The machine is out of memory, or memory is too fragmented for large packets",
            severity: Problem,
            severity_why: "the machine has too little memory for its network",
            cause: Cause::Unknown,
            remedy: &[MEMORY, "sysctl vm.min_free_kbytes"],
        },
        ReasonEntry {
            name: "PFMEMALLOC",
            meaning: "it lies in memory that is kept for emergencies",
            usual_cause: "The machine is so short of memory that only sockets which help to free some may receive",
            severity: Problem,
            severity_why: "the machine has too little memory for its network",
            cause: Cause::Unknown,
            remedy: &["{ns}nstat -az TcpExtPFMemallocDrop", MEMORY],
        },
        ReasonEntry {
            name: "PKT_TOO_SMALL",
            meaning: "it is shorter than its own headers say",
            usual_cause: "A truncated or forged packet, or a message that quotes only the start of one",
            severity: Problem,
            severity_why: "the packet cannot be read",
            cause: Cause::Checksum,
            remedy: &[
                "{ns}nstat -az IpExtInTruncatedPkts Ip6InTruncatedPkts",
                "{ns}tcpdump -nevi {interface} host {source}",
            ],
        },
        ReasonEntry {
            name: "HDR_TRUNC",
            meaning: "its headers are cut off",
            usual_cause: "The program behind a tun or tap device wrote a packet that is too short",
            severity: Problem,
            severity_why: "the packet cannot be read",
            cause: Cause::Checksum,
            remedy: &[LINK],
        },
        ReasonEntry {
            name: "SKB_CSUM",
            meaning: "its checksum is wrong or could not be computed",
            usual_cause: "Damage on the way to a raw socket, or broken offload on a tap device",
            severity: Problem,
            severity_why: "the packet was damaged on its way",
            cause: Cause::Checksum,
            remedy: &["{ns}ethtool -k {interface}"],
        },
        ReasonEntry {
            name: "SKB_GSO_SEG",
            meaning: "a large packet could not be cut into segments",
            usual_cause: "Offload settings of a tap device and of its guest do not fit together",
            severity: Problem,
            severity_why: "large packets are lost on this device",
            cause: Cause::Device,
            remedy: &["{ns}ethtool -k {interface}", "try without: ethtool -K DEVICE gso off tso off"],
        },
        ReasonEntry {
            name: "SKB_BAD_GSO",
            meaning: "its segmentation data is impossible",
            usual_cause: "A broken or hostile guest or program wrote it to a tap device or packet socket",
            severity: Problem,
            severity_why: "the sender hands over packets that no kernel would make",
            cause: Cause::Checksum,
            remedy: &[LINK],
        },
        ReasonEntry {
            name: "SKB_UCOPY_FAULT",
            meaning: "its data could not be copied from the program",
            usual_cause: "The program behind a tun or tap device passed bad memory, or memory ran out",
            severity: Problem,
            severity_why: "the program behind the device loses data",
            cause: Cause::Device,
            remedy: &[LINK],
        },
    ],
};
