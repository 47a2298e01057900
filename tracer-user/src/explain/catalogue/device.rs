//! Devices, drivers, bridges, the receive backlog.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Expected, Noise, Problem};

const LINK: &str = "{ns}ip -d -s link show dev {interface}";
const CAN: &str = "{ns}ip -d -s link show type can";

pub(super) const GROUP: Group = Group {
    title: "Devices and bridges",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "CPU_BACKLOG",
            meaning: "the receive backlog of a CPU is full",
            usual_cause: "More comes in by veth, loopback or receive steering than one CPU handles, or one flow takes \
                          it all (flow limit)",
            severity: Problem,
            severity_why: "this CPU does not keep up with received packets",
            cause: Cause::Device,
            remedy: &[
                "cat /proc/net/softnet_stat",
                "sysctl net.core.netdev_max_backlog",
                "spread the load over CPUs (RPS, more queues), or raise net.core.netdev_max_backlog",
            ],
        },
        ReasonEntry {
            name: "MACVLAN_BROADCAST_BACKLOG",
            meaning: "the broadcast queue of macvlan is full",
            usual_cause: "Many macvlan devices and much broadcast or multicast on their parent",
            severity: Problem,
            severity_why: "broadcasts such as ARP and neighbour discovery are lost for these devices",
            cause: Cause::Device,
            remedy: &[LINK, "raise bcqueuelen of the macvlan devices"],
        },
        ReasonEntry {
            name: "IPVLAN_MULTICAST_BACKLOG",
            meaning: "the multicast queue of ipvlan is full",
            usual_cause: "Many ipvlan devices and much broadcast or multicast on their parent",
            severity: Problem,
            severity_why: "broadcasts such as ARP and neighbour discovery are lost for these devices",
            cause: Cause::Device,
            remedy: &[LINK],
        },
        ReasonEntry {
            name: "UNHANDLED_PROTO",
            meaning: "nothing here handles its protocol",
            usual_cause: "Frames of switches and other stacks (LLDP, STP, IPX), a VLAN or protocol that is not \
                          configured, or an unknown option or ICMP type",
            severity: Expected,
            severity_why: "stray frames of protocols that this machine does not speak",
            cause: Cause::NoSocket,
            remedy: &["{ns}tcpdump -nevi {interface} ether proto {ethertype}"],
        },
        ReasonEntry {
            name: "DEV_HDR",
            meaning: "the header that the driver expects before a packet is wrong",
            usual_cause: "The program behind a tun or tap device (a virtual machine) wrote a bad virtio header",
            severity: Problem,
            severity_why: "the program behind the device sends what the kernel cannot read",
            cause: Cause::Device,
            remedy: &[LINK],
        },
        ReasonEntry {
            name: "DEV_READY",
            meaning: "the device was not ready",
            usual_cause: "The interface is down or is being removed, or nobody has opened the tun or tap device",
            severity: Problem,
            severity_why: "packets go to an interface that does not work",
            cause: Cause::Device,
            remedy: &[LINK, "{ns}ip -br link show"],
        },
        ReasonEntry {
            name: "FULL_RING",
            meaning: "the ring of the device is full",
            usual_cause: "The program behind a tun or tap device (VPN, virtual machine) or the driver does not keep up",
            severity: Problem,
            severity_why: "the other side of the device does not keep up",
            cause: Cause::Device,
            remedy: &[LINK, "raise txqueuelen of the device, or find out why its program does not read"],
        },
        ReasonEntry {
            name: "RECURSION_LIMIT",
            meaning: "virtual devices sent it round in a circle",
            usual_cause: "Tunnels or bridges whose outer packets go through themselves",
            severity: Problem,
            severity_why: "tunnels or virtual devices form a loop",
            cause: Cause::Device,
            remedy: &[
                "{ns}ip -d link show",
                "{ns}{ip} route get {destination}",
                "look for 'Dead loop' in the kernel log: dmesg",
            ],
        },
        ReasonEntry {
            name: "BRIDGE_INGRESS_STP_STATE",
            meaning: "the bridge port is not in forwarding state",
            usual_cause: "Spanning tree blocks or still learns, or the port was disabled",
            severity: Problem,
            severity_why: "nothing passes this bridge port",
            cause: Cause::Device,
            remedy: &["{ns}bridge -d link show dev {interface}", "{ns}ip -d link show type bridge"],
        },
        ReasonEntry {
            name: "MAC_INVALID_SOURCE",
            meaning: "its source MAC address is multicast or zero",
            usual_cause: "A broken or forged frame, or a tunnel that carries one",
            severity: Problem,
            severity_why: "the sender uses a MAC address that nobody can answer",
            cause: Cause::Device,
            remedy: &["{ns}tcpdump -nevi {interface} ether multicast"],
        },
        ReasonEntry {
            name: "MAC_IEEE_MAC_CONTROL",
            meaning: "it is an Ethernet pause frame",
            usual_cause: "A switch or peer uses flow control; bridges do not forward it",
            severity: Noise,
            severity_why: "link-level control frames are not forwarded",
            cause: Cause::Device,
            remedy: &[],
        },
        ReasonEntry {
            name: "NO_TX_TARGET",
            meaning: "the bridge or VXLAN device has nowhere to send it",
            usual_cause: "No forwarding entry for its MAC address and flooding is off: a stale or missing entry of the \
                          overlay network, or a port that is down",
            severity: Problem,
            severity_why: "the destination is unknown to the bridge or overlay",
            cause: Cause::Device,
            remedy: &["{ns}bridge fdb show", "{ns}bridge -d link show", "{ns}{ip} neigh show {destination}"],
        },
        ReasonEntry {
            name: "CAN_RX_INVALID_FRAME",
            meaning: "a CAN frame is malformed",
            usual_cause: "A broken CAN controller, or a frame injected by a program",
            severity: Problem,
            severity_why: "the frame cannot be read",
            cause: Cause::Checksum,
            remedy: &[CAN],
        },
        ReasonEntry {
            name: "CANFD_RX_INVALID_FRAME",
            meaning: "a CAN FD frame is malformed",
            usual_cause: "A broken CAN controller, or a frame injected by a program",
            severity: Problem,
            severity_why: "the frame cannot be read",
            cause: Cause::Checksum,
            remedy: &[CAN],
        },
        ReasonEntry {
            name: "CANXL_RX_INVALID_FRAME",
            meaning: "a CAN XL frame is malformed",
            usual_cause: "A broken CAN controller, or a frame injected by a program",
            severity: Problem,
            severity_why: "the frame cannot be read",
            cause: Cause::Checksum,
            remedy: &[CAN],
        },
    ],
};
