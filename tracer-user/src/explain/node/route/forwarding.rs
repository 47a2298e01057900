//! The packet is for somebody else, and is not forwarded.

use std::net::IpAddr;

use super::{changed, destination, setting};
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::node::route::{BY_ADVERTISEMENT, End, Forwarding, Routing, Setting};
use crate::node::sysctl::dotted;

/// Whether the interface does not forward now.
pub(super) fn is_off(state: &Routing, drop: &Observation<'_>) -> bool {
    let is_foreign = state.is_local == Some(false);
    is_foreign && state.forwarding.as_ref().is_some_and(|forwarding| !forwarding.is_on(drop.is_ipv6()))
}

/// IPv6 forwards no packet whose source stays on its link either (RFC 4291, sections 2.5.2, 2.5.6).
pub(super) fn ipv6(explanation: &mut Explanation, state: &Routing, drop: &Observation<'_>) {
    let Some(IpAddr::V6(source)) = drop.source else { return off(explanation, state, drop) };
    let bound = source.is_unicast_link_local() || source.is_loopback() || source.is_unspecified();
    let Some(forwarding) = state.forwarding.as_ref().filter(|_| bound && !is_off(state, drop)) else {
        return off(explanation, state, drop);
    };
    explanation.confidence = Confidence::Derived;
    explanation.summary =
        format!("its source {source} is only good on its own link, so it is not forwarded to {}", destination(drop));
    explanation.evidence.push(format!("{}={}", dotted(&forwarding.all.name), forwarding.all.value));
    explanation
        .evidence
        .push("a router forwards nothing from a link-local address (RFC 4291, section 2.5.6)".to_owned());
    explanation.remedy = vec![format!("let the sender use a global address to reach {}", destination(drop))];
}

/// The interface does not forward.
pub(super) fn off(explanation: &mut Explanation, state: &Routing, drop: &Observation<'_>) {
    let (Some(forwarding), Some(input)) = (&state.forwarding, &state.input) else { return };
    let to = destination(drop);
    if state.is_local == Some(true) {
        return changed(explanation, &format!("{to} is an address of this namespace"));
    }
    if forwarding.is_on(drop.is_ipv6()) {
        return changed(explanation, &format!("{input} forwards"));
    }
    let settings = deciding(forwarding, drop);
    let Some(named) = settings.first() else { return };
    let shown = format!("{}={}", dotted(&named.name), named.value);
    let who = if *named == &forwarding.all { "this namespace" } else { input };
    explanation.cause = Cause::NoRoute;
    explanation.confidence = Confidence::Derived;
    explanation.sysctl = Some(settings.iter().map(|read| setting(read, "0")).collect());
    explanation.evidence.extend(settings.iter().map(|read| format!("{}={}", dotted(&read.name), read.value)));
    if state.is_local == Some(false) {
        explanation.evidence.push(format!("{to} is not an address of this namespace"));
    }
    if let Some(length) = state.subnet.filter(|_| state.is_local == Some(false)) {
        return missing(explanation, input, length, &shown, drop);
    }
    explanation.summary = format!("{shown}: {who} does not forward packets, and {to} is not an address of it");
    explanation.remedy = settings.iter().rev().map(|read| command(drop, &switch(read))).collect();
    explanation.remedy.push(format!("if {to} should be an address of this namespace, add it to its interface"));
    explanation.remedy.extend(advertised(state, drop));
    explanation.evidence.extend(forwarding.set_by.iter().map(ToString::to_string));
    let files =
        forwarding.set_by.iter().map(|line| format!("correct line {} of {} as well", line.line, line.path.display()));
    explanation.remedy.extend(files.map(|file| format!("{file}, or it is off again after the next boot")));
}

/// The destination belongs to the interface's own network: an address is missing.
fn missing(explanation: &mut Explanation, input: &str, length: u8, shown: &str, drop: &Observation<'_>) {
    let to = destination(drop);
    explanation.summary =
        format!("{to} is not an address of this namespace (any more), and {shown}: {input} forwards nothing");
    explanation
        .evidence
        .push(format!("{to} is in the /{length} network of {input}, whose other hosts are reached without a router"));
    let add = if drop.is_ipv6() { "ip -6 addr add" } else { "ip addr add" };
    explanation.remedy = vec![
        format!("if {to} has moved, let the sender forget the old place: ip neigh flush to {to}, run there"),
        command(drop, &format!("{add} {to}/{length} dev {}", quoted(input))),
    ];
}

/// The settings that keep it from forwarding, the widest first.
fn deciding<'a>(forwarding: &'a Forwarding, drop: &Observation<'_>) -> Vec<&'a Setting> {
    let all = (drop.is_ipv6() || !forwarding.all.is_on()).then_some(&forwarding.all);
    all.into_iter().chain(&forwarding.own).collect()
}

fn switch(setting: &Setting) -> String {
    format!("sysctl -w {}=1", quoted(&dotted(&setting.name)))
}

/// An IPv6 router takes no router advertisements (`ipv6_accept_ra`), which is where its own routes may come from.
fn advertised(state: &Routing, drop: &Observation<'_>) -> Option<String> {
    let Some(End::Route(route)) = state.way.as_ref().map(|way| &way.end) else { return None };
    let device = route.device.as_ref().filter(|_| drop.is_ipv6() && route.protocol == BY_ADVERTISEMENT)?;
    Some(format!(
        "set net.ipv6.conf.{device}.accept_ra=2 first: `{}` came by router advertisement, and with forwarding only 2 \
         takes them",
        route.text
    ))
}
