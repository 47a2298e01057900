//! Queries that nobody answered.

use super::{asked, command, dig, place, resolver_of, subject, times};
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::dns::{NODE_LOCAL, Query};
use crate::flow::{Lost, Point};

/// Where it went missing, as far as this node tells.
pub(super) fn explain(query: &Query) -> Explanation {
    if let Some(raced) = race(query) {
        return raced;
    }
    let who = resolver_of(query);
    let mut explanation = Explanation::new(Cause::Dns, Confidence::Inferred, String::new());
    explanation.evidence.push(asked(query));
    explanation.remedy.push(dig(query, " +tries=1"));
    if NODE_LOCAL.contains(&query.tuple.server.ip()) {
        node_local(query, &mut explanation);
        return explanation;
    }
    match &query.lost {
        Some(Lost::AfterNode { at }) => after_node(query, &who, at, &mut explanation),
        Some(Lost::InPod { at }) => in_pod(query, &who, at, &mut explanation),
        Some(Lost::InNetns { at }) => {
            explanation.summary = format!("{who} in {} did not answer {}", at.netns.name, subject(query));
            explanation.evidence.push(format!("it came in by {}, and no answer left", place(at)));
        }
        Some(Lost::Between { from }) => {
            explanation.summary =
                format!("the query for {} came in by {} and got no further that was seen", subject(query), place(from));
            explanation.evidence.push(format!("no other watched interface saw it, and {who} did not answer"));
            explanation.unknown = Some(
                "whether it was lost in this node or delivered to a program here: no drop of it was seen".to_owned(),
            );
        }
        Some(Lost::Answer { from } | Lost::AnswerElsewhere { answered: from, .. }) => {
            explanation.summary =
                format!("{who} answered {}, and the answer did not get to {}", subject(query), query.tuple.client.ip());
            explanation.confidence = Confidence::Derived;
            explanation.evidence.push(format!(
                "the answer was seen at {} and not at {}",
                place(from),
                place(&query.at)
            ));
            explanation.unknown = Some("what took the answer away: no drop of it was seen".to_owned());
        }
        // The last two are of connections only.
        Some(Lost::Unconfirmed { .. } | Lost::LargeSegments { .. }) | None => {
            explanation.summary = format!("{who} did not answer {}", subject(query));
        }
    }
    sibling(query, &mut explanation);
    explanation
}

/// It left, and what lies there is not seen.
fn after_node(query: &Query, who: &str, at: &Point, explanation: &mut Explanation) {
    let (place, server) = (place(at), query.tuple.server);
    explanation.summary =
        format!("the query for {} left {place} {} and {who} did not answer", subject(query), times(query.attempts));
    explanation.evidence.push(format!("no answer came back by {place}"));
    explanation.remedy.push(format!(
        "is {} there and does its program run; do security groups and firewalls on the way let udp port {} through, both ways",
        server.ip(),
        server.port()
    ));
}

/// A pod of this node has it.
fn in_pod(query: &Query, who: &str, at: &Point, explanation: &mut Explanation) {
    let pod = at.leads_to.as_ref().map_or_else(|| at.name.clone(), |netns| netns.name.to_string());
    explanation.summary = format!("the query for {} was handed to {pod} and {who} did not answer", subject(query));
    explanation.confidence = Confidence::Derived;
    explanation.evidence.push(format!("it left by {}, which leads to {pod}, and nothing came back", place(at)));
    if let Some(entry) = at.leads_to.as_ref().and_then(|netns| netns.entry_command()) {
        explanation.remedy.push(format!("{entry} ss -lunp '( sport = :{} )'", port_there(query)));
    }
    explanation.remedy.push("the log of the resolver there, and the CPU limit of its pod (throttling)".to_owned());
}

/// The resolver's port after translation.
fn port_there(query: &Query) -> u16 {
    query.translated.unwrap_or(query.tuple).server.port()
}

/// The resolver should be on this very node.
fn node_local(query: &Query, explanation: &mut Explanation) {
    let address = query.tuple.server.ip();
    let left = match &query.lost {
        Some(Lost::AfterNode { at }) => Some(at),
        _ => None,
    };
    explanation.summary =
        format!("node-local DNS ({address}) did not answer {}: is its pod running on this node?", subject(query));
    explanation.evidence.push(format!("{address} is the address that node-local-dns has on each node"));
    if let Some(at) = left {
        explanation.summary = format!(
            "node-local DNS is not on this node: the query for {} to {address} left by {}",
            subject(query),
            place(at)
        );
        explanation.confidence = Confidence::Derived;
    }
    explanation.remedy.push(format!("ip -brief address show to {address}"));
    explanation.remedy.push(format!("ss -lunp 'src {address}'"));
    explanation.remedy.push("kubectl -n kube-system get pods -o wide -l k8s-app=node-local-dns".to_owned());
}

/// What is known of the other type that was asked for from the same socket.
fn sibling(query: &Query, explanation: &mut Explanation) {
    if let Some(sibling) = query.sibling.as_ref().filter(|sibling| sibling.is_answered) {
        explanation
            .evidence
            .push(format!("its {} query from the same port at the same moment was answered", sibling.kind));
    }
}

/// Two first packets of one socket at once: connection tracking has an entry for each, and one of them can't be inserted.
///
/// It is proven by a drop that tells so; where only one of both was never seen to leave, it is likely.
pub(super) fn race(query: &Query) -> Option<Explanation> {
    let sibling = query.sibling.as_ref().filter(|sibling| sibling.is_answered)?;
    let tells = |text: &String| text.contains("insert_failed") || text.contains("by another packet first");
    let drop = query.drops.iter().find(|drop| {
        let explanation = &drop.explanation;
        !drop.is_answer && explanation.evidence.iter().chain([&explanation.summary]).any(tells)
    });
    let is_between = query.drops.is_empty() && matches!(query.lost, Some(Lost::Between { .. }));
    if drop.is_none() && !is_between {
        return None;
    }
    let summary = format!(
        "the query for {} lost a race in connection tracking against its {} query from the same port",
        subject(query),
        sibling.kind
    );
    let confidence = if drop.is_some() { Confidence::Derived } else { Confidence::Inferred };
    let mut explanation = Explanation::new(Cause::Dns, confidence, summary);
    explanation.evidence = vec![
        asked(query),
        format!(
            "its {} query was sent from the same port within {} microseconds, and was answered",
            sibling.kind,
            sibling.apart.div_ceil(1000)
        ),
    ];
    match (drop, &query.lost) {
        (Some(drop), _) => {
            explanation.evidence.push(format!(
                "it was dropped in {}: {}",
                super::netns(drop),
                drop.explanation.summary
            ));
            explanation.evidence.extend(drop.explanation.evidence.iter().take(2).cloned());
        }
        (None, Some(Lost::Between { from })) => {
            explanation.evidence.push(format!("it came in by {} and was seen to leave by no device", place(from)));
        }
        _ => {}
    }
    explanation.remedy = vec![
        command(query, "conntrack -S"),
        "let the client use a port for each query: options single-request-reopen in resolv.conf (glibc; spec.dnsConfig.options of a pod)".to_owned(),
        "or run node-local DNS, to which queries are not translated; or let the client use TCP: options use-vc".to_owned(),
    ];
    Some(explanation)
}
