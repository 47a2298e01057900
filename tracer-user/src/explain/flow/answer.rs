//! An answer came back, and did not get to who asked.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::words;
use crate::event::{Cause, Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::explain::node::route;
use crate::explain::quoted;
use crate::flow::{Point, Story};
use crate::node::reverse_path::Setting;
use crate::node::silence::Silence;

/// It came in here and got no further.
pub(super) fn lost(story: &Story, from: &Point, silence: Option<&Silence>) -> Explanation {
    let answers = words::sighting(story, from).map_or(1, |sighting| sighting.answers.most().max(1));
    let came_in = format!(
        "{} of {} came in by {} and did not get to {}",
        words::counted(answers, words::reply(story)),
        words::goal(story),
        words::device(from),
        story.tuple.client
    );
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Inferred, came_in);
    explanation.evidence.push("no drop of the answer was seen on this node".to_owned());
    explanation.remedy = look(story, from);
    if !silence.is_some_and(|silence| not_forwarded(&mut explanation, story, from, silence)) {
        words::doubt(&mut explanation, "what took the answer behind this interface");
    }
    reverse_path(&mut explanation, story, from, silence, false);
    explanation
}

/// The namespace that it came in to can't send it on to the client.
fn not_forwarded(explanation: &mut Explanation, story: &Story, from: &Point, silence: &Silence) -> bool {
    let client = story.tuple.client.ip();
    let Some(routing) = silence.routing.as_deref().filter(|_| silence.is_local == Some(false)) else { return false };
    let is_off = routing.forwarding.as_ref().is_some_and(|forwarding| !forwarding.is_on(client.is_ipv6()));
    if !is_off {
        if let Some(way) = &routing.way
            && let crate::node::route::End::Route(told) = &way.end
        {
            explanation.evidence.push(format!("the route back to {client} is `{}` (table {})", told.text, told.table));
        }
        return false;
    }
    let entry = from.netns.entry_command();
    let symbol = if client.is_ipv6() { "ip6_forward" } else { "ip_error" };
    let drop = Observation {
        location: Some(symbol),
        source: Some(story.tuple.server.ip()),
        destination: Some(client),
        interface: Some(&from.name),
        netns_entry: entry.as_deref(),
        ..Observation::default()
    };
    let came_in = explanation.summary.clone();
    route::refine(explanation, routing, &drop);
    if explanation.summary != came_in {
        explanation.summary = format!("{came_in}: {}", explanation.summary);
    }
    explanation.confidence == Confidence::Derived
}

fn look(story: &Story, from: &Point) -> Vec<String> {
    let client = story.tuple.client.ip();
    let server = words::real_server(story).ip();
    let ip = if client.is_ipv6() { "ip -6" } else { "ip" };
    let device = quoted(&from.name);
    vec![
        words::within(&from.netns, &format!("{ip} route get {client} from {server} iif {device}")),
        words::within(&from.netns, &format!("conntrack -L -s {client}")),
        words::within(&from.netns, "nft list ruleset"),
    ]
}

/// It came back by another device than the one that was used.
pub(super) fn elsewhere(story: &Story, asked: &Point, answered: &Point, silence: Option<&Silence>) -> Explanation {
    let is_in = words::sighting(story, answered).is_none_or(|sighting| sighting.answers.egress == 0);
    let way = if is_in { "came in by" } else { "left by" };
    let before = match words::sighting(story, asked) {
        Some(sighting) if sighting.opened.egress == 0 => "came in by",
        _ => "left by",
    };
    let summary = format!(
        "{} to {} {before} {}, and the {} {way} {}",
        words::opens(story),
        words::goal(story),
        words::device(asked),
        words::reply(story),
        words::device(answered)
    );
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Inferred, summary);
    explanation.evidence.push(format!("asked by {}, answered by {}", words::device(asked), words::device(answered)));
    let server = words::real_server(story).ip();
    let ip = if server.is_ipv6() { "ip -6" } else { "ip" };
    explanation.remedy = vec![
        words::within(&asked.netns, &format!("{ip} route get {server}")),
        words::within(&answered.netns, "conntrack -S"),
        "let both ways use one interface: the route of the other side back to here, or a rule of the routing policy for the \
         source address"
            .to_owned(),
    ];
    if is_in {
        reverse_path(&mut explanation, story, answered, silence, true);
    }
    if explanation.cause == Cause::Unknown {
        words::doubt(
            &mut explanation,
            "what took the answer: a firewall that sees one direction only calls it invalid (connection tracking: INVALID)",
        );
    }
    explanation
}

/// What the reverse-path check makes of the answer. That it is strict explains only an answer from where the kernel would
/// not send to.
fn reverse_path(
    explanation: &mut Explanation,
    story: &Story,
    at: &Point,
    silence: Option<&Silence>,
    is_elsewhere: bool,
) {
    let IpAddr::V4(server) = words::real_server(story).ip() else { return };
    let Some(setting) = silence.and_then(|silence| silence.reverse_path.as_ref()) else { return };
    let Some(effective) = setting.effective() else { return };
    let (name, means) = (setting.name(&at.name), means(effective));
    explanation.evidence.push(format!("{name} is in effect {effective} ({means})"));
    if !is_elsewhere || effective != 1 {
        return;
    }
    explanation.cause = Cause::ReversePath;
    explanation.confidence = Confidence::Inferred;
    let _ = write!(
        explanation.summary,
        ", where rp_filter is 1 (strict): it refuses {server}, if its route is by the other"
    );
    explanation.sysctl = Some(vec![shown(setting, &at.name, effective)]);
    explanation.remedy.insert(1, words::within(&at.netns, &format!("sysctl -w {}=2", quoted(&name))));
}

const fn means(value: u32) -> &'static str {
    match value {
        0 => "off",
        1 => "strict: an answer must come in by the device that its sender's route leads to",
        _ => "loose: any route to the sender will do",
    }
}

fn shown(setting: &Setting, device: &str, effective: u32) -> Sysctl {
    let is_all = setting.all == Some(effective) && setting.own != Some(effective);
    let (of, value) = if is_all { ("all", setting.all) } else { (device, setting.own) };
    let value = value.unwrap_or(effective).to_string();
    Sysctl { name: setting.name(of), value, effective: effective.to_string() }
}
