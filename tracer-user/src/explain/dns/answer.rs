//! Answers that are of no use, or late.

use std::net::IpAddr;

use super::{asked, dig, duration, netns, place, resolver, resolver_of, search_evidence, search_remedy, subject};
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::dns::{Query, REFUSED, SERVFAIL, TcpFailure, rcode_name};
use crate::flow::{Rejection, Role};

fn explanation(query: &Query, confidence: Confidence, summary: String) -> Explanation {
    let mut explanation = Explanation::new(Cause::Dns, confidence, summary);
    explanation.evidence.push(asked(query));
    explanation
}

/// The resolver answered with an error, or with what can't be had whole.
pub(super) fn error(query: &Query) -> Explanation {
    if let Some(failure) = query.tcp {
        return truncated(query, failure);
    }
    let code = query.rcode.unwrap_or_default();
    let (who, what) = (resolver_of(query), subject(query));
    let summary = match code {
        SERVFAIL => format!("{who} answered SERVFAIL for {what}: it could not get an answer itself"),
        REFUSED => format!("{who} refuses to answer {what}: it does not serve this client or this name"),
        _ => format!("{who} answered {} for {what}", rcode_name(code)),
    };
    let mut explanation = explanation(query, Confidence::Certain, summary);
    explanation.evidence.push(answered(query));
    explanation.remedy = match code {
        SERVFAIL => vec![
            dig(query, ""),
            "the log of the resolver says what it asked in vain: its upstream servers (forward), the zone's own servers, or DNSSEC".to_owned(),
            format!("{} (it answers now: validation of signatures failed)", dig(query, " +cd")),
        ],
        REFUSED => vec![
            dig(query, ""),
            "let the resolver serve this client (allow-query, access-control, acl), or ask one that serves the name".to_owned(),
        ],
        _ => vec![dig(query, "")],
    };
    explanation
}

/// `it answered after 3 ms with SERVFAIL`.
fn answered(query: &Query) -> String {
    let code = query.rcode.map(rcode_name).unwrap_or_default();
    format!("the answer came after {} and says {code}", duration(query.latency.unwrap_or_default()))
}

/// The answer did not fit into a datagram, and TCP does not get through.
fn truncated(query: &Query, failure: TcpFailure) -> Explanation {
    let who = resolver_of(query);
    let why = match failure {
        TcpFailure::Silent => "is not answered",
        TcpFailure::Reset => "is refused",
    };
    let summary = format!(
        "the answer for {} does not fit into a datagram, and tcp port {} of {who} {why}",
        subject(query),
        query.tuple.server.port()
    );
    let mut explanation = explanation(query, Confidence::Derived, summary);
    explanation.evidence.push(format!(
        "the answer over UDP came after {} with the flag TC (truncated)",
        duration(query.latency.unwrap_or_default())
    ));
    explanation.evidence.push(format!("the client went on to TCP, which {why}"));
    explanation.remedy = vec![
        dig(query, " +tcp"),
        format!(
            "let tcp port {} through to the resolver, in network policies and firewalls as well",
            query.tuple.server.port()
        ),
    ];
    explanation
}

/// There is no such name.
pub(super) fn no_such_name(query: &Query) -> Explanation {
    let who = resolver_of(query);
    let (name, tail) = match &query.search {
        Some(search) => (&search.base, format!(", nor with {} suffixes of the search path", search.wasted)),
        None => (&query.question.name, String::new()),
    };
    let mut explanation = explanation(query, Confidence::Certain, format!("there is no name {name}, says {who}{tail}"));
    explanation.evidence.push(answered(query));
    explanation.remedy = vec![dig(query, ""), "check the name's spelling in the client's configuration".to_owned()];
    if let Some(search) = &query.search {
        explanation.evidence.extend(search_evidence(query, search));
        explanation.remedy.extend(search_remedy(search));
    }
    explanation
}

