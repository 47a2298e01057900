//! No route, a route that refuses, and a rule that refuses.

use super::{destination, ip, setting};
use crate::event::{Cause, Confidence, Explanation, Route};
use crate::explain::Observation;
use crate::explain::node::command;
use crate::node::route::{BLACKHOLE, End, PROHIBIT, Passed, Routing, Told, ToldRule, UNREACHABLE, Way, Why};

/// Routing programs by the `proto` of their routes.
const DAEMONS: [&str; 10] = ["babel", "bgp", "bird", "dhcp", "eigrp", "isis", "keepalived", "ospf", "rip", "zebra"];

pub(super) fn refine(explanation: &mut Explanation, state: &Routing, way: &Way, drop: &Observation<'_>) {
    explanation.confidence = Confidence::Derived;
    match &way.end {
        End::Route(route) => by_route(explanation, state, way, route, drop),
        End::Rule(rule) => by_rule(explanation, state, rule, drop),
        End::Nothing => none(explanation, state, way, drop),
    }
}

/// What the tables lead to now.
pub(super) fn now(end: &End) -> String {
    match end {
        End::Route(route) => format!("the route `{}` (table {}) {}", route.text, route.table, verb(route.kind)),
        End::Rule(rule) => format!("the ip rule `{}` refuses it", rule.text),
        End::Nothing => "no route leads there".to_owned(),
    }
}

fn by_route(explanation: &mut Explanation, state: &Routing, way: &Way, route: &Told, drop: &Observation<'_>) {
    let to = destination(drop);
    let Told { text, table, .. } = route;
    explanation.cause = Cause::RouteReject;
    explanation.summary = match route.kind {
        BLACKHOLE => format!("the route `{text}` (table {table}) swallows packets to {to}"),
        UNREACHABLE => format!("the route `{text}` (table {table}) answers packets to {to} with \"unreachable\""),
        _ => format!("the route `{text}` (table {table}) prohibits packets to {to}"),
    };
    explanation.route = Some(Route { text: text.clone(), table: Some(table.clone()) });
    explanation.evidence.extend(way.rule.as_ref().map(|rule| format!("the ip rule `{rule}` leads to table {table}")));
    explanation.evidence.extend(without(state));
    let delete = command(drop, &format!("{} route del {}", ip(drop), route.key));
    explanation.remedy = owned(explanation, route).into_iter().chain([delete]).collect();
    explanation.remedy.extend(then(state, drop));
    if explanation.owner.as_deref() == Some(CALICO) {
        // Felix puts it back, and without it the packet would go round between this node and its gateway.
        explanation.remedy.truncate(1);
    }
}

fn by_rule(explanation: &mut Explanation, state: &Routing, rule: &ToldRule, drop: &Observation<'_>) {
    let from = drop.source.map(|source| format!(" from {source}")).unwrap_or_default();
    let how = match rule.kind {
        BLACKHOLE => "swallows",
        UNREACHABLE => "answers with \"unreachable\"",
        _ => "prohibits",
    };
    explanation.cause = Cause::RouteReject;
    explanation.summary = format!("the ip rule `{}` {how} packets{from} to {}", rule.text, destination(drop));
    explanation.route = Some(Route { text: rule.text.clone(), table: None });
    explanation.evidence.extend(without(state));
    explanation.remedy = vec![command(drop, &format!("{} rule del {}", ip(drop), rule.key))];
    explanation.remedy.extend(then(state, drop));
}

fn none(explanation: &mut Explanation, state: &Routing, way: &Way, drop: &Observation<'_>) {
    let to = destination(drop);
    explanation.cause = Cause::NoRoute;
    explanation.remedy.clear();
    let reason = way.passed.iter().find_map(|passed| match &passed.why {
        Why::Throw(route) => Some((route, true)),
        Why::Dead(route) => Some((route, false)),
        _ => None,
    });
    let asked = asked(&way.passed);
    match reason {
        Some((route, true)) => throws(explanation, state, route, drop),
        Some((route, false)) => dead(explanation, state, route, drop),
        None => explanation.summary = format!("no route leads to {to}: {asked}"),
    }
    explanation.evidence.extend(reason.is_some().then_some(asked));
    explanation.evidence.extend(way.passed.iter().filter_map(|passed| match &passed.why {
        Why::Suppressed(route) => Some(format!(
            "the ip rule {} takes no route as wide as `{}` of table {} (suppress_prefixlength)",
            passed.priority, route.text, passed.table
        )),
        _ => None,
    }));
    explanation.evidence.extend(reserved(drop).map(str::to_owned));
    let lookup = format!("{} rule add to {to} lookup", ip(drop));
    for other in &state.elsewhere {
        let Told { text, table, .. } = &other.route;
        let mark = state.mark;
        explanation.evidence.push(match other.rules.as_slice() {
            [] => format!("`{text}` in table {table} leads there, but no ip rule leads to that table"),
            [rule, ..] => format!(
                "`{text}` in table {table} leads there, but the ip rule `{rule}` does not hold for this packet (mark \
                 {mark:#x})"
            ),
        });
        explanation.remedy.push(command(drop, &format!("{lookup} {table}")));
    }
    if explanation.remedy.is_empty() {
        explanation.remedy.push(add(drop));
    }
}

