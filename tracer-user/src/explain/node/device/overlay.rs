//! What a VXLAN device does not take, or cannot send.

use super::super::command;
use crate::event::{Confidence, Explanation};
use crate::explain::{Observation, quoted};
use crate::node::device::{Device, Link, Overlay, Vxlan, mac};

/// Devices that are listed.
const MOST: usize = 8;
/// The flag that says that there is a network number (RFC 7348 section 5).
const HAS_NUMBER: u8 = 8;

pub(super) fn refine(explanation: &mut Explanation, overlay: &Overlay, facts: &Device, drop: &Observation<'_>) {
    explanation.evidence.extend(overlay.devices.iter().take(MOST).filter_map(device));
    if overlay.devices.len() > MOST {
        explanation.evidence.push(format!("{} more vxlan devices", overlay.devices.len() - MOST));
    }
    // What is on the device itself has lost its outer header.
    let tunnel = facts.link.as_ref().filter(|link| link.vxlan.is_some());
    match (tunnel, drop.symbol().starts_with("vxlan_xmit")) {
        (Some(tunnel), true) => no_target(explanation, overlay, tunnel, facts, drop),
        (Some(tunnel), false) => bad_source(explanation, tunnel, facts, drop),
        (None, _) => match (facts.frame.vxlan_flags, facts.frame.vni) {
            (Some(flags), _) if flags & HAS_NUMBER == 0 => bad_header(explanation, flags),
            (Some(_), Some(vni)) if drop.reason != Some("VXLAN_INVALID_HDR") => {
                no_network(explanation, overlay, vni, drop);
            }
            _ => {}
        },
    }
}

fn device(link: &Link) -> Option<String> {
    let vxlan = link.vxlan.as_ref()?;
    let state = if link.is_up { "up" } else { "down" };
    let network = if vxlan.external { "any VNI (external)".to_owned() } else { format!("VNI {}", vxlan.vni) };
    let local = vxlan.local.map_or_else(String::new, |local| format!(", local {local}"));
    Some(format!("{} is a vxlan device with {network}, port {}{local}, {state}", link.name, vxlan.port))
}

fn bad_header(explanation: &mut Explanation, flags: u8) {
    explanation.summary =
        format!("its VXLAN header has the flags {flags:#04x}, without the one for a network number (0x08)");
    explanation.confidence = Confidence::Derived;
}

/// No device takes this network number.
fn no_network(explanation: &mut Explanation, overlay: &Overlay, vni: u32, drop: &Observation<'_>) {
    let of_it = |link: &&Link| link.vxlan.as_ref().is_some_and(|vxlan| vxlan.external || vxlan.vni == vni);
    let port = drop.destination_port;
    let show = command(drop, "ip -d link show type vxlan");
    let takes = overlay.devices.iter().filter(of_it).collect::<Vec<_>>();
    let on_port = |link: &&&Link| port.is_none() || link.vxlan.as_ref().map(|vxlan| vxlan.port) == port;
    let (says, remedy) = match (takes.iter().find(on_port), takes.first()) {
        (Some(link), _) if !link.is_up => (
            format!("{} has VNI {vni}, but is down", link.name),
            Some(command(drop, &format!("ip link set dev {} up", quoted(&link.name)))),
        ),
        (Some(link), _) => {
            explanation.unknown = Some(format!("why {} did not take it: it has VNI {vni} now, and is up", link.name));
            return;
        }
        (None, Some(link)) => {
            let Vxlan { port: its, .. } = link.vxlan.as_ref().unwrap_or(&NOTHING);
            let came = port.map_or_else(String::new, |port| format!(", and it came to port {port}"));
            (format!("{} has VNI {vni}, but on port {its}{came}", link.name), None)
        }
        (None, None) => (format!("no vxlan device has VNI {vni}{}", others(overlay)), add(vni, drop)),
    };
    explanation.summary = says;
    explanation.confidence = Confidence::Derived;
    explanation.remedy = vec![show];
    explanation.remedy.push("if a network plugin makes the device of this overlay, look at its log".to_owned());
    explanation.remedy.extend(remedy);
}

const NOTHING: Vxlan = Vxlan { vni: 0, port: 0, local: None, remote: None, learning: false, external: false };

fn others(overlay: &Overlay) -> String {
    let numbers = overlay.devices.iter().filter_map(|link| Some((link.vxlan.as_ref()?.vni, &link.name)));
    let listed = numbers.take(MOST).map(|(vni, name)| format!("{name} has {vni}")).collect::<Vec<_>>();
    if listed.is_empty() { String::new() } else { format!(" ({})", listed.join(", ")) }
}

fn add(vni: u32, drop: &Observation<'_>) -> Option<String> {
    let (local, port) = (drop.destination?, drop.destination_port?);
    let make = format!("ip link add name vxlan{vni} up type vxlan id {vni} local {local} dstport {port}");
    Some(command(drop, &make))
}

/// The frame inside claims a source that cannot be.
fn bad_source(explanation: &mut Explanation, tunnel: &Link, facts: &Device, drop: &Observation<'_>) {
    // The first bytes begin at the outer header where the inner one is not taken for the packet's yet.
    let Some(source) = facts.frame.source.or(facts.frame.inner_source) else { return };
    let name = &tunnel.name;
    let address = mac(&source);
    let says = if source[..] == tunnel.address[..] {
        format!("a frame came in by {name} with {name}'s own address {address} as its source")
    } else if source[0] & 1 == 1 || source == [0; 6] {
        format!("a frame came in by {name} with the source {address}, which is no address of one station")
    } else {
        return;
    };
    explanation.summary = says;
    explanation.confidence = Confidence::Derived;
    explanation.remedy = vec![
        command(drop, &format!("tcpdump -nevi {} ether src {address}", quoted(name))),
        command(drop, &format!("bridge fdb show dev {}", quoted(name))),
        format!("look for a loop, or for another node with the address {address}"),
    ];
}

