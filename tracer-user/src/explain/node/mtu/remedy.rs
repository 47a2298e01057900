//! What to try against a limit: raise it where that is right, or see to it that senders make smaller packets.

use super::{By, Limit, command};
use crate::explain::{Observation, quoted};
use crate::host::Interface;
use crate::node::mtu::Mtu;

/// TCP and IP headers without options: 40 bytes, 60 with IPv6.
const fn headers(is_ipv6: bool) -> u32 {
    if is_ipv6 { 60 } else { 40 }
}

/// What a tunnel adds to each packet over IPv4 and IPv6, bytes: the outer IP header (20 or 40) and the tunnel's own
/// (VXLAN and Geneve: UDP 8, header 8, Ethernet 14; GRE 4; `WireGuard`: UDP 8 and 32), without options.
fn overhead(kind: &str) -> Option<(u32, u32)> {
    Some(match kind {
        "vxlan" | "geneve" => (50, 70),
        "wireguard" => (60, 80),
        "ipip" | "sit" => (20, 20),
        "ip6tnl" => (40, 40),
        "gre" => (24, 24),
        "ip6gre" => (44, 44),
        "gretap" => (38, 38),
        "ip6gretap" => (58, 58),
        _ => return None,
    })
}

pub(super) fn of(state: &Mtu, limit: &Limit, drop: &Observation<'_>) -> Vec<String> {
    let ip = if drop.is_ipv6() { "ip -6" } else { "ip" };
    let mut remedy = Vec::new();
    if let Some(destination) = drop.destination {
        remedy.push(command(drop, &format!("{ip} route get {destination}")));
    }
    remedy.push(command(drop, &format!("ip -d link show dev {}", quoted(&limit.device))));
    remedy.extend(raise(state, limit, ip, drop));
    remedy.push(clamp(limit, drop));
    remedy.push(smaller(limit, drop));
    remedy
}

/// Raises the limit that is blamed.
fn raise(state: &Mtu, limit: &Limit, ip: &str, drop: &Observation<'_>) -> Vec<String> {
    let hop = state.hop.as_ref();
    match limit.by {
        By::Route => {
            let route = hop.and_then(|hop| hop.route.as_ref()).map(|route| {
                let table = route.table.as_deref().filter(|table| *table != "main");
                let table = table.map(|table| format!(" table {table}")).unwrap_or_default();
                command(drop, &format!("{ip} route replace {}{table}", words(&route.text)))
            });
            route.into_iter().collect()
        }
        By::Learned(_) => vec![
            command(drop, &format!("{ip} route flush cache")),
            "find the link behind with the smaller MTU: tracepath shows where it begins".to_owned(),
        ],
        By::Ipv6Setting => {
            let own = state.device.as_ref().map_or(limit.mtu, |device| device.mtu);
            vec![command(drop, &format!("sysctl -w {}={own}", quoted(&limit.setting())))]
        }
        By::Device => state.device.as_ref().map(|device| wider(state, device, drop)).unwrap_or_default(),
    }
}

/// Each word as a shell must be given it: names of devices stand in a route.
fn words(text: &str) -> String {
    text.split(' ').map(|word| quoted(word).into_owned()).collect::<Vec<_>>().join(" ")
}

/// A wider device, where what is below or behind it takes as much.
fn wider(state: &Mtu, device: &Interface, drop: &Observation<'_>) -> Vec<String> {
    let wanted = state.came_in_by.as_ref().map_or(state.shape.length, |from| from.mtu);
    let set = |name: &str, mtu: u32| format!("ip link set dev {} mtu {mtu}", quoted(name));
    if let Some((ipv4, ipv6)) = device.kind.as_deref().and_then(overhead) {
        let kind = device.kind.as_deref().unwrap_or_default();
        let Some(below) = &state.below else {
            return vec![format!(
                "{} is a {kind} device, which adds {ipv4} bytes over IPv4 and {ipv6} over IPv6: its MTU may be that much less \
                 than the MTU of the way that its packets take",
                device.name
            )];
        };
        let most = below.interface.mtu.saturating_sub(if below.is_ipv6 { ipv6 } else { ipv4 });
        if most > device.mtu && most >= state.shape.length {
            return vec![command(drop, &set(&device.name, most))];
        }
        return vec![format!(
            "{} ({kind}) adds {ipv4} bytes over IPv4 and {ipv6} over IPv6, and its packets leave by {} with MTU {}: its MTU \
             can be {most} at most",
            device.name, below.interface.name, below.interface.mtu
        )];
    }
    if wanted <= device.mtu {
        return Vec::new();
    }
    let mut raise = Vec::new();
    if let Some(peer) = state.peer.as_ref().filter(|peer| peer.interface.mtu < wanted) {
        raise.push(peer.command(&set(&peer.interface.name, wanted)));
    }
    raise.push(command(drop, &set(&device.name, wanted)));
    raise
}

/// Makes TCP of both sides agree on segments that fit.
fn clamp(limit: &Limit, drop: &Observation<'_>) -> String {
    let program = if drop.is_ipv6() { "ip6tables" } else { "iptables" };
    command(
        drop,
        &format!(
            "{program} -t mangle -A FORWARD -o {} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
            quoted(&limit.device)
        ),
    )
}

fn smaller(limit: &Limit, drop: &Observation<'_>) -> String {
    let answer =
        if drop.is_ipv6() { "ICMPv6 packet-too-big (type 2)" } else { "ICMP fragmentation-needed (type 3 code 4)" };
    let source = drop.source.map_or_else(|| "the sender".to_owned(), |source| source.to_string());
    format!(
        "let {answer} through to {source}: it says {}; or lower the MTU there: mtu {} on its route or interface, {} bytes of \
         TCP data a segment",
        limit.mtu,
        limit.mtu,
        limit.mtu.saturating_sub(headers(drop.is_ipv6()))
    )
}
