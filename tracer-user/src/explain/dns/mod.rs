//! Why a DNS query failed or was slow.
//!
//! Rule: an answer is the resolver's own word, and is told as that; what lies beyond this node is `inferred`. Names come from
//! the network and are quoted for the shell wherever a command has them.

mod answer;
mod silence;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::event::{Cause, Confidence, Explanation, QueryOutcome};
use crate::flow::dns::{Query, Search};
use crate::flow::{DropSeen, Point};

use super::fill::quoted;

/// `None` for one that went well.
pub fn explain(query: &Query) -> Option<Explanation> {
    let mut explanation = match query.outcome {
        QueryOutcome::Answered | QueryOutcome::Search => return query.search.as_ref().and_then(|s| wasteful(query, s)),
        QueryOutcome::Slow => answer::slow(query),
        QueryOutcome::NoSuchName => answer::no_such_name(query),
        QueryOutcome::Error => answer::error(query),
        QueryOutcome::Rejected => answer::rejected(query),
        QueryOutcome::Dropped => dropped(query),
        QueryOutcome::NoAnswer => silence::explain(query),
    };
    if let Some(other) = query.answered_by {
        explanation.evidence.push(format!("{} answered the same question meanwhile", resolver(other)));
    }
    Some(explanation)
}

/// Misses of a search path before the useful answer that are worth a word.
const WORTH_A_WORD: u32 = 3;

/// A name that was found after several that do not exist.
fn wasteful(query: &Query, search: &Search) -> Option<Explanation> {
    if search.wasted < WORTH_A_WORD {
        return None;
    }
    let summary = format!(
        "{} takes {} queries of each type for one answer: the search path of the client is tried first",
        search.base,
        search.wasted + 1
    );
    let mut explanation = Explanation::new(Cause::Dns, Confidence::Derived, summary);
    explanation.evidence = search_evidence(query, search);
    explanation.remedy = search_remedy(search);
    Some(explanation)
}

fn search_evidence(query: &Query, search: &Search) -> Vec<String> {
    let dots = search.base.matches('.').count();
    vec![
        format!("{} {} queries before this one were answered with NXDOMAIN", search.wasted, query.question.kind),
        format!("the suffixes tried: {}", search.suffixes.join(", ")),
        format!(
            "{} has {dots} dots: a name with fewer dots than `ndots` (5 in pods) is tried with each suffix first",
            search.base
        ),
    ]
}

fn search_remedy(search: &Search) -> Vec<String> {
    vec![
        format!("write the name with a dot at its end in the client's configuration: {}.", search.base),
        "or lower ndots for the pod: spec.dnsConfig.options: [{name: ndots, value: \"2\"}]".to_owned(),
    ]
}

/// A packet of it was dropped on this node: the drop's own explanation, told of the query.
fn dropped(query: &Query) -> Explanation {
    let Some(drop) = query.drops.first() else { return silence::explain(query) };
    if let Some(raced) = silence::race(query) {
        return raced;
    }
    let what = if drop.is_answer { "the answer to" } else { "the query for" };
    let mut explanation = drop.explanation.clone();
    explanation.summary = format!("{what} {} was dropped here: {}", subject(query), drop.explanation.summary);
    let packets: u64 = query.drops.iter().map(|drop| drop.count).sum();
    let mut evidence = vec![asked(query), format!("packets of it that were dropped in {}: {packets}", netns(drop))];
    evidence.append(&mut explanation.evidence);
    explanation.evidence = evidence;
    explanation
}

fn netns(drop: &DropSeen) -> String {
    drop.netns.name.clone().unwrap_or_else(|| format!("netns {}", drop.netns.inode))
}

/// `www.example.com (A)`.
fn subject(query: &Query) -> String {
    let question = &query.question;
    if question.kind.is_empty() { question.name.clone() } else { format!("{} ({})", question.name, question.kind) }
}

/// `10.0.0.10`, with its port if it is an unusual one.
fn resolver(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

/// The resolver as the client named it, and the pod behind it.
fn resolver_of(query: &Query) -> String {
    let named = resolver(query.tuple.server);
    match query.translated {
        Some(translated) => format!("{named} (translated to {})", translated.server),
        None => named,
    }
}

/// `eth0 in host`.
fn place(at: &Point) -> String {
    format!("{} in {}", at.name, at.netns.name)
}

fn times(number: u32) -> String {
    match number {
        0 | 1 => "once".to_owned(),
        2 => "twice".to_owned(),
        number => format!("{number} times"),
    }
}

/// The fact behind everything here.
fn asked(query: &Query) -> String {
    let way = if query.came_in { "came in by" } else { "left by" };
    format!(
        "{} asked {} for {} over {}, {}; the query {way} {}",
        query.tuple.client,
        resolver_of(query),
        subject(query),
        if query.tuple.protocol == TCP { "TCP" } else { "UDP" },
        times(query.attempts),
        place(&query.at)
    )
}

const TCP: u8 = 6;

/// A command, entered into the namespace in which the query was seen first.
fn command(query: &Query, command: &str) -> String {
    let netns = query.client_netns().unwrap_or(&query.at.netns);
    match netns.entry_command() {
        Some(entry) => format!("{entry} {command}"),
        None => command.to_owned(),
    }
}

/// Asks the same by hand.
fn dig(query: &Query, more: &str) -> String {
    let question = &query.question;
    let name = if question.is_whole() && question.name != "?" { question.name.as_str() } else { "." };
    let kind = Some(question.kind.as_str()).filter(|kind| !kind.is_empty() && !kind.contains(' ')).unwrap_or("A");
    let server = query.tuple.server;
    let port = if server.port() == 53 { String::new() } else { format!(" -p {}", server.port()) };
    command(query, &format!("dig{more} @{}{port} {} {kind}", server.ip(), quoted(name)))
}

/// `1.5 s`, `130 ms`, `85 µs`.
fn duration(ns: u64) -> String {
    match ns / 1000 {
        us @ 0..1000 => format!("{us} µs"),
        us @ 1000..1_000_000 => format!("{} ms", us / 1000),
        us => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}