fn throws(explanation: &mut Explanation, state: &Routing, route: &Told, drop: &Observation<'_>) {
    let Told { text, table, .. } = route;
    explanation.summary = format!(
        "no route leads to {}: the route `{text}` (table {table}) ends the search in its table, and no other has one",
        destination(drop)
    );
    explanation.route = Some(Route { text: text.clone(), table: Some(table.clone()) });
    explanation.evidence.extend(without(state));
    let delete = command(drop, &format!("{} route del {}", ip(drop), route.key));
    if matches!(state.otherwise, Some(End::Route(_))) {
        explanation.remedy = owned(explanation, route).into_iter().chain([delete]).collect();
    }
}

fn dead(explanation: &mut Explanation, state: &Routing, route: &Told, drop: &Observation<'_>) {
    let Told { text, table, .. } = route;
    let device = route.device.as_deref().unwrap_or("its device");
    let ignores = state.linkdown.as_ref().filter(|setting| route.is_linkdown && setting.is_on());
    explanation.route = Some(Route { text: text.clone(), table: Some(table.clone()) });
    let why = if ignores.is_some() { "has no carrier" } else { "is down" };
    explanation.summary = format!(
        "the route `{text}` (table {table}) is not used while {device} {why}, and no other leads to {}",
        destination(drop)
    );
    if let Some(ignores) = ignores {
        explanation.sysctl = Some(vec![setting(ignores, &ignores.value)]);
    }
    let Some(name) = &route.device else { return };
    let quoted = crate::explain::quoted(name).into_owned();
    explanation.remedy.push(command(drop, &format!("ip -br link show dev {quoted}")));
    explanation.remedy.push(match ignores {
        Some(_) => format!("bring the carrier of {name} back: its cable, or the other end of its virtual link"),
        None => command(drop, &format!("ip link set dev {quoted} up")),
    });
}

/// The connection's own address is not there any more.
pub(super) fn source_is_gone(explanation: &mut Explanation, state: &Routing, drop: &Observation<'_>) {
    let Some(source) = drop.source else { return };
    let to = destination(drop);
    explanation.confidence = Confidence::Derived;
    explanation.summary =
        format!("{source} is no address of this namespace any more, so nothing is sent from it to {to}");
    if let Some(way) = &state.way {
        explanation.evidence.push(now(&way.end));
    }
    explanation.remedy = vec![
        command(drop, "ip -br addr show"),
        format!("give {source} back to its interface, or let the program connect again from an address that is there"),
    ];
}

/// The tables that were asked, without `local`, which has only this host's own addresses.
fn asked(passed: &[Passed]) -> String {
    let tables: Vec<_> = passed.iter().filter(|passed| passed.table != "local").collect();
    let list = |word: fn(&Passed) -> String| {
        let words: Vec<_> = tables.iter().map(|passed| word(passed)).collect();
        words.join(", ")
    };
    match tables.as_slice() {
        [] => "no ip rule leads it to a table".to_owned(),
        [only] => format!("table {} (ip rule {}) has none", only.table, only.priority),
        _ => format!(
            "the tables {} (ip rules {}) have none",
            list(|passed| passed.table.clone()),
            list(|passed| passed.priority.to_string())
        ),
    }
}

/// What the routing would be without what refuses.
fn without(state: &Routing) -> Option<String> {
    Some(match state.otherwise.as_ref()? {
        End::Route(route) => format!("without it, `{}` (table {}) {}", route.text, route.table, verb(route.kind)),
        End::Rule(rule) => format!("without it, the ip rule `{}` refuses", rule.text),
        End::Nothing => "without it, no route leads there".to_owned(),
    })
}

fn verb(kind: u8) -> &'static str {
    if matches!(kind, BLACKHOLE | UNREACHABLE | PROHIBIT) { "refuses it" } else { "leads there" }
}

/// What is needed after that, if anything.
fn then(state: &Routing, drop: &Observation<'_>) -> Option<String> {
    match state.otherwise.as_ref()? {
        End::Nothing => Some(add(drop)),
        _ => None,
    }
}

fn add(drop: &Observation<'_>) -> String {
    format!("add a route to {}, or a default route, by a router that knows it", destination(drop))
}

/// What Calico's Felix marks its routes with; it has no name in `rt_protos`.
const FELIX: &str = "80";
const CALICO: &str = "calico";

/// A route that a program keeps comes back.
fn owned(explanation: &mut Explanation, route: &Told) -> Option<String> {
    let words = route.text.split(' ').collect::<Vec<_>>();
    let protocol = words.windows(2).find_map(|pair| match pair {
        ["proto", name] => Some(*name),
        _ => None,
    });
    if protocol == Some(FELIX) && route.kind == BLACKHOLE {
        explanation.owner = Some(CALICO.to_owned());
        explanation.evidence.push(
            "proto 80 is what Calico gives its routes: the blackhole covers this node's block of pod addresses, where \
             each pod has a route of its own"
                .to_owned(),
        );
        return Some("find out what still sends there: no pod of this node has that address (any more)".to_owned());
    }
    let daemon = protocol.filter(|name| DAEMONS.contains(name))?;
    explanation.owner = Some(daemon.to_owned());
    Some(format!("change it where it comes from: {daemon} made it (proto {daemon}) and will make it again"))
}

fn reserved(drop: &Observation<'_>) -> Option<&'static str> {
    let std::net::IpAddr::V4(to) = drop.destination? else { return None };
    (to.octets()[0] >= 240).then_some("240.0.0.0/4 is reserved (RFC 1112, section 4): no network has such an address")
}
