//! A device that takes nothing: it is off, or has no carrier.

use super::super::command;
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::{Observation, quoted};
use crate::node::device::{Holder, Holders, Link};
use crate::node::neighbour::link::Peer;

/// Says why packets cannot leave by this device, which does not work.
pub(in crate::explain::node) fn out_of_order(
    explanation: &mut Explanation,
    link: &Link,
    peer: Option<&Peer>,
    holders: Option<&Holders>,
    drop: &Observation<'_>,
) {
    let name = &link.name;
    let kind = link.kind.as_deref();
    let show = command(drop, &format!("ip -d -s link show dev {}", quoted(name)));
    let (summary, remedy) = match (peer, kind) {
        _ if !link.is_up => (format!("{name} is down"), command(drop, &format!("ip link set dev {} up", quoted(name)))),
        _ if link.has_carrier => (
            format!("{name} has a carrier, but does not run: it came a moment ago, or something below it is missing"),
            show.clone(),
        ),
        (Some(peer), _) if !peer.interface.is_up() => (
            format!("{name} has no carrier: its other end {} is down", peer.place()),
            peer.command(&format!("ip link set dev {} up", quoted(&peer.interface.name))),
        ),
        (_, Some("tun")) => (
            format!("{name} has no carrier: {}", unserved(holders)),
            format!("start the program that serves {name} (a VPN, a virtual machine), or remove the device"),
        ),
        (_, Some("bridge")) => (
            format!("{name} has no carrier: no port of the bridge works"),
            command(drop, &format!("bridge link show master {}", quoted(name))),
        ),
        (_, Some(kind)) => {
            (format!("{name} has no carrier: what the {kind} device leads to is not there"), show.clone())
        }
        (_, None) => (
            format!("{name} has no carrier: its cable or the other side of it is down"),
            command(drop, &format!("ethtool {}", quoted(name))),
        ),
    };
    explanation.summary = summary;
    explanation.cause = Cause::Device;
    explanation.confidence = Confidence::Derived;
    explanation.evidence.push(state(link));
    explanation.evidence.extend(peer.map(|peer| {
        let (interface, runs) = (&peer.interface, peer.interface.has_carrier());
        format!("its other end {} is {}", peer.place(), power(interface.is_up(), runs, false))
    }));
    explanation.remedy = vec![show.clone()];
    if remedy != show {
        explanation.remedy.push(remedy);
    }
}

/// Why a tun device has no carrier: it has one while a program has it open, if that did not take it off.
fn unserved(holders: Option<&Holders>) -> String {
    match holders.map(|holders| (holders.programs.first(), holders.partial)) {
        Some((Some(Holder { comm, pid, .. }), _)) => {
            format!("{comm} (pid {pid}) has the tun device open, but switched off")
        }
        Some((None, false)) => "no program has the tun device open".to_owned(),
        _ => "no program was found that has the tun device open".to_owned(),
    }
}

/// The device in one sentence.
pub(super) fn state(link: &Link) -> String {
    let kind = link.kind.as_deref().map_or(String::new(), |kind| format!(" ({kind})"));
    let counters = &link.counters;
    let lost = [
        ("rx_dropped", counters.received_dropped),
        ("rx_errors", counters.received_errors),
        ("tx_dropped", counters.sent_dropped),
        ("tx_errors", counters.sent_errors),
    ];
    let lost = lost.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!(", {name} {count}"));
    let power = power(link.is_up, link.has_carrier, link.is_dormant);
    format!("{}{kind} is {power}{}", link.name, lost.collect::<String>())
}

const fn power(is_up: bool, has_carrier: bool, is_dormant: bool) -> &'static str {
    match (is_up, has_carrier, is_dormant) {
        (false, ..) => "down",
        (true, false, _) => "up without a carrier",
        (true, true, true) => "up with a carrier, and does not run",
        (true, true, false) => "up with a carrier",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Interface, Netns, NetnsName};

    fn link(name: &str, kind: Option<&str>, is_up: bool) -> Link {
        Link { name: name.into(), kind: kind.map(str::to_owned), is_up, ..Link::default() }
    }

    fn said(link: &Link, peer: Option<&Peer>) -> Explanation {
        let mut explanation = Explanation::new(Cause::Qdisc, Confidence::Derived, "before");
        let entry = Observation { netns_entry: Some("nsenter --net=/run/netns/c"), ..Observation::default() };
        out_of_order(&mut explanation, link, peer, Some(&Holders::default()), &entry);
        explanation
    }

    #[test]
    fn the_other_end_is_named_with_its_namespace() {
        let netns = Netns { inode: 5, name: NetnsName::Named("s".into()), doors: vec!["/run/netns/s".into()] };
        let interface = Interface { name: "s0".into(), ..Interface::default() };
        let peer = Peer { netns, interface, is_here: false };
        let said = said(&link("c0", Some("veth"), true), Some(&peer));
        assert_eq!(said.summary, "c0 has no carrier: its other end s0 in s is down");
        assert_eq!(said.evidence, ["c0 (veth) is up without a carrier", "its other end s0 in s is down"]);
        assert_eq!(said.remedy[1], "nsenter --net=/run/netns/s ip link set dev s0 up");
        assert_eq!(said.cause, Cause::Device);
    }

    #[test]
    fn nothing_is_said_of_programs_that_was_not_seen() {
        let partial = Holders { programs: Vec::new(), partial: true };
        assert_eq!([None, Some(&partial)].map(unserved), ["no program was found that has the tun device open"; 2]);
        let one = Holder { pid: 7, comm: "vpn".into(), is_there: true };
        let open = Holders { programs: vec![one], partial: false };
        assert_eq!(unserved(Some(&open)), "vpn (pid 7) has the tun device open, but switched off");
    }

    #[test]
    fn each_kind_says_what_is_missing() {
        for (kind, is_up, wanted) in [
            (Some("veth"), false, "x0 is down"),
            (Some("tun"), true, "no program has the tun device open"),
            (Some("bridge"), true, "no port of the bridge works"),
            (Some("veth"), true, "what the veth device leads to is not there"),
            (None, true, "its cable"),
        ] {
            let said = said(&link("x0", kind, is_up), None);
            assert!(said.summary.contains(wanted), "{}", said.summary);
            assert!(!said.remedy.is_empty());
        }
        assert_eq!(
            said(&link("a b", None, false), None).remedy[1],
            "nsenter --net=/run/netns/c ip link set dev 'a b' up"
        );
    }
}
