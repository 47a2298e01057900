//! The handshake went through, and large segments do not.

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::{Point, Story};

pub(super) fn explain(story: &Story, at: Option<&Point>) -> Explanation {
    let goal = words::goal(story);
    let Some(resent) = &story.resent else { return super::nothing(story) };
    let header = if story.tuple.server.is_ipv4() { 20 } else { 40 };
    let told = words::icmp(story).filter(|(_, icmp)| icmp.mtu > 0);
    let summary = match told {
        Some((_, icmp)) => format!(
            "{} with up to {} bytes for {goal} do not get through: {} says that its next hop takes {} bytes",
            "segments", resent.longest, icmp.from, icmp.mtu
        ),
        None => format!(
            "the handshake with {goal} went through and segments with up to {} bytes do not: something on the way takes \
             smaller packets only, and does not say so",
            resent.longest
        ),
    };
    let confidence = if told.is_some() { Confidence::Derived } else { Confidence::Inferred };
    let mut explanation = Explanation::new(Cause::Mtu, confidence, summary);
    explanation.evidence.push(format!(
        "{} to {} sent {} with data again, {} of them large; the longest had {} bytes",
        resent.local,
        resent.remote,
        words::counted(resent.segments, "segment"),
        resent.large,
        resent.longest
    ));
    if let Some(at) = at {
        explanation.evidence.push(format!("they were to leave by {}", words::device(at)));
    }
    if resent.mss > 0 {
        explanation.evidence.push(format!("the connection's largest segment is {} bytes (mss_cache)", resent.mss));
    }
    if told.is_none() {
        explanation.evidence.push("no ICMP error \"fragmentation needed\" or \"packet too big\" came back".to_owned());
        words::doubt(&mut explanation, "which device on the way it is, and what it takes");
    }
    let at = at.or(story.sightings.last().map(|(point, _)| &**point));
    let (host, size) = (resent.remote.ip(), resent.longest.saturating_add(12));
    let probe = format!("ping -M do -s {size} -c 3 {host}");
    let path = format!("tracepath -n {host}");
    let ip = if host.is_ipv6() { "ip -6" } else { "ip" };
    let largest = resent.mss.max(resent.longest).saturating_add(header + 20);
    for command in [path, probe, format!("{ip} route get {host}")] {
        explanation.remedy.push(at.map_or_else(|| command.clone(), |at| words::within(&at.netns, &command)));
    }
    explanation.remedy.push(format!(
        "let ICMP \"fragmentation needed\" through on the way, or set an MTU below {largest} on the route or interface"
    ));
    explanation
}
