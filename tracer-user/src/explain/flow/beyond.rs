//! It left this node, and nothing came back.

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::{Point, Story};
use crate::node::socket::diag::UDP;

pub(super) fn explain(story: &Story, at: &Point) -> Explanation {
    let summary =
        format!("{} to {} left {} and nothing came back", words::opens(story), words::goal(story), words::device(at));
    let mut explanation = Explanation::new(Cause::Upstream, Confidence::Inferred, summary);
    let waited = words::seconds(story.last.saturating_sub(story.first));
    if story.attempts > 1 {
        explanation.evidence.push(format!("the last {} was sent {waited} after the first", words::opener(story)));
    }
    explanation.evidence.push("no drop of its packets and no ICMP error about them was seen on this node".to_owned());
    explanation.evidence.push("it had a next hop: it would not have left without the link-layer address".to_owned());
    explanation.remedy = checks(story, at);
    words::doubt(&mut explanation, "who lost it: nothing beyond this interface can be seen from this node");
    explanation
}

/// What proves where it is lost, from here to the other end.
pub(super) fn checks(story: &Story, at: &Point) -> Vec<String> {
    let tuple = words::tuple_at(story, at);
    let (server, client) = (tuple.server, tuple.client);
    let (protocol, ip, port) = (words::protocol(tuple.protocol), server.ip(), server.port());
    let mut checks = vec![words::capture(at, &tuple, ip)];
    let probe = if words::is_tcp(story) { "-T" } else { "-U" };
    checks.push(words::within(&at.netns, &format!("traceroute -n {probe} -p {port} {ip}")));
    if tuple.protocol != UDP {
        checks.push(format!("from another node: nc -vz -w 3 {ip} {port}"));
    }
    checks.push(format!(
        "on {ip}: tcpdump -ni any '{protocol} port {port} and host {}' shows whether they arrive (then the answer is lost on \
         its way back) or not",
        client.ip()
    ));
    checks
}

/// Captures on all devices that saw it.
pub(super) fn capture_everywhere(story: &Story) -> Vec<String> {
    let of = |point: &Point| {
        let tuple = words::tuple_at(story, point);
        words::capture(point, &tuple, tuple.server.ip())
    };
    story.sightings.iter().take(4).map(|(point, _)| of(point)).collect()
}
