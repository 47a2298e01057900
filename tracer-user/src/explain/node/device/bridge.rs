//! Why a bridge does not pass a frame on, in the kernel's own order (`br_handle_frame_finish`, `should_deliver` and
//! `br_flood` of net/bridge, 6.18).

use super::super::command;
use crate::event::{Confidence, Explanation};
use crate::explain::{Observation, quoted};
use crate::node::device::{Bridge, Device, Entry, FORWARDING, Link, mac};

/// Ports that are listed, and changed by remedies.
const MOST: usize = 4;

/// What keeps it, and the settings that would let it pass: port, word, value.
struct Finding<'a> {
    says: String,
    change: Vec<(&'a Link, &'static str)>,
}

pub(super) fn refine(explanation: &mut Explanation, bridge: &Bridge, facts: &Device, drop: &Observation<'_>) {
    let came_by = facts.link.as_ref().and_then(|link| bridge.port(link.index));
    let name = &bridge.name;
    if bridge.filters_vlans {
        explanation.unknown = Some(format!("{name} keeps VLANs apart, and those of its ports were not compared"));
        explanation.remedy.push(command(drop, "bridge vlan show"));
    }
    explanation.evidence.extend(table(bridge, facts));
    let ports = came_by.into_iter().chain(destination(bridge)).chain(&bridge.ports);
    let mut shown: Vec<u32> = Vec::new();
    for port in ports {
        if shown.len() < MOST && !shown.contains(&port.index) {
            shown.push(port.index);
            explanation.evidence.push(settings(bridge, port));
        }
    }
    if bridge.ports.len() > MOST {
        explanation.evidence.push(format!("{name} has {} more ports", bridge.ports.len() - MOST));
    }
    let Some(finding) = find(bridge, came_by, facts) else { return };
    explanation.summary = finding.says;
    explanation.confidence = Confidence::Derived;
    let mut remedy = vec![command(drop, "bridge -d link show")];
    for (port, setting) in finding.change.iter().take(MOST) {
        let port = quoted(&port.name);
        remedy.push(command(
            drop,
            &match *setting {
                "up" => format!("ip link set dev {port} up"),
                setting => format!("bridge link set dev {port} {setting}"),
            },
        ));
    }
    explanation.remedy = remedy;
}

fn find<'a>(bridge: &'a Bridge, came_by: Option<&'a Link>, facts: &Device) -> Option<Finding<'a>> {
    came_by.and_then(|port| refused(bridge, port, facts)).or_else(|| undelivered(bridge, came_by, facts))
}

/// The port by which it came does not take it.
fn refused<'a>(bridge: &Bridge, port: &'a Link, facts: &Device) -> Option<Finding<'a>> {
    let of = port.port?;
    if of.state != FORWARDING {
        return Some(closed(port));
    }
    let known = matches!(bridge.source, Some(Entry::Port(index)) if index == port.index);
    let source = facts.frame.source.filter(|_| of.locked && bridge.source.is_some() && !known)?;
    let says = format!("bridge port {} is locked, and {} is not known behind it", port.name, mac(&source));
    Some(Finding { says, change: vec![(port, "locked off")] })
}

/// A port in a state in which nothing passes.
fn closed(port: &Link) -> Finding<'_> {
    if !port.works() {
        let says = format!("bridge port {} has no carrier or is down", port.name);
        return Finding { says, change: vec![(port, "up")] };
    }
    let state = port.port.unwrap_or_default().state_name();
    Finding { says: format!("bridge port {} is in state {state}", port.name), change: vec![(port, "state 3")] }
}

/// The port by which it was to leave does not take it, or there is none.
fn undelivered<'a>(bridge: &'a Bridge, came_by: Option<&'a Link>, facts: &Device) -> Option<Finding<'a>> {
    let address = mac(&facts.frame.destination?);
    match bridge.destination? {
        Entry::Port(_) => {
            let port = destination(bridge)?;
            let of = port.port?;
            match came_by {
                Some(same) if same.index == port.index && !of.hairpin => Some(Finding {
                    says: format!(
                        "{address} is behind bridge port {}, where it came in, and hairpin is off",
                        port.name
                    ),
                    change: vec![(port, "hairpin on")],
                }),
                _ if of.state != FORWARDING => Some(closed(port)),
                Some(came_by) => isolated(came_by, [port].into_iter()),
                None => None,
            }
        }
        // The entry may be in a VLAN that was not asked for.
        Entry::Missing if bridge.filters_vlans => None,
        Entry::Missing => flooded(bridge, came_by, &address),
    }
}

fn isolated<'a>(came_by: &'a Link, others: impl Iterator<Item = &'a Link>) -> Option<Finding<'a>> {
    let alone = |link: &Link| link.port.is_some_and(|port| port.isolated);
    let others = others.filter(|link| alone(link)).collect::<Vec<_>>();
    if others.is_empty() || !alone(came_by) {
        return None;
    }
    let says = format!("bridge port {} is isolated, and so is {}", came_by.name, names(&others));
    Some(Finding { says, change: vec![(came_by, "isolated off")] })
}

