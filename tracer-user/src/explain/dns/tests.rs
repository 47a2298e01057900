//! What is said of queries.

use std::sync::Arc;

use super::*;
use crate::flow::dns::{Question, Sibling, TcpFailure};
use crate::flow::{Lost, Rejection, Role, Tuple};
use crate::host::{Netns, NetnsName};

fn point(name: &str, role: Role, leads_to: Option<&str>) -> Arc<Point> {
    let named = |name: &str| {
        Arc::new(Netns {
            inode: 8,
            name: NetnsName::Named(name.into()),
            doors: vec![format!("/run/netns/{name}").into()],
        })
    };
    let netns = Arc::new(Netns { inode: 1, name: NetnsName::Host, doors: Vec::new() });
    Arc::new(Point { netns, index: 2, name: name.into(), role, leads_to: leads_to.map(named), kind: None })
}

/// `www.example`, asked of 10.0.0.10 by eth0.
fn query(outcome: QueryOutcome) -> Query {
    let tuple =
        Tuple { protocol: 17, client: "10.1.0.7:4000".parse().unwrap(), server: "10.0.0.10:53".parse().unwrap() };
    Query {
        tuple,
        translated: None,
        question: Question { name: "www.example".into(), kind: "A".into() },
        at: point("eth0", Role::Uplink, None),
        came_in: false,
        outcome,
        rcode: None,
        answer_count: 0,
        latency: None,
        beyond: None,
        attempts: 3,
        first: 0,
        last: 0,
        lost: None,
        rejection: None,
        drops: Vec::new(),
        tcp: None,
        sibling: None,
        search: None,
        answered_by: None,
    }
}

fn silent(lost: Lost) -> Query {
    Query { lost: Some(lost), ..query(QueryOutcome::NoAnswer) }
}

fn from_pod(query: Query) -> Query {
    Query { at: point("veth1", Role::Pod, Some("client")), came_in: true, ..query }
}

fn summary(query: &Query) -> String {
    explain(query).unwrap().summary
}

fn drop(summary: &str, evidence: &str) -> DropSeen {
    let mut explanation = Explanation::new(Cause::NetfilterRule, Confidence::Certain, summary);
    explanation.evidence.push(evidence.into());
    explanation.remedy.push("nft delete rule".into());
    let netns = crate::event::Netns { inode: 1, name: Some("host".into()), pod: None };
    let tuple = Tuple { protocol: 17, client: ([0; 4], 0).into(), server: ([0; 4], 0).into() };
    DropSeen { netns, time: 0, count: 2, is_answer: false, tuple, explanation }
}

#[test]
fn silence_beyond_the_node_is_inferred() {
    let said = explain(&silent(Lost::AfterNode { at: point("eth0", Role::Uplink, None) })).unwrap();
    assert_eq!(said.summary, "the query for www.example (A) left eth0 in host 3 times and 10.0.0.10 did not answer");
    assert_eq!((said.cause, said.confidence), (Cause::Dns, Confidence::Inferred));
    assert_eq!(said.remedy[0], "dig +tries=1 @10.0.0.10 www.example A");
}

#[test]
fn silence_of_a_pod_names_the_pod_and_enters_it() {
    let at = point("veth2", Role::Pod, Some("coredns"));
    let mut query = from_pod(silent(Lost::InPod { at }));
    query.translated = Some(Tuple { server: "10.2.0.3:1053".parse().unwrap(), ..query.tuple });
    let said = explain(&query).unwrap();
    assert!(said.summary.contains("was handed to coredns and 10.0.0.10 (translated to 10.2.0.3:1053) did not answer"));
    assert_eq!(said.remedy[0], "nsenter --net=/run/netns/client dig +tries=1 @10.0.0.10 www.example A");
    assert_eq!(said.remedy[1], "nsenter --net=/run/netns/coredns ss -lunp '( sport = :1053 )'");
}

#[test]
fn a_node_local_resolver_that_is_not_there_is_told_by_its_address() {
    let mut query = from_pod(silent(Lost::InNetns { at: point("veth1", Role::Pod, Some("client")) }));
    query.tuple.server = "169.254.20.10:53".parse().unwrap();
    assert!(summary(&query).starts_with("node-local DNS (169.254.20.10) did not answer www.example (A)"));
    query.lost = Some(Lost::AfterNode { at: point("eth0", Role::Uplink, None) });
    assert!(summary(&query).starts_with("node-local DNS is not on this node"), "{}", summary(&query));
}

#[test]
fn a_drop_is_told_as_what_it_is() {
    let mut query = query(QueryOutcome::Dropped);
    query.drops.push(drop("rule 1 of inet filter/forward drops it", "its counter rose"));
    let said = explain(&query).unwrap();
    assert_eq!(said.summary, "the query for www.example (A) was dropped here: rule 1 of inet filter/forward drops it");
    assert_eq!((said.cause, said.confidence), (Cause::NetfilterRule, Confidence::Certain));
    assert_eq!(said.remedy, ["nft delete rule"]);
    assert!(said.evidence.iter().any(|fact| fact == "its counter rose"));
}

