//! Sources and destinations that are refused for what they are, and packets that ask for a way of their own.

use std::net::Ipv4Addr;

use super::wording::{boot, note, sender, set, setting, surroundings, way_back};
use crate::event::{Confidence, Explanation};
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::node::reverse_path::{Checked, End, Setting, SourceRoute};

const STRICT: u32 = 1;

/// Its own address came from outside.
pub(super) fn local_source(explanation: &mut Explanation, checked: &Checked, drop: &Observation<'_>) {
    let Checked { interface, source, settings, .. } = checked;
    let holder = match checked.back.as_ref().map(|back| &back.end) {
        Some(End::Route(route)) if !route.devices.is_empty() => format!(" (on {})", route.devices.join(" or ")),
        _ => String::new(),
    };
    explanation.summary =
        format!("its source {source} is an address of this machine{holder}, and accept_local is 0 on {interface}");
    setting(explanation, &settings.accept_local, interface);
    if let Some(back) = &checked.back {
        way_back(explanation, back, &source.to_string());
    }
    surroundings(explanation, checked);
    let mut accept = vec![(settings.accept_local.name(interface), 1)];
    let is_here = match checked.back.as_ref().map(|back| &back.end) {
        Some(End::Route(route)) => route.leaves_by(interface),
        _ => true,
    };
    // Taken as a source, it must still pass the filter.
    if !is_here && settings.rp_filter.effective() == Some(STRICT) {
        accept.push((settings.rp_filter.name(interface), 2));
    }
    explanation.remedy = vec![
        command(drop, "ip -br addr show"),
        command(drop, &format!("arping -D -c 2 -I {} {source}", quoted(interface))),
        set(drop, &accept),
    ];
    boot(explanation, checked, &settings.accept_local);
}

/// Nobody can be answered there.
pub(super) fn never_a_source(explanation: &mut Explanation, checked: &Checked, drop: &Observation<'_>) {
    let source = checked.source;
    let what = match checked.back.as_ref().map(|back| &back.end) {
        Some(End::Route(route)) => format!("no address of a host here ({})", route.text),
        _ => never(source).to_owned(),
    };
    if let Some(back) = &checked.back {
        way_back(explanation, back, &source.to_string());
    }
    explanation.summary = format!("its source {source} is {what}: nobody can be answered there");
    surroundings(explanation, checked);
    explanation.remedy = vec![capture(checked, drop)];
    explanation.remedy.extend(checked.sender.map(|mac| format!("look at the sender: {}", sender(mac, checked))));
}

const fn never(address: Ipv4Addr) -> &'static str {
    if address.is_multicast() {
        "a multicast address"
    } else if address.is_broadcast() {
        "the broadcast address"
    } else {
        "that of a host which has no address yet"
    }
}

/// An address of 127.0.0.0/8 on the wire.
pub(super) fn loopback(explanation: &mut Explanation, checked: &Checked, drop: &Observation<'_>) {
    let Checked { interface, source, destination, settings, .. } = checked;
    setting(explanation, &settings.route_localnet, interface);
    surroundings(explanation, checked);
    if destination.is_loopback() {
        explanation.summary =
            format!("its destination {destination} is a loopback address, and route_localnet is 0 on {interface}");
        let name = settings.route_localnet.name(interface);
        explanation.remedy = vec![
            command(drop, &format!("sysctl {}", quoted(&name))),
            "if a rule translates to it (a host port, a node port), translate to another address of the node"
                .to_owned(),
            set(drop, &[(name, 1)]),
        ];
        boot(explanation, checked, &settings.route_localnet);
        return;
    }
    explanation.summary = format!("its source {source} is a loopback address, which may not come in by {interface}");
    explanation.remedy = vec![capture(checked, drop)];
    let who =
        checked.sender.map_or_else(|| "the sender".to_owned(), |mac| format!("the sender, {}", sender(mac, checked)));
    explanation
        .remedy
        .push(format!("make {who} translate the source of what it sends from 127.0.0.0/8 to others (MASQUERADE)"));
}

/// The packet itself says by whom it is to go.
pub(super) fn source_route(explanation: &mut Explanation, checked: &Checked, drop: &Observation<'_>) {
    let Checked { interface, settings, .. } = checked;
    let setting_of = &settings.accept_source_route;
    let option = match checked.source_route {
        Some(SourceRoute::Strict) => "strict source route (SSRR)",
        _ => "loose source route (LSRR)",
    };
    explanation.evidence.push(format!("its header has the IP option {option}"));
    setting(explanation, setting_of, interface);
    surroundings(explanation, checked);
    explanation.remedy = vec!["send it without the option: routers refuse it on purpose (RFC 7126)".to_owned()];
    if setting_of.is_on() {
        explanation.confidence = Confidence::Inferred;
        explanation.summary = format!("its IP option {option} can't be followed from {interface}");
        note(explanation, "what of the option is wrong: accept_source_route is on");
        return;
    }
    explanation.summary = format!("its IP option {option} is refused: accept_source_route is 0 on {interface}");
    let on = missing(setting_of, interface);
    if !on.is_empty() {
        explanation.remedy.push(set(drop, &on));
    }
    boot(explanation, checked, setting_of);
}

/// Those that must be turned on as well.
fn missing(setting: &Setting, interface: &str) -> Vec<(String, u32)> {
    let both = [("all", setting.all), (interface, setting.own)];
    both.into_iter().filter(|(_, value)| *value == Some(0)).map(|(of, _)| (setting.name(of), 1)).collect()
}

fn capture(checked: &Checked, drop: &Observation<'_>) -> String {
    command(drop, &format!("tcpdump -nevi {} host {}", quoted(&checked.interface), checked.source))
}
