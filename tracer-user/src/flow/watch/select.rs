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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::interface::Link;

    const UP: u32 = libc::IFF_UP as u32;

    fn device(index: u32, name: &str, kind: &str) -> Interface {
        let kind = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
        let name = name.to_owned();
        Interface { index, name, kind, flags: UP, hardware: ETHERNET, ..Interface::default() }
    }

    fn linked(device: Interface, index: u32, nsid: Option<i32>) -> Interface {
        Interface { link: Some(Link { index, nsid }), ..device }
    }

    fn port(device: Interface, master: u32) -> Interface {
        Interface { master: Some(master), ..device }
    }

    fn bare(device: Interface, hardware: u16) -> Interface {
        Interface { hardware, ..device }
    }

    fn down(device: Interface) -> Interface {
        Interface { flags: 0, ..device }
    }

    fn selected(interfaces: Vec<Interface>, gateways: &[u32]) -> Selection {
        select(&InterfaceTable::new(interfaces, false), &gateways.iter().copied().collect())
    }

    fn roles(interfaces: Vec<Interface>, gateways: &[u32]) -> Vec<(String, Role)> {
        let devices = selected(interfaces, gateways).devices;
        devices.into_iter().map(|wanted| (wanted.name, wanted.role)).collect()
    }

    fn named(wanted: &[(&str, Role)]) -> Vec<(String, Role)> {
        wanted.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
    }

    #[test]
    fn a_node_has_cards_pods_and_tunnels() {
        let lo = Interface { flags: UP | libc::IFF_LOOPBACK as u32, hardware: 772, ..device(1, "lo", "") };
        let interfaces = vec![
            lo,
            device(2, "eth0", ""),
            down(device(3, "eth1", "")),
            device(4, "cni0", "bridge"),
            port(linked(device(5, "veth1", "veth"), 2, Some(0)), 4),
            down(linked(device(6, "veth2", "veth"), 2, Some(1))),
            device(7, "flannel.1", "vxlan"),
            device(8, "dummy0", "dummy"),
            device(9, "kube-ipvs0", "dummy"),
            device(10, "ifb0", "ifb"),
            linked(device(11, "mac0", "macvlan"), 2, None),
        ];
        let wanted = [
            ("eth0", Role::Uplink),
            ("veth1", Role::Pod),
            ("veth2", Role::Pod),
            ("flannel.1", Role::Tunnel),
            ("mac0", Role::Uplink),
        ];
        // A tunnel stays one, whatever is reached through it.
        assert_eq!(roles(interfaces, &[2, 7]), named(&wanted));
    }

    #[test]
    fn a_pod_s_own_end_is_its_uplink_by_its_gateway() {
        let eth0 = || vec![linked(device(2, "eth0", "veth"), 9, Some(0))];
        assert_eq!(roles(eth0(), &[2]), named(&[("eth0", Role::Uplink)]));
        assert_eq!(roles(eth0(), &[]), named(&[("eth0", Role::Pod)]));
        assert_eq!(selected(eth0(), &[]).devices[0].peer, Some(0));
    }

    #[test]
    fn a_pair_with_both_ends_here_is_looked_at_once() {
        let pair =
            vec![linked(device(3, "cilium_net", "veth"), 4, None), linked(device(4, "cilium_host", "veth"), 3, None)];
        assert_eq!(roles(pair, &[4]), named(&[("cilium_net", Role::Tunnel)]));
    }

    #[test]
    fn a_bond_stands_for_its_ports_and_a_lower_device_for_its_vlans() {
        let interfaces = vec![
            port(device(2, "eth0", ""), 4),
            port(device(3, "eth1", ""), 4),
            device(4, "bond0", "bond"),
            linked(device(5, "bond0.7", "vlan"), 4, None),
            linked(device(6, "bond0.7.8", "vlan"), 5, None),
            device(7, "br0", "bridge"),
            linked(device(8, "br0.9", "vlan"), 7, None),
            down(device(9, "eth2", "")),
        ];
        assert_eq!(roles(interfaces, &[4, 5]), named(&[("bond0", Role::Uplink)]));
        let in_pod = vec![linked(device(2, "net1", "vlan"), 5, Some(0))];
        assert_eq!(roles(in_pod, &[]), named(&[("net1", Role::Uplink)]));
    }

    #[test]
    fn the_link_layer_decides_the_programs() {
        let interfaces = vec![
            bare(device(2, "tun0", "tun"), 0xfffe),
            device(3, "tap0", "tun"),
            device(4, "tap1", "tun"),
            bare(device(5, "wg0", "wireguard"), 0xfffe),
            bare(device(6, "tunl0", "ipip"), 768),
            bare(down(device(7, "sit0", "sit")), 776),
            device(8, "gretap1", "gretap"),
            bare(device(9, "ppp0", ""), 512),
            bare(device(10, "ib0", ""), 32),
        ];
        let selection = selected(interfaces, &[4]);
        let layers: Vec<_> =
            selection.devices.iter().map(|wanted| (wanted.name.as_str(), wanted.role, wanted.layer)).collect();
        let wanted = [
            ("tun0", Role::Tunnel, Layer::Ip),
            ("tap0", Role::Pod, Layer::Ethernet),
            ("tap1", Role::Tunnel, Layer::Ethernet),
            ("wg0", Role::Tunnel, Layer::Ip),
            ("tunl0", Role::Tunnel, Layer::Ip),
            ("gretap1", Role::Tunnel, Layer::Ethernet),
            ("ppp0", Role::Uplink, Layer::Ip),
        ];
        assert_eq!(layers, wanted);
        assert!(selection.unreadable[0].starts_with("ib0: "), "{:?}", selection.unreadable);
    }

    #[test]
    fn relations_that_lie_end() {
        let itself = linked(device(2, "a", "vlan"), 3, None);
        let turned = linked(device(3, "b", "vlan"), 2, None);
        assert_eq!(roles(vec![itself, turned], &[]).len(), 2);
        assert_eq!(roles(vec![port(device(2, "eth0", ""), 99)], &[]), named(&[("eth0", Role::Uplink)]));
    }
}
