//! Drops that somebody configured: firewall, IPsec policy, security module, BPF programs.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::Problem;

const LIST_FIREWALL: &str = "{ns}nft -a list ruleset";

pub(super) const GROUP: Group = Group {
    title: "Firewall, policy and BPF programs",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "NETFILTER_DROP",
            meaning: "netfilter dropped it",
            usual_cause: "A rule or chain policy of iptables or nftables says DROP or REJECT; a full connection table, \
                          address translation without a free port and TPROXY without a listener look the same",
            severity: Problem,
            severity_why: "a firewall refused a packet that somebody sent",
            cause: Cause::Unknown,
            remedy: &[LIST_FIREWALL, "{ns}{iptables}-save -c", "{ns}conntrack -S"],
        },
        ReasonEntry {
            name: "XFRM_POLICY",
            meaning: "the IPsec policy check refused it",
            usual_cause: "A policy blocks this traffic, or demands encryption and the packet came in the clear",
            severity: Problem,
            severity_why: "an IPsec policy refused a packet that somebody sent",
            cause: Cause::Ipsec,
            remedy: &[
                "{ns}ip xfrm policy show",
                "{ns}ip xfrm state show",
                "check that both ends have the same policies and keys",
            ],
        },
        ReasonEntry {
            name: "SECURITY_HOOK",
            meaning: "a security module refused to hand it to its socket",
            usual_cause: "SELinux, Smack, AppArmor or a BPF LSM program has a rule for packets or sockets",
            severity: Problem,
            severity_why: "a security module refused a packet that somebody sent",
            cause: Cause::Unknown,
            remedy: &["cat /sys/kernel/security/lsm", "look for denials in the audit log: ausearch -m avc -ts recent"],
        },
        ReasonEntry {
            name: "SOCKET_FILTER",
            meaning: "a filter of the receiving socket or of its cgroup refused it",
            usual_cause: "A cgroup ingress program (systemd IPAddressDeny, a CNI agent), or a filter that the program \
                          itself put on its socket with SO_ATTACH_FILTER or SO_ATTACH_BPF",
            severity: Problem,
            severity_why: "a filter kept a packet from its socket",
            cause: Cause::BpfProgram,
            remedy: &["bpftool cgroup tree", "systemctl show -p IPAddressDeny,IPAddressAllow UNIT"],
        },
        ReasonEntry {
            name: "BPF_CGROUP_EGRESS",
            meaning: "a BPF program of the sender's cgroup refused it",
            usual_cause: "A cgroup egress program: systemd IPAddressDeny, a CNI agent, a sandbox",
            severity: Problem,
            severity_why: "a BPF program refused what a local program sent",
            cause: Cause::BpfProgram,
            remedy: &["bpftool cgroup tree", "systemctl show -p IPAddressDeny,IPAddressAllow UNIT"],
        },
        ReasonEntry {
            name: "TC_INGRESS",
            meaning: "a tc filter or BPF program dropped it on receive",
            usual_cause: "The data plane of an eBPF CNI (Cilium, Calico eBPF, AWS network policy agent), or a tc filter \
                          with action drop",
            severity: Problem,
            severity_why: "a tc program refused a packet that somebody sent",
            cause: Cause::BpfProgram,
            remedy: &[
                "{ns}bpftool net show",
                "{ns}tc -s filter show dev {interface} ingress",
                "ask the program's owner: for Cilium, cilium-dbg monitor --type drop",
            ],
        },
        ReasonEntry {
            name: "TC_EGRESS",
            meaning: "a tc filter or BPF program dropped it on transmit",
            usual_cause: "The data plane of an eBPF CNI (Cilium, Calico eBPF, AWS network policy agent), or a tc filter \
                          with action drop",
            severity: Problem,
            severity_why: "a tc program refused a packet that somebody sent",
            cause: Cause::BpfProgram,
            remedy: &[
                "{ns}bpftool net show",
                "{ns}tc -s filter show dev {interface} egress",
                "ask the program's owner: for Cilium, cilium-dbg monitor --type drop",
            ],
        },
        ReasonEntry {
            name: "TC_COOKIE_ERROR",
            meaning: "tc could not take up a packet that was handed back in the middle of its filters",
            usual_cause: "The filter chain changed while a packet was in flight between hardware and software, or \
                          memory ran out",
            severity: Problem,
            severity_why: "tc lost the place where the packet was",
            cause: Cause::BpfProgram,
            remedy: &[
                "{ns}tc -s filter show dev {interface} ingress",
                "check hardware offload: ethtool -k {interface}",
            ],
        },
        ReasonEntry {
            name: "TC_ERROR",
            meaning: "tc met an error in its filters",
            usual_cause: "A filter jumped to a chain that does not exist, filters form a loop, or memory ran out \
                          (Linux 6.7 only; newer kernels tell these apart)",
            severity: Problem,
            severity_why: "the tc filters of this interface are incomplete",
            cause: Cause::BpfProgram,
            remedy: &["{ns}tc chain show dev {interface} ingress", "{ns}tc -s filter show dev {interface} ingress"],
        },
        ReasonEntry {
            name: "TC_CHAIN_NOTFOUND",
            meaning: "a tc filter jumped to a chain that does not exist",
            usual_cause: "A goto chain action names a chain that was deleted or never made",
            severity: Problem,
            severity_why: "the tc filters of this interface are incomplete",
            cause: Cause::BpfProgram,
            remedy: &["{ns}tc chain show dev {interface} ingress", "{ns}tc -s filter show dev {interface} ingress"],
        },
        ReasonEntry {
            name: "TC_RECLASSIFY_LOOP",
            meaning: "tc filters sent it round in a circle",
            usual_cause: "Filters with action reclassify or goto chain that never come to an end",
            severity: Problem,
            severity_why: "the tc filters of this interface form a loop",
            cause: Cause::BpfProgram,
            remedy: &["{ns}tc -s filter show dev {interface} ingress", "{ns}tc -s filter show dev {interface} egress"],
        },
        ReasonEntry {
            name: "XDP",
            meaning: "an XDP program dropped it",
            usual_cause: "A load balancer, DDoS filter or CNI attached an XDP program, or its redirect failed",
            severity: Problem,
            severity_why: "an XDP program refused a packet that somebody sent",
            cause: Cause::BpfProgram,
            remedy: &["{ns}bpftool net show", "{ns}ip -d link show dev {interface}"],
        },
        ReasonEntry {
            name: "TAP_FILTER",
            meaning: "a BPF filter on the tun or tap device refused it",
            usual_cause: "The program behind the device (a virtual machine, a VPN) attached it with TUNSETFILTEREBPF",
            severity: Problem,
            severity_why: "a filter kept a packet from the program behind the device",
            cause: Cause::BpfProgram,
            remedy: &["{ns}ip -d link show dev {interface}", "ask the program that owns the device"],
        },
        ReasonEntry {
            name: "TAP_TXFILTER",
            meaning: "the address filter of the tun or tap device refused it",
            usual_cause: "The program behind the device asked for certain MAC addresses only (TUNSETTXFILTER)",
            severity: Problem,
            severity_why: "a filter kept a packet from the program behind the device",
            cause: Cause::Device,
            remedy: &["{ns}ip -d link show dev {interface}", "check the MAC address of the guest behind the device"],
        },
    ],
};