#[test]
fn a_race_needs_an_answered_sibling_and_a_drop_or_a_gap() {
    let sibling = |is_answered| Some(Sibling { kind: "AAAA".into(), apart: 40_000, is_answered });
    let lost = Lost::Between { from: point("veth1", Role::Pod, Some("client")) };
    let raced = Query { sibling: sibling(true), ..from_pod(silent(lost.clone())) };
    let said = explain(&raced).unwrap();
    assert!(said.summary.contains("lost a race in connection tracking against its AAAA query"), "{}", said.summary);
    assert_eq!(said.confidence, Confidence::Inferred);
    assert!(said.remedy.iter().any(|step| step.contains("single-request-reopen")));
    assert!(!summary(&Query { sibling: sibling(false), ..from_pod(silent(lost)) }).contains("race"));
    let mut dropped = Query { sibling: sibling(true), ..query(QueryOutcome::Dropped) };
    dropped.drops.push(drop("no port", "insert_failed rose by 1"));
    assert_eq!(explain(&dropped).unwrap().confidence, Confidence::Derived);
    dropped.drops = vec![drop("a rule", "its counter rose")];
    assert!(!summary(&dropped).contains("race"));
}

#[test]
fn errors_are_the_resolvers_own() {
    let with = |rcode| Query { rcode: Some(rcode), latency: Some(3_000_000), ..query(QueryOutcome::Error) };
    let said = explain(&with(2)).unwrap();
    assert_eq!(said.summary, "10.0.0.10 answered SERVFAIL for www.example (A): it could not get an answer itself");
    assert_eq!(said.confidence, Confidence::Certain);
    assert!(summary(&with(5)).starts_with("10.0.0.10 refuses to answer www.example (A)"));
    assert_eq!(summary(&with(4)), "10.0.0.10 answered NOTIMP for www.example (A)");
    let cut = Query { rcode: Some(0), tcp: Some(TcpFailure::Reset), ..query(QueryOutcome::Error) };
    assert!(summary(&cut).ends_with("does not fit into a datagram, and tcp port 53 of 10.0.0.10 is refused"));
}

#[test]
fn who_refuses_is_named() {
    let from = |address: &str, code| {
        let rejection = Some(Rejection::Icmp { from: address.parse().unwrap(), kind: 3, code });
        Query { rejection, ..query(QueryOutcome::Rejected) }
    };
    assert_eq!(summary(&from("10.0.0.10", 3)), "nobody listens on udp port 53 of 10.0.0.10: it says so by ICMP");
    assert!(summary(&from("10.0.0.1", 3)).starts_with("10.0.0.1 refuses udp port 53 of 10.0.0.10"));
    assert!(summary(&from("10.0.0.1", 13)).starts_with("10.0.0.1 says by ICMP (type 3 code 13)"));
}

#[test]
fn a_search_path_is_worth_a_word_from_three_misses_on() {
    let search = |wasted| {
        let suffixes = vec!["ns.svc.cluster.local".to_owned(), "cluster.local".to_owned()];
        let search = Some(Search { base: "www.example".into(), suffixes, wasted });
        Query { search, rcode: Some(0), ..query(QueryOutcome::Answered) }
    };
    assert_eq!(explain(&search(2)), None);
    let said = explain(&search(4)).unwrap();
    assert!(said.summary.starts_with("www.example takes 5 queries of each type for one answer"), "{}", said.summary);
    assert!(said.remedy[0].ends_with("www.example."));
    let none = Query { outcome: QueryOutcome::NoSuchName, rcode: Some(3), ..search(4) };
    assert_eq!(summary(&none), "there is no name www.example, says 10.0.0.10, nor with 4 suffixes of the search path");
    assert_eq!(explain(&query(QueryOutcome::Answered)), None);
}

#[test]
fn slow_is_told_with_what_it_took() {
    let slow = Query { latency: Some(1_540_000_000), rcode: Some(0), attempts: 1, ..query(QueryOutcome::Slow) };
    assert_eq!(summary(&slow), "10.0.0.10 took 1.5 s to answer www.example (A)");
    let retried = Query { attempts: 2, latency: Some(5_003_000_000), ..slow };
    assert_eq!(summary(&retried), "10.0.0.10 answered www.example (A) after 5.0 s, when it was asked twice");
}

#[test]
fn a_hostile_name_runs_nothing() {
    let mut query = query(QueryOutcome::NoSuchName);
    query.rcode = Some(3);
    query.question.name = "$(reboot).example';id".into();
    let said = explain(&query).unwrap();
    assert_eq!(said.remedy[0], r"dig @10.0.0.10 '$(reboot).example'\'';id' A");
    query.question.name = "-x".into();
    assert!(explain(&query).unwrap().remedy[0].contains("'-x'"));
}
