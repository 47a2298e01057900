//! It came in by a device, and no device here saw it go on.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{arrived, words};
use crate::event::{Cause, Confidence, Explanation, Program, Route};
use crate::explain::Observation;
use crate::explain::node::route;
use crate::explain::quoted;
use crate::flow::{Point, Story};
use crate::node::route::{End, LOCAL, UNICAST};
use crate::node::silence::Silence;

pub(super) fn explain(story: &Story, from: &Arc<Point>, silence: Option<&Silence>) -> Explanation {
    let Some(silence) = silence else { return unread(story, from) };
    if silence.is_local == Some(true) {
        // It is for the namespace itself.
        return arrived::in_netns(story, from, Some(silence));
    }
    let mut explanation = refused(story, from, silence).unwrap_or_else(|| way(story, from, silence));
    programs(&mut explanation, from, silence);
    explanation
}

/// `5 SYNs to tcp 10.0.0.1:80 came in by eth0 of the host`.
fn came_in(story: &Story, from: &Point) -> String {
    format!("{} to {} came in by {}", words::opens(story), words::goal(story), words::device(from))
}

fn unread(story: &Story, from: &Point) -> Explanation {
    let summary = format!("{} and no other interface saw them leave", came_in(story, from));
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Inferred, summary);
    explanation.evidence.push("no drop of its packets was seen on this node".to_owned());
    explanation.remedy = look(story, from);
    words::doubt(&mut explanation, "what took them behind this interface");
    explanation
}

fn look(story: &Story, from: &Point) -> Vec<String> {
    let tuple = words::tuple_at(story, from);
    let (to, client) = (tuple.server.ip(), tuple.client.ip());
    let ip = if to.is_ipv6() { "ip -6" } else { "ip" };
    let device = quoted(&from.name);
    vec![
        words::within(&from.netns, &format!("{ip} route get {to} from {client} iif {device}")),
        words::within(&from.netns, &format!("bpftool net show dev {device}")),
        words::within(&from.netns, "nft list ruleset"),
    ]
}

/// The namespace does not forward, or has no route that leads on.
fn refused(story: &Story, from: &Point, silence: &Silence) -> Option<Explanation> {
    let routing = silence.routing.as_deref()?;
    let tuple = words::tuple_at(story, from);
    let is_ipv6 = tuple.server.is_ipv6();
    let is_off = routing.forwarding.as_ref().is_some_and(|forwarding| !forwarding.is_on(is_ipv6));
    let refuses = match &routing.way.as_ref()?.end {
        End::Route(route) => !matches!(route.kind, UNICAST | LOCAL) && route.kind > 5,
        End::Rule(_) | End::Nothing => true,
    };
    if !is_off && !refuses {
        return None;
    }
    let entry = from.netns.entry_command();
    // Where the kernel ends such packets, so that the explanation is that of a drop there.
    let symbol = match (is_ipv6, is_off) {
        (false, _) => "ip_error",
        (true, true) => "ip6_forward",
        (true, false) => "ip6_pkt_drop",
    };
    let drop = Observation {
        location: Some(symbol),
        protocol: Some(tuple.protocol),
        source: Some(tuple.client.ip()),
        destination: Some(tuple.server.ip()),
        destination_port: Some(tuple.server.port()),
        interface: Some(&from.name),
        netns_entry: entry.as_deref(),
        ..Observation::default()
    };
    let mut explanation = Explanation::new(Cause::NoRoute, Confidence::Inferred, String::new());
    route::refine(&mut explanation, routing, &drop);
    let why = std::mem::take(&mut explanation.summary);
    if why.is_empty() {
        return None;
    }
    explanation.summary = format!("{} and went no further: {why}", came_in(story, from));
    explanation.evidence.push("the drop itself was not seen".to_owned());
    Some(explanation)
}

/// Where its route leads.
fn way(story: &Story, from: &Point, silence: &Silence) -> Explanation {
    let Some(End::Route(route)) = silence.routing.as_ref().and_then(|routing| Some(&routing.way.as_ref()?.end)) else {
        return unread(story, from);
    };
    let namespace = words::namespace(&from.netns);
    let came_in = came_in(story, from);
    let summary = if route.kind == LOCAL {
        format!(
            "{came_in}, and the route `{}` of {namespace} hands them to a program there, which did not answer",
            route.text
        )
    } else {
        let device = route.device.as_deref().unwrap_or("another interface");
        format!("{came_in}, were to leave by {device}, and were not seen there")
    };
    let cause = if route.kind == LOCAL { Cause::NoAnswer } else { Cause::Unknown };
    let mut explanation = Explanation::new(cause, Confidence::Inferred, summary);
    explanation.route = Some(Route { text: route.text.clone(), table: Some(route.table.clone()) });
    explanation.evidence.push(format!("the route there is `{}` (table {})", route.text, route.table));
    explanation.evidence.push("no drop of its packets was seen on this node".to_owned());
    explanation.remedy = look(story, from);
    if route.kind == LOCAL {
        let port = story.tuple.server.port();
        explanation.remedy.insert(0, words::within(&from.netns, "ss -lntup"));
        explanation
            .evidence
            .push(format!("a proxy (TPROXY) takes packets to port {port} so, on whatever port it listens"));
    }
    words::doubt(&mut explanation, "what took them behind this interface");
    explanation
}

/// Programs that may have sent it another way.
fn programs(explanation: &mut Explanation, from: &Point, silence: &Silence) {
    for standing in &silence.programs {
        let program = &standing.program;
        let owner = program.owner.map(|owner| format!(", of {}", owner.name)).unwrap_or_default();
        explanation.evidence.push(format!(
            "the BPF program {} (id {}{owner}) runs at {} {}, and may redirect them past other interfaces",
            program.name, program.id, from.name, standing.at
        ));
    }
    let [only] = &silence.programs[..] else { return };
    if explanation.confidence == Confidence::Inferred && explanation.cause == Cause::Unknown {
        let owner = only.program.owner.map(|owner| owner.name.to_owned());
        let _ = write!(
            explanation.summary,
            "; the BPF program {} at {} may have redirected them",
            only.program.name, only.at
        );
        explanation.owner.clone_from(&owner);
        explanation.program = Some(Program {
            id: only.program.id,
            name: only.program.name.clone(),
            kind: only.program.kind.clone(),
            attach: format!("{} {}", from.name, only.at),
            owner,
        });
        explanation.remedy.insert(0, format!("bpftool prog show id {}", only.program.id));
    }
}
