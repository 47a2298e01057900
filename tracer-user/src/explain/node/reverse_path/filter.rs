//! `rp_filter`: the answer would not leave by the interface that the packet came in by.
//!
//! Rule: a remedy is only told if the check lets the packet pass after it: `all` and the interface are combined to the
//! higher value, 2 (loose) beats 1 (strict), and loose still wants a route back and an address on the interface.

use netlink_packet_route::route::RouteType;

use super::wording::{boot, note, set, setting, surroundings, way_back};
use crate::event::Explanation;
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::node::reverse_path::{Checked, End, Route};

const STRICT: u32 = 1;

pub(super) fn explain(explanation: &mut Explanation, checked: &Checked, drop: &Observation<'_>) {
    let source = checked.source.to_string();
    explanation.summary = summary(checked);
    setting(explanation, &checked.settings.rp_filter, &checked.interface);
    if let Some(back) = &checked.back {
        way_back(explanation, back, &source);
    }
    if checked.has_address == Some(false) {
        explanation.evidence.push(format!("{} has no IPv4 address", checked.interface));
    }
    if checked.filter_refuses() == Some(false) {
        note(explanation, "why it is refused: the route back that was found does lead there");
    }
    mark(explanation, checked);
    surroundings(explanation, checked);
    explanation.remedy = remedy(checked, drop);
    cilium(explanation, checked);
    boot(explanation, checked, &checked.settings.rp_filter);
}

fn summary(checked: &Checked) -> String {
    let Checked { interface, source, .. } = checked;
    let mode = match checked.settings.rp_filter.effective() {
        Some(STRICT) => "rp_filter=1 (strict)".to_owned(),
        Some(mode) => format!("rp_filter={mode} (loose)"),
        None => "rp_filter".to_owned(),
    };
    let refused = format!("{mode} on {interface} refuses the source {source}");
    match checked.back.as_ref().map(|back| &back.end) {
        Some(End::Route(route)) if route.leaves_by(interface) => refused,
        Some(End::Route(route)) if checked.settings.rp_filter.effective() != Some(STRICT) => {
            format!(
                "{refused}: {interface} has no address, so that only a route back by {interface} counts ({})",
                route.text
            )
        }
        Some(End::Route(route)) => format!("{refused}: the route back leaves by {} ({})", devices(route), route.text),
        Some(End::Nowhere) => format!("{refused}: no route leads back to it"),
        Some(End::Refused(kind)) => format!("{refused}: the way back ends in a route or rule that is {kind}"),
        Some(End::Unknown(_)) | None => refused,
    }
}

fn devices(route: &Route) -> String {
    if route.devices.is_empty() { "no device".to_owned() } else { route.devices.join(" or ") }
}

/// Rules that look at marks see none, unless `src_valid_mark` is on.
fn mark(explanation: &mut Explanation, checked: &Checked) {
    if !checked.back.as_ref().is_some_and(|back| back.looks_at_mark) || checked.mark == 0 {
        return;
    }
    let mark = checked.mark;
    if checked.settings.src_valid_mark.is_on() {
        explanation
            .evidence
            .push(format!("the way back was looked up with the packet's mark {mark:#x} (src_valid_mark is on)"));
        return;
    }
    setting(explanation, &checked.settings.src_valid_mark, &checked.interface);
    explanation.evidence.push(format!("the way back was looked up without the packet's mark {mark:#x}"));
    if let Some(End::Route(route)) = checked.marked.as_ref().map(|marked| &marked.end) {
        let fact = format!("with the mark the route back is {} (table {})", route.text, route.table);
        explanation.evidence.push(fact);
    }
}

fn remedy(checked: &Checked, drop: &Observation<'_>) -> Vec<String> {
    let Checked { interface, source, settings, .. } = checked;
    let filter = &settings.rp_filter;
    let mut remedy = vec![command(drop, &format!("ip route get {source}"))];
    let end = checked.back.as_ref().map(|back| &back.end);
    if let Some(End::Route(marked)) = checked.marked.as_ref().map(|marked| &marked.end)
        && marked.leaves_by(interface)
    {
        remedy.push(set(drop, &[(settings.src_valid_mark.name(interface), 1)]));
    }
    remedy.extend(route_back(checked).map(|add| command(drop, &add)));
    let is_loose_enough = matches!(end, Some(End::Route(route)) if route.kind == RouteType::Unicast);
    if is_loose_enough && checked.has_address == Some(true) && checked.cilium.is_none() {
        remedy.push(set(drop, &[(filter.name(interface), 2)]));
        return remedy;
    }
    let off = [("all", filter.all), (interface, filter.own)];
    let off: Vec<(String, u32)> =
        off.into_iter().filter(|(_, value)| *value != Some(0)).map(|(of, _)| (filter.name(of), 0)).collect();
    if !off.is_empty() {
        remedy.push(set(drop, &off));
    }
    remedy
}

/// The route that would make it right, through the neighbour that sent the packet.
fn route_back(checked: &Checked) -> Option<String> {
    let neighbour = checked.neighbour?;
    let via = if neighbour == checked.source { String::new() } else { format!(" via {neighbour}") };
    let (verb, table) = match &checked.back.as_ref()?.end {
        End::Route(route) if route.kind == RouteType::Unicast => {
            let table = if route.table == "main" { String::new() } else { format!(" table {}", route.table) };
            (if route.prefix_length == 32 { "replace" } else { "add" }, table)
        }
        End::Nowhere => ("add", String::new()),
        _ => return None,
    };
    Some(format!("ip route {verb} {}{via} dev {}{table}", checked.source, quoted(&checked.interface)))
}

/// Cilium's agent routes with its own programs, so that the tables do not show the way back.
fn cilium(explanation: &mut Explanation, checked: &Checked) {
    const OVERRIDE: &str = "/etc/sysctl.d/99-zzz-override_cilium.conf";
    if let Some(device) = &checked.cilium {
        let fact = format!("Cilium runs here ({device}): it wants rp_filter 0 for all and its devices, by {OVERRIDE}");
        explanation.evidence.push(fact);
        // The kernel takes the higher of the device's and all's, and pods' devices come and go: a pattern of sysctl.d(5).
        let name = |device: &str| checked.settings.rp_filter.name(device);
        let (all, pods) = (name("all"), name("lxc*"));
        let own = name(&checked.interface);
        let second = if checked.interface.starts_with("lxc") { pods } else { own };
        explanation.remedy.push(format!(
            "keep it so on the node: printf '%s = 0\\n' {} {} >> {OVERRIDE}",
            quoted(&all),
            quoted(&second)
        ));
    } else if checked.interface.starts_with("cali") {
        let fact = "Calico sets rp_filter 1 on its devices, so that a pod sends from its own addresses only";
        explanation.evidence.push(fact.to_owned());
    }
}