/// Somebody sent an ICMP error.
pub(super) fn rejected(query: &Query) -> Explanation {
    let port = query.tuple.server.port();
    let (summary, sure, remedy) = match &query.rejection {
        Some(Rejection::Icmp { from, kind, code }) if is_closed(*from, *kind, *code) => {
            let own = *from == query.tuple.server.ip() || query.translated.is_some_and(|to| to.server.ip() == *from);
            let who = resolver_of(query);
            if own {
                (
                    format!("nobody listens on udp port {port} of {who}: it says so by ICMP"),
                    Confidence::Certain,
                    format!(
                        "start the resolver on {}, or take it out of the clients' resolv.conf",
                        query.tuple.server.ip()
                    ),
                )
            } else {
                (
                    format!("{from} refuses udp port {port} of {who} by ICMP (port unreachable)"),
                    Confidence::Derived,
                    format!("look at the firewall of {from}: it answers for the resolver"),
                )
            }
        }
        Some(Rejection::Icmp { from, kind, code }) => (
            format!("{from} says by ICMP (type {kind} code {code}) that {} can't be reached", resolver_of(query)),
            Confidence::Derived,
            format!("look at the routes and the firewall of {from}"),
        ),
        Some(Rejection::Reset { at }) => (
            format!("the connection to tcp port {port} of {} was reset", resolver_of(query)),
            Confidence::Certain,
            format!("the reset was seen first at {}", place(at)),
        ),
        None => (format!("{} was refused", subject(query)), Confidence::Unknown, String::new()),
    };
    let mut explanation = explanation(query, sure, summary);
    if let Some(Rejection::Icmp { from, kind, code }) = &query.rejection {
        explanation.evidence.push(format!("an ICMP error (type {kind} code {code}) of {from} quotes the query"));
    }
    explanation.remedy = [dig(query, ""), remedy].into_iter().filter(|step| !step.is_empty()).collect();
    if let Some(drop) = query.drops.iter().find(|drop| !drop.is_answer) {
        // The resolver is on this node: its drop knows more.
        explanation.evidence.push(format!("it was dropped in {}: {}", netns(drop), drop.explanation.summary));
        explanation.remedy.extend(drop.explanation.remedy.iter().cloned());
    }
    explanation
}

/// Port unreachable, of ICMP (RFC 792) or ICMPv6 (RFC 4443).
fn is_closed(from: IpAddr, kind: u8, code: u8) -> bool {
    if from.is_ipv4() { (kind, code) == (3, 3) } else { (kind, code) == (1, 4) }
}

/// The answer came, and late.
pub(super) fn slow(query: &Query) -> Explanation {
    let took = duration(query.latency.unwrap_or_default());
    let who = resolver_of(query);
    let mut explanation;
    if query.attempts > 1 {
        let summary = format!("{who} answered {} after {took}, when it was asked {}", subject(query), times_of(query));
        explanation = self::explanation(query, Confidence::Inferred, summary);
        explanation.evidence.push("the first query or its answer was lost, or the resolver was too busy".to_owned());
        explanation.unknown =
            Some("which of them was lost: the tries of one transaction can't be told apart".to_owned());
    } else {
        let summary = format!("{who} took {took} to answer {}", subject(query));
        explanation = self::explanation(query, Confidence::Certain, summary);
    }
    explanation.evidence.push(format!("the answer came after {took} at {}", place(&query.at)));
    if let Some(beyond) = query.beyond {
        explanation
            .evidence
            .push(format!("{} of these passed beyond the last device that saw the query", duration(beyond)));
    }
    let is_outside = query.at.role == Role::Uplink && !query.came_in;
    let near = if is_outside { "the way to the resolver, and " } else { "" };
    explanation.remedy = vec![
        dig(query, ""),
        format!(
            "look at {near}the load of {}, and whether it has the name in its cache or has to ask others",
            resolver(query.tuple.server)
        ),
    ];
    explanation
}

fn times_of(query: &Query) -> String {
    super::times(query.attempts)
}
