//! Which devices of a namespace are attached to, and as what.
//!
//! Rules: pure. A packet that leaves or enters the namespace passes at least one of them; of devices that only hand a packet on
//! to another that is attached to (a VLAN to its lower device, a bond's port to the bond, a bridge to its ports) one is enough.

use std::collections::HashSet;

use crate::flow::Role;
use crate::host::InterfaceTable;
use crate::host::interface::Interface;

/// `ARPHRD_` of devices whose packets begin with the network header: PPP, raw IP, IPIP, IP6TNL, SIT, IPGRE, IP6GRE and NONE (tun,
/// WireGuard, xfrm).
const IP_ONLY: [u16; 8] = [512, 519, 768, 769, 776, 778, 823, 0xfffe];
const ETHERNET: u16 = libc::ARPHRD_ETHER;

/// Kinds that lead into a tunnel.
const TUNNELS: [&str; 17] = [
    "vxlan",
    "geneve",
    "ipip",
    "ip6tnl",
    "sit",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "erspan",
    "ip6erspan",
    "wireguard",
    "vti",
    "vti6",
    "xfrm",
    "bareudp",
    "gtp",
];
/// Kinds through which nothing leaves that does not pass another device too, or that carry no traffic of their own.
const INTERNAL: [&str; 14] = [
    "bridge",
    "dummy",
    "ifb",
    "vrf",
    "openvswitch",
    "macvtap",
    "ipvtap",
    "nlmon",
    "vsockmon",
    "vcan",
    "vxcan",
    "nr",
    "hsr",
    "batadv",
];

/// What a packet begins with on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    Ip,
}

/// A device to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) role: Role,
    pub(super) layer: Layer,
    /// By which id the namespace knows that of a pair's other end.
    pub(super) peer: Option<i32>,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) devices: Vec<Wanted>,
    /// Devices that would be, if their packets could be read; a sentence each.
    pub(super) unreadable: Vec<String>,
}

/// `gateways`: the devices that routes with a gateway use.
pub(super) fn select(table: &InterfaceTable, gateways: &HashSet<u32>) -> Selection {
    let mut selection = Selection::default();
    for interface in table.iter() {
        let Some(role) = role(table, interface, gateways) else { continue };
        let layer = match interface.hardware {
            ETHERNET => Layer::Ethernet,
            hardware if IP_ONLY.contains(&hardware) => Layer::Ip,
            hardware => {
                selection.unreadable.push(format!(
                    "{}: attempts on it are not seen, its link layer (ARPHRD {hardware}) is not one that whydrop reads",
                    interface.name
                ));
                continue;
            }
        };
        selection.devices.push(Wanted {
            index: interface.index,
            name: interface.name.clone(),
            kind: interface.kind.clone(),
            role,
            layer,
            peer: interface.link.filter(|_| is_pair(interface)).and_then(|link| link.nsid),
        });
    }
    selection
}

fn is_pair(interface: &Interface) -> bool {
    matches!(interface.kind.as_deref(), Some("veth" | "netkit"))
}

/// `None` if it is not attached to. The far end of a pair may speak as soon as it is up, so pairs and taps are attached to before.
fn role(table: &InterfaceTable, interface: &Interface, gateways: &HashSet<u32>) -> Option<Role> {
    let is_gateway = gateways.contains(&interface.index);
    let kind = interface.kind.as_deref();
    let is_early = is_pair(interface) || kind == Some("tun");
    if interface.flags & libc::IFF_LOOPBACK as u32 != 0
        || !(interface.is_up() || is_early)
        || is_port_of_bond(table, interface)
    {
        return None;
    }
    let Some(kind) = kind else { return Some(Role::Uplink) };
    match kind {
        _ if is_pair(interface) => pair(interface, is_gateway),
        // A tap without a gateway behind it is a virtual machine's.
        "tun" if interface.hardware == ETHERNET && !is_gateway => Some(Role::Pod),
        "tun" => Some(Role::Tunnel),
        "vlan" => (!is_seen_below(table, interface)).then_some(Role::Uplink),
        kind if TUNNELS.contains(&kind) => Some(Role::Tunnel),
        kind if INTERNAL.contains(&kind) => None,
        // Bonds, teams, macvlan, ipvlan, macsec, cellular and switch ports.
        _ => Some(Role::Uplink),
    }
}

/// A pair with both ends here hands packets on to other devices of the namespace, as a tunnel does: one end is enough.
fn pair(interface: &Interface, is_gateway: bool) -> Option<Role> {
    match interface.link {
        Some(link) if link.nsid.is_none() => (interface.index < link.index).then_some(Role::Tunnel),
        _ if is_gateway => Some(Role::Uplink),
        _ => Some(Role::Pod),
    }
}

fn is_port_of_bond(table: &InterfaceTable, interface: &Interface) -> bool {
    let master = interface.master.and_then(|index| table.get(index)).and_then(|master| master.kind.as_deref());
    matches!(master, Some("bond" | "team"))
}

/// Whether what a VLAN device carries passes another device that is attached to: its lower one, or the ports of a bridge.
fn is_seen_below(table: &InterfaceTable, vlan: &Interface) -> bool {
    // Eight tags are more than any frame has.
    let mut lower = vlan;
    for _ in 0..8 {
        let Some(link) = lower.link.filter(|link| link.nsid.is_none()) else { return false };
        let Some(next) = table.get(link.index) else { return false };
        match next.kind.as_deref() {
            Some("vlan") => lower = next,
            Some(kind) if INTERNAL.contains(&kind) => return true,
            _ => return next.is_up() && next.hardware == ETHERNET,
        }
    }
    false
}
