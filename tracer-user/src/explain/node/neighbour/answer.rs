//! Nobody answered for the next hop.

use super::{counts, entry, looks, questions, state};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::host::Interface;
use crate::node::neighbour::answerer::Answerer;
use crate::node::neighbour::hop::NextHop;
use crate::node::neighbour::{Lookup, Neighbours};

pub(super) fn refine(explanation: &mut Explanation, facts: &Neighbours, hop: &NextHop, drop: &Observation<'_>) {
    let why = why(facts, hop, drop);
    let because = why.as_ref().map(|why| format!(": {}", why.short)).unwrap_or_default();
    explanation.summary = format!(
        "the next hop {} on {} did not answer {}{}{because}",
        hop.address,
        hop.device_name,
        questions(hop),
        state(&facts.entry)
    );
    if matches!(&facts.entry, Lookup::Found(entry) if entry.state == "FAILED") {
        explanation.confidence = Confidence::Certain;
    }
    entry(explanation, facts, hop);
    asked(explanation, facts, hop);
    counts(explanation, facts, hop);
    let mut remedy = looks(hop, drop);
    if let Some(why) = why {
        explanation.evidence.push(why.fact);
        explanation.sysctl = why.sysctl.map(|sysctl| vec![sysctl]);
        remedy.extend(why.remedy);
    }
    remedy.push(probe(hop, drop));
    remedy.push(last_resort(hop));
    explanation.remedy = remedy;
}

fn asked(explanation: &mut Explanation, facts: &Neighbours, hop: &NextHop) {
    if let Some(asking) = facts.asking.filter(|asking| asking.probes > 0) {
        explanation.evidence.push(format!(
            "{} gives up after {} questions, {} ms apart",
            hop.device_name, asking.probes, asking.interval
        ));
    }
}

/// What was found to be the matter.
struct Why {
    short: String,
    fact: String,
    sysctl: Option<Sysctl>,
    remedy: Option<String>,
}

impl Why {
    fn new(short: String, fact: String) -> Self {
        Self { short, fact, sysctl: None, remedy: None }
    }
}

fn why(facts: &Neighbours, hop: &NextHop, drop: &Observation<'_>) -> Option<Why> {
    let device = facts.device.as_ref();
    if let Some(device) = device.filter(|device| !device.is_up()) {
        let mut why = Why::new(format!("{} is down", device.name), format!("{} is down", device.name));
        why.remedy = Some(command(drop, &format!("ip link set dev {} up", quoted(&device.name))));
        return Some(why);
    }
    if let Some(other) = &facts.answerer
        && let Some(why) = other_end(other, hop)
    {
        return Some(why);
    }
    let without_carrier = device.filter(|device| !is_running(device))?;
    let fact = format!("{} has no carrier: its link or its other end is down", without_carrier.name);
    Some(Why::new(format!("{} has no carrier", without_carrier.name), fact))
}

const fn is_running(device: &Interface) -> bool {
    device.flags & libc::IFF_RUNNING as u32 != 0
}

fn other_end(other: &Answerer, hop: &NextHop) -> Option<Why> {
    let (peer, place, asked) = (&other.peer, other.peer.place(), hop.address);
    let link = format!("{place}, the other end of {},", hop.device_name);
    if !peer.interface.is_up() {
        let mut why = Why::new(format!("{place} is down"), format!("{link} is down"));
        why.remedy = Some(peer.command(&format!("ip link set dev {} up", quoted(&peer.interface.name))));
        return Some(why);
    }
    if peer.interface.flags & libc::IFF_NOARP as u32 != 0 {
        let mut why = Why::new(format!("{place} does not use ARP"), format!("{link} has the flag NOARP"));
        why.remedy = Some(peer.command(&format!("ip link set dev {} arp on", quoted(&peer.interface.name))));
        return Some(why);
    }
    if let Some((name, value)) = other.arp_ignored() {
        let mut why = Why::new(
            format!("{place} has the address but {name} is {value} there"),
            format!("{link} has {asked}, and {name} is {value} there: it does not answer"),
        );
        let text = value.to_string();
        why.sysctl = Some(Sysctl { name: name.clone(), value: text.clone(), effective: text });
        why.remedy = Some(peer.command(&format!("sysctl -w {}=0", quoted(name))));
        return Some(why);
    }
    match &other.holder {
        // Behind a bridge or a router others may have it.
        None if peer.interface.master.is_none() => Some(nobody(other, hop, &link)),
        Some(holder) if !holder.is_usable => Some(Why::new(
            format!("{place} has it only tentatively"),
            format!("{link} has {asked}, but as tentative or dadfailed: duplicate address detection is not passed"),
        )),
        Some(holder) => Some(silent(other, hop, holder.device == peer.interface.index)),
        None => None,
    }
}

/// It has the address, so the question or the answer was lost, or the asker was not to its taste.
fn silent(other: &Answerer, hop: &NextHop, is_there: bool) -> Why {
    let (place, asked) = (other.peer.place(), hop.address);
    let link = format!("{place}, the other end of {},", hop.device_name);
    if asked.is_ipv6() && !is_there {
        return Why::new(
            format!("{place} has the address on another interface"),
            format!("the namespace of {link} has {asked} on another interface, and IPv6 answers for its own only"),
        );
    }
    let by = if asked.is_ipv4() {
        "arptables, an XDP or tc program), or its rp_filter or arp_filter refused the address that asked"
    } else {
        "ip6tables, nftables, an XDP or tc program)"
    };
    let mut why = Why::new(
        format!("{place} has the address and keeps silent"),
        format!("{link} has {asked} and is up: the question or its answer was filtered ({by}"),
    );
    why.remedy = Some(other.peer.command("nft -a list ruleset"));
    why
}

fn nobody(other: &Answerer, hop: &NextHop, link: &str) -> Why {
    let list = other.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let instead = if list.is_empty() { "no address of this family".to_owned() } else { list };
    Why::new(
        format!("{} does not have this address", other.peer.place()),
        format!("{link} does not have {}; it has {instead}", hop.address),
    )
}

fn probe(hop: &NextHop, drop: &Observation<'_>) -> String {
    let name = quoted(&hop.device_name);
    if hop.address.is_ipv4() {
        command(drop, &format!("arping -c 3 -I {name} {}", hop.address))
    } else {
        command(drop, &format!("ndisc6 {} {name}", hop.address))
    }
}

fn last_resort(hop: &NextHop) -> String {
    let filter = if hop.address.is_ipv4() { "ARP" } else { "ICMPv6 types 135 and 136" };
    match hop.route.as_ref().filter(|_| hop.is_gateway) {
        Some(route) => format!(
            "start the router {0}, or correct the route {1} if {0} is no router any more; nothing between may filter \
             {filter}",
            hop.address, route.text
        ),
        None => format!(
            "if {} moved or was deleted (a pod, a machine), stop sending to it; if it is there, it must be on the link of \
             {}, have this address, and nothing between may filter {filter}",
            hop.address, hop.device_name
        ),
    }
}