/// Nobody has the address, so it would go to all ports that take such frames.
fn flooded<'a>(bridge: &'a Bridge, came_by: Option<&'a Link>, address: &str) -> Option<Finding<'a>> {
    let came = came_by.map_or(0, |link| link.index);
    let others = bridge.ports.iter().filter(|port| port.index != came).collect::<Vec<_>>();
    let open = |link: &&&Link| link.port.is_some_and(|port| port.state == FORWARDING);
    let unknown = format!("{address} is unknown to {}", bridge.name);
    let dry = others.iter().filter(open).filter(|link| link.port.is_some_and(|port| !port.flood)).copied();
    let dry = dry.collect::<Vec<_>>();
    if !dry.is_empty() {
        let says = format!("{unknown}, and flooding is off on {}", names(&dry));
        return Some(Finding { says, change: dry.into_iter().map(|port| (port, "flood on")).collect() });
    }
    if let Some(finding) = came_by.and_then(|came_by| isolated(came_by, others.iter().copied())) {
        return Some(Finding { says: format!("{unknown}, and {}", finding.says), ..finding });
    }
    let none = others.iter().find(open).is_none();
    none.then(|| Finding { says: format!("{unknown}, and no other port of it forwards"), change: Vec::new() })
}

fn destination(bridge: &Bridge) -> Option<&Link> {
    match bridge.destination? {
        Entry::Port(index) => bridge.port(index),
        Entry::Missing => None,
    }
}

/// What the forwarding table says of both addresses.
fn table(bridge: &Bridge, facts: &Device) -> Vec<String> {
    let both =
        [("destination", facts.frame.destination, bridge.destination), ("source", facts.frame.source, bridge.source)];
    let sentence = |(role, address, entry): (&str, Option<[u8; 6]>, Option<Entry>)| {
        let address = mac(&address?);
        Some(match entry? {
            Entry::Missing => format!("its {role} {address} is not in the forwarding table of {}", bridge.name),
            Entry::Port(index) => {
                let port = bridge.port(index).map_or(&bridge.name, |port| &port.name);
                format!("its {role} {address} is behind {port} in the forwarding table of {}", bridge.name)
            }
        })
    };
    both.into_iter().filter_map(sentence).collect()
}

/// A port and its settings, as `bridge -d link show` calls them.
fn settings(bridge: &Bridge, link: &Link) -> String {
    let port = link.port.unwrap_or_default();
    let word = |on: bool| if on { "on" } else { "off" };
    format!(
        "port {} of {}: state {}, isolated {}, hairpin {}, flood {}, learning {}, locked {}",
        link.name,
        bridge.name,
        port.state_name(),
        word(port.isolated),
        word(port.hairpin),
        word(port.flood),
        word(port.learning),
        word(port.locked),
    )
}

fn names(links: &[&Link]) -> String {
    let shown = links.iter().take(MOST).map(|link| link.name.as_str()).collect::<Vec<_>>().join(", ");
    match links.len().checked_sub(MOST) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;
    use crate::node::device::{Frame, Port};

    const C0: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const S0: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn port(index: u32, port: Port) -> Link {
        let name = format!("r{index}");
        Link { index, name, is_up: true, has_carrier: true, port: Some(port), ..Link::default() }
    }

    fn said(ports: [Port; 2], destination: Entry, filters_vlans: bool) -> Explanation {
        let [first, second] = ports;
        let bridge = Bridge {
            name: "br0".into(),
            ports: vec![port(1, first), port(2, second)],
            destination: Some(destination),
            source: Some(Entry::Port(2)),
            filters_vlans,
            ..Bridge::default()
        };
        let frame = Frame { destination: Some(S0), source: Some(C0), ..Frame::default() };
        let facts = Device { link: Some(port(1, first)), frame, ..Device::default() };
        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "before");
        refine(&mut explanation, &bridge, &facts, &Observation::default());
        explanation
    }

    #[test]
    fn the_setting_of_the_port_is_named() {
        let open = Port::default();
        let alone = Port { isolated: true, ..open };
        let closed = Port { state: 0, ..open };
        let dry = Port { flood: false, ..open };
        let locked = Port { locked: true, ..open };
        for (ports, entry, wanted, remedy) in [
            ([closed, open], Entry::Port(2), "bridge port r1 is in state disabled", "bridge link set dev r1 state 3"),
            ([open, closed], Entry::Port(2), "bridge port r2 is in state disabled", "bridge link set dev r2 state 3"),
            (
                [alone; 2],
                Entry::Port(2),
                "bridge port r1 is isolated, and so is r2",
                "bridge link set dev r1 isolated off",
            ),
            (
                [open; 2],
                Entry::Port(1),
                "02:00:00:00:00:02 is behind bridge port r1, where it came in, and hairpin is off",
                "bridge link set dev r1 hairpin on",
            ),
            (
                [open, dry],
                Entry::Missing,
                "02:00:00:00:00:02 is unknown to br0, and flooding is off on r2",
                "bridge link set dev r2 flood on",
            ),
            (
                [locked, open],
                Entry::Port(2),
                "bridge port r1 is locked, and 02:00:00:00:00:01 is not known behind it",
                "bridge link set dev r1 locked off",
            ),
        ] {
            let said = said(ports, entry, false);
            assert_eq!((said.summary.as_str(), said.remedy[1].as_str()), (wanted, remedy));
            assert!(said.evidence.iter().any(|fact| fact.starts_with("port r1 of br0: state ")), "{:?}", said.evidence);
        }
    }

    #[test]
    fn what_explains_nothing_leaves_the_event_as_it_was() {
        let said = said([Port::default(); 2], Entry::Port(2), false);
        assert_eq!(said.summary, "before");
        assert_eq!(said.evidence.len(), 4);
    }

    #[test]
    fn vlans_are_not_guessed() {
        let dry = Port { flood: false, ..Port::default() };
        let said = said([dry; 2], Entry::Missing, true);
        assert_eq!(said.summary, "before");
        assert!(said.unknown.unwrap().contains("VLANs"));
    }
}