/// The device does not know the node of a destination.
fn no_target(explanation: &mut Explanation, overlay: &Overlay, tunnel: &Link, facts: &Device, drop: &Observation<'_>) {
    let (Some(destination), Some(nodes), Some(vxlan)) = (facts.frame.destination, &overlay.nodes, &tunnel.vxlan) else {
        return;
    };
    let (name, address) = (&tunnel.name, mac(&destination));
    if let Some(node) = nodes.first().or(vxlan.remote.as_ref()) {
        explanation.unknown = Some(format!("why {name} had no target: it sends {address} to {node} now"));
        return;
    }
    explanation.summary = format!(
        "{name} (VNI {}) does not know the node of {address}: its forwarding table has no entry and no default",
        vxlan.vni
    );
    explanation.confidence = Confidence::Derived;
    explanation.evidence.push(format!("{address} is not in the forwarding table of {name}"));
    let device = quoted(name);
    explanation.remedy = vec![
        command(drop, &format!("bridge fdb show dev {device}")),
        "if a network plugin keeps the entries of this overlay, look at its log".to_owned(),
        format!("else add the address of the node: bridge fdb append {address} dev {device} dst NODE"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;
    use crate::node::device::Frame;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn vx(name: &str, vni: u32, port: u16, is_up: bool) -> Link {
        let vxlan = Some(Vxlan { vni, port, ..Vxlan::default() });
        Link { index: vni, name: name.into(), is_up, address: MAC.to_vec(), vxlan, ..Link::default() }
    }

    fn said(overlay: &Overlay, facts: &Device, location: &str) -> Explanation {
        let mut explanation = Explanation::new(Cause::Device, Confidence::Inferred, "before");
        let drop = Observation {
            location: Some(location),
            destination: "10.99.1.3".parse().ok(),
            destination_port: Some(4789),
            ..Observation::default()
        };
        refine(&mut explanation, overlay, facts, &drop);
        explanation
    }

    fn received(devices: Vec<Link>, flags: u8) -> Explanation {
        let frame = Frame { vni: Some(77), vxlan_flags: Some(flags), ..Frame::default() };
        said(&Overlay { devices, nodes: None }, &Device { frame, ..Device::default() }, "vxlan_rcv")
    }

    #[test]
    fn a_network_that_nobody_has() {
        let said = received(vec![vx("vx1", 1, 4789, true)], 8);
        assert_eq!(said.summary, "no vxlan device has VNI 77 (vx1 has 1)");
        assert_eq!(said.evidence, ["vx1 is a vxlan device with VNI 1, port 4789, up"]);
        assert_eq!(said.remedy[2], "ip link add name vxlan77 up type vxlan id 77 local 10.99.1.3 dstport 4789");
        let down = received(vec![vx("vx77", 77, 4789, false)], 8);
        assert_eq!(
            (down.summary.as_str(), down.remedy[2].as_str()),
            ("vx77 has VNI 77, but is down", "ip link set dev vx77 up")
        );
        let port = received(vec![vx("vx77", 77, 8472, true)], 8);
        assert_eq!(port.summary, "vx77 has VNI 77, but on port 8472, and it came to port 4789");
        let changed = received(vec![vx("vx77", 77, 4789, true)], 8);
        assert_eq!(changed.summary, "before");
        assert!(changed.unknown.unwrap().contains("is up"));
    }

    #[test]
    fn a_header_without_a_network() {
        assert!(received(Vec::new(), 0).summary.contains("flags 0x00"));
    }

    #[test]
    fn a_destination_that_no_node_has() {
        let tunnel = vx("vx1", 1, 4789, true);
        let frame = Frame { destination: Some(MAC), ..Frame::default() };
        let facts = Device { link: Some(tunnel), frame, ..Device::default() };
        let missing = said(&Overlay { devices: Vec::new(), nodes: Some(Vec::new()) }, &facts, "vxlan_xmit");
        assert!(missing.summary.starts_with("vx1 (VNI 1) does not know the node of 02:00:00:00:00:09"));
        let there = Overlay { devices: Vec::new(), nodes: Some(vec!["10.0.0.9".parse().unwrap()]) };
        let there = said(&there, &facts, "vxlan_xmit");
        assert_eq!(there.summary, "before");
        assert!(there.unknown.unwrap().ends_with("to 10.0.0.9 now"));
    }

    #[test]
    fn a_source_that_cannot_be() {
        for (source, wanted) in [(MAC, "vx1's own address"), ([1, 0, 0, 0, 0, 5], "no address of one station")] {
            // A datagram inside looks like one more tunnel.
            let payload = Some([2, 0, 0, 0, 0, 1]);
            let inner = Frame { source: Some(source), inner_source: payload, ..Frame::default() };
            for frame in [inner, Frame { inner_source: Some(source), ..Frame::default() }] {
                let facts = Device { link: Some(vx("vx1", 1, 4789, true)), frame, ..Device::default() };
                let said = said(&Overlay::default(), &facts, "vxlan_rcv");
                assert!(said.summary.contains(wanted), "{}", said.summary);
            }
        }
    }
}
