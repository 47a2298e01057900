//! Queries from sightings: what is joined, when it is decided, and where it went missing.

use std::sync::Arc;

use super::*;
use crate::event::{Cause, Confidence, Explanation, QueryOutcome};
use crate::flow::{Batch, DropSeen, Icmp, Lost, Point, Points, Rejection, Role, Sighting, SightingId};
use crate::host::{Netns, NetnsName};

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;
const T0: u64 = 1000 * S;

const POD: u32 = 3;
const UPLINK: u32 = 2;
const DNS_POD: u32 = 4;

fn points() -> Arc<Points> {
    let host = Arc::new(Netns { inode: 1, name: NetnsName::Host, doors: Vec::new() });
    let pod = |name: &str, inode| Arc::new(Netns { inode, name: NetnsName::Named(name.into()), doors: Vec::new() });
    let mut points = Points::default();
    for (index, name, role, leads_to) in [
        (UPLINK, "eth0", Role::Uplink, None),
        (POD, "veth1", Role::Pod, Some(pod("client", 8))),
        (DNS_POD, "veth2", Role::Pod, Some(pod("coredns", 9))),
    ] {
        let netns = Arc::clone(&host);
        points.insert(Point { netns, index, name: name.into(), role, leads_to, kind: Some("veth".into()) });
    }
    Arc::new(points)
}

fn tuple(client: &str, server: &str) -> Tuple {
    Tuple { protocol: 17, client: client.parse().unwrap(), server: server.parse().unwrap() }
}

fn wire(name: &str, kind: u8) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0, 0, kind, 0, 1]).collect()
}

/// One query for `www.example` at one device, from port 4000 to 10.0.0.10, without an answer.
fn seen(ifindex: u32, id: u16, at: u64) -> QuerySighting {
    let is_in = ifindex == POD;
    QuerySighting {
        device: u64::from(ifindex) << 32,
        tuple: tuple("10.1.0.7:4000", "10.0.0.10:53"),
        dns_id: id,
        netns: 1,
        netns_cookie: 1,
        ifindex,
        tunnel: None,
        first: at,
        last: at,
        answered: None,
        asked: Pair { ingress: u32::from(is_in), egress: u32::from(!is_in) },
        answers: Pair::default(),
        original: None,
        answer_flags: 0,
        answer_count: 0,
        question: wire("www.example", 1),
    }
}

/// The same with its answer.
fn answered(seen: QuerySighting, at: u64, rcode: u16) -> QuerySighting {
    let answers = Pair { ingress: seen.asked.egress, egress: seen.asked.ingress };
    let answer_count = u16::from(rcode == 0);
    QuerySighting { answered: Some(at), last: at, answers, answer_flags: 0x8180 | rcode, answer_count, ..seen }
}

fn batch(read: u64, queries: Vec<QuerySighting>) -> Batch {
    Batch { read, points: points(), queries, ..Batch::default() }
}

fn taken(read: u64, queries: Vec<QuerySighting>) -> Vec<Query> {
    let mut book = Book::default();
    book.add(&batch(read, queries));
    book.take(read + MS, false)
}

#[test]
fn one_query_over_two_devices_and_translation_is_one() {
    let inside = tuple("10.1.0.7:4000", "10.96.0.10:53");
    let near = QuerySighting { tuple: inside, ..answered(seen(POD, 7, T0), T0 + 4 * MS, 0) };
    let far = QuerySighting {
        tuple: tuple("10.9.9.9:61000", "10.2.0.3:53"),
        original: Some(inside),
        ..answered(seen(UPLINK, 7, T0 + MS), T0 + 3 * MS, 0)
    };
    let queries = taken(T0 + 10 * MS, vec![far.clone(), near.clone()]);
    let [query] = &queries[..] else { panic!("{queries:#?}") };
    assert_eq!((query.tuple, query.outcome), (inside, QueryOutcome::Answered));
    assert_eq!((query.latency, query.beyond), (Some(4 * MS), Some(2 * MS)));
    assert_eq!(query.translated.unwrap().server, "10.2.0.3:53".parse().unwrap());
    assert_eq!((query.question.name.as_str(), query.question.kind.as_str()), ("www.example", "A"));
    assert_eq!((query.at.name.as_str(), query.client_netns().unwrap().inode), ("veth1", 8));
    // The same in two readings, the one that joins last.
    let mut book = Book::default();
    let pod_only = QuerySighting { answered: None, answers: Pair::default(), ..near.clone() };
    book.add(&batch(T0 + 2 * MS, vec![pod_only]));
    assert_eq!(book.take(T0 + 2 * MS, false), []);
    book.add(&batch(T0 + 10 * MS, vec![far, near]));
    assert_eq!(book.take(T0 + 10 * MS, false).len(), 1);
    assert_eq!(book.totals(), (1, 0));
}

#[test]
fn silence_is_told_after_the_next_try_would_have_come() {
    let mut book = Book::default();
    book.add(&batch(T0 + 5 * S, vec![seen(UPLINK, 7, T0)]));
    assert_eq!(book.take(T0 + 60 * S, false), [], "nothing was read since");
    // glibc asks again from the same socket; another one asks from a new one.
    let again = QuerySighting { asked: Pair { ingress: 0, egress: 2 }, last: T0 + 5 * S, ..seen(UPLINK, 7, T0) };
    let elsewhere = QuerySighting { tuple: tuple("10.1.0.7:4001", "10.0.0.10:53"), ..seen(UPLINK, 9, T0 + 6 * S) };
    book.add(&batch(T0 + 11 * S, vec![again, elsewhere]));
    assert_eq!(book.take(T0 + 11 * S, false), []);
    book.add(&batch(T0 + 12 * S + MS, Vec::new()));
    let queries = book.take(T0 + 12 * S + MS, false);
    let [query] = &queries[..] else { panic!("{queries:#?}") };
    assert_eq!((query.outcome, query.attempts), (QueryOutcome::NoAnswer, 3));
    assert!(matches!(&query.lost, Some(Lost::AfterNode { at }) if at.name == "eth0"), "{query:?}");
    assert_eq!((book.take(T0 + 90 * S, false), book.totals()), (Vec::new(), (1, 1)));
}

#[test]
fn what_is_asked_at_the_very_end_is_not_said_to_be_lost() {
    let end = |silence| {
        let mut book = Book::default();
        book.add(&batch(T0 + silence, vec![seen(UPLINK, 7, T0)]));
        book.take(T0 + silence, true).len()
    };
    assert_eq!((end(300 * MS), end(1500 * MS)), (0, 1));
}

#[test]
fn where_it_went_missing() {
    let lost = |queries: Vec<QuerySighting>| taken(T0 + 8 * S, queries).remove(0).lost.unwrap();
    assert!(matches!(lost(vec![seen(POD, 7, T0)]), Lost::Between { from } if from.name == "veth1"));
    let to_pod = vec![seen(POD, 7, T0), seen(DNS_POD, 7, T0 + MS)];
    assert!(matches!(lost(to_pod), Lost::InPod { at } if at.name == "veth2"));
    let node_local = QuerySighting { tuple: tuple("10.1.0.7:4000", "169.254.20.10:53"), ..seen(POD, 7, T0) };
    assert!(matches!(lost(vec![node_local]), Lost::InNetns { .. }));
}

#[test]
fn an_answer_that_does_not_get_to_the_client_is_lost_only_where_answers_are_seen() {
    let far = answered(seen(UPLINK, 7, T0 + MS), T0 + 3 * MS, 0);
    let pair = vec![seen(POD, 7, T0), far.clone()];
    assert_eq!(taken(T0 + S, pair.clone()), []);
    // A device that never shows answers: they take another way.
    let queries = taken(T0 + 3 * S, pair.clone());
    assert_eq!(queries.iter().map(|query| query.outcome).collect::<Vec<_>>(), [QueryOutcome::Answered]);
    let mut book = Book::default();
    book.add(&batch(T0, vec![answered(seen(POD, 1, T0 - S), T0 - S, 0)]));
    assert_eq!(book.take(T0, false).len(), 1);
    book.add(&batch(T0 + 8 * S, pair));
    let query = book.take(T0 + 8 * S, false).remove(0);
    assert_eq!(query.outcome, QueryOutcome::NoAnswer);
    assert!(matches!(&query.lost, Some(Lost::Answer { from }) if from.name == "eth0"), "{query:?}");
}

#[test]
fn errors_are_told_at_once_and_a_slow_answer_is_slow() {
    let of = |rcode, after| {
        let queries = taken(T0 + 3 * S, vec![answered(seen(UPLINK, 7, T0), T0 + after, rcode)]);
        queries.first().map(|query| query.outcome)
    };
    assert_eq!(of(2, MS), Some(QueryOutcome::Error));
    assert_eq!(of(5, MS), Some(QueryOutcome::Error));
    assert_eq!(of(0, 2 * S), Some(QueryOutcome::Slow));
    assert_eq!(of(3, MS), Some(QueryOutcome::NoSuchName));
    assert_eq!(of(3, 2 * S), None, "it is held: the client may go on");
}

#[test]
fn an_icmp_error_refuses() {
    let query = seen(UPLINK, 7, T0);
    let icmp = Icmp {
        from: "10.0.0.10".parse().unwrap(),
        count: 1,
        kind: 3,
        code: 3,
        mtu: 0,
        is_ingress: true,
        quotes_server: false,
        ttl: 64,
    };
    let mut book = Book::default();
    book.add(&Batch { sightings: vec![attempt(query.tuple, Some(icmp), T0 + MS)], ..batch(T0 + S, vec![query]) });
    let queries = book.take(T0 + S, false);
    assert_eq!(queries[0].outcome, QueryOutcome::Rejected);
    assert!(matches!(queries[0].rejection, Some(Rejection::Icmp { kind: 3, code: 3, .. })));
}

fn attempt(tuple: Tuple, icmp: Option<Icmp>, last: u64) -> Sighting {
    Sighting {
        id: SightingId { device: 1, tuple, first: last - MS },
        netns: 1,
        netns_cookie: 1,
        ifindex: UPLINK,
        tunnel: None,
        last,
        answered: None,
        opened: Pair { ingress: 0, egress: 1 },
        answers: Pair::default(),
        client_resets: Pair::default(),
        server_resets: Pair::default(),
        icmp,
        original: None,
        open_ttl: 64,
        answer_ttl: 0,
        reset_ttl: 0,
    }
}

#[test]
fn an_answer_that_was_cut_waits_for_tcp() {
    let mut cut = answered(seen(UPLINK, 7, T0), T0 + MS, 0);
    cut.answer_flags |= 0x0200;
    let tcp = Tuple { protocol: 6, client: "10.1.0.7:5000".parse().unwrap(), ..cut.tuple };
    let run = |connection: Option<Sighting>| {
        let mut book = Book::default();
        let sightings = connection.into_iter().collect();
        book.add(&Batch { sightings, ..batch(T0 + S, vec![cut.clone()]) });
        assert_eq!(book.take(T0 + S, false).len(), usize::from(book.totals().0 > 0));
        book.add(&batch(T0 + 5 * S, Vec::new()));
        book.take(T0 + 5 * S, false).first().map(|query| (query.outcome, query.tcp))
    };
    assert_eq!(run(None), Some((QueryOutcome::Answered, None)), "the client had no use for the rest");
    let silent = attempt(tcp, None, T0 + 3 * MS);
    assert_eq!(run(Some(silent)), Some((QueryOutcome::Error, Some(TcpFailure::Silent))));
    let open = Sighting { answered: Some(T0 + 3 * MS), answers: Pair { ingress: 1, egress: 0 }, ..silent };
    assert_eq!(run(Some(open)), None, "it was told at once");
}

fn dropped(summary: &str) -> DropSeen {
    let netns = crate::event::Netns { inode: 1, name: Some("host".into()), pod: None };
    let explanation = Explanation::new(Cause::NetfilterRule, Confidence::Certain, summary);
    let tuple = Tuple { protocol: 17, client: ([0; 4], 0).into(), server: ([0; 4], 0).into() };
    DropSeen { netns, time: T0 + MS, count: 1, is_answer: false, tuple, explanation }
}

#[test]
fn a_drop_is_joined_also_if_it_comes_first() {
    let mut book = Book::default();
    book.dropped(&tuple("10.1.0.7:4000", "10.0.0.10:53"), dropped("a rule"));
    book.dropped(&tuple("10.1.0.8:4000", "10.0.0.10:53"), dropped("another one"));
    book.add(&batch(T0 + 7 * S, vec![seen(POD, 7, T0)]));
    let query = book.take(T0 + 7 * S, false).remove(0);
    assert_eq!((query.outcome, query.drops.len()), (QueryOutcome::Dropped, 1));
}

#[test]
fn a_sibling_is_the_other_type_of_the_same_moment() {
    let other = QuerySighting { question: wire("www.example", 28), ..seen(POD, 8, T0 + MS / 10) };
    let queries = taken(T0 + 7 * S, vec![seen(POD, 7, T0), answered(other, T0 + MS, 0)]);
    let silent = queries.iter().find(|query| query.outcome == QueryOutcome::NoAnswer).unwrap();
    let sibling = silent.sibling.as_ref().unwrap();
    assert_eq!((sibling.kind.as_str(), sibling.is_answered, sibling.apart), ("AAAA", true, MS / 10));
}

fn asked(name: &str, id: u16, at: u64, rcode: u16) -> QuerySighting {
    let seen = QuerySighting { question: wire(name, 1), ..seen(UPLINK, id, at) };
    answered(seen, at + MS, rcode)
}

#[test]
fn misses_of_a_search_path_are_no_failures() {
    let suffixes = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"];
    let mut queries: Vec<_> = (1..)
        .zip(suffixes)
        .map(|(n, suffix)| asked(&format!("www.example.{suffix}"), n, T0 + u64::from(n) * 3 * MS, 3))
        .collect();
    queries.push(asked("WWW.example", 9, T0 + 20 * MS, 0));
    let found = taken(T0 + S, queries.clone());
    assert_eq!(found.iter().filter(|query| query.outcome == QueryOutcome::Search).count(), 3);
    let last = found.last().unwrap();
    assert_eq!(last.outcome, QueryOutcome::Answered);
    let search = last.search.as_ref().unwrap();
    assert_eq!((search.base.as_str(), search.wasted), ("WWW.example", 3));
    assert_eq!(search.suffixes, suffixes);
    // Nothing found at all: one name that does not exist.
    queries.pop();
    queries.push(asked("www.example", 9, T0 + 20 * MS, 3));
    let none = taken(T0 + 3 * S, queries);
    let told: Vec<_> = none.iter().filter(|query| query.outcome == QueryOutcome::NoSuchName).collect();
    assert_eq!((told.len(), told[0].question.name.as_str()), (1, "www.example"));
    assert_eq!(told[0].search.as_ref().unwrap().wasted, 3);
}

#[test]
fn port_and_id_may_be_used_again() {
    let mut book = Book::default();
    book.add(&batch(T0 + S, vec![answered(seen(UPLINK, 7, T0), T0 + MS, 0)]));
    assert_eq!(book.take(T0 + S, false).len(), 1);
    book.add(&batch(T0 + 4 * S, vec![answered(seen(UPLINK, 7, T0 + 3 * S), T0 + 3 * S + MS, 2)]));
    assert_eq!(book.take(T0 + 4 * S, false)[0].outcome, QueryOutcome::Error);
}

#[test]
fn a_flood_of_queries_is_counted_and_takes_no_more_room() {
    let mut book = Book::default();
    let one = |n: u64| {
        let client = format!("10.1.{}.{}:4000", n >> 8 & 0xff, n & 0xff);
        QuerySighting { tuple: tuple(&client, "10.0.0.10:53"), ..seen(UPLINK, 7, T0 + n) }
    };
    for part in 0..4 {
        book.add(&batch(T0 + 1, (part * 10_000..(part + 1) * 10_000).map(one).collect()));
    }
    assert_eq!(book.take(T0 + S, false).len(), 0);
    assert_eq!((book.totals().0, book.not_followed()), (0, 40_000 - 16_384));
}

#[test]
fn what_the_kernel_pushed_out_before_its_answer_is_not_called_lost() {
    let (near, far) = (seen(POD, 7, T0), seen(UPLINK, 7, T0 + MS));
    let told_without = |seen: &[&QuerySighting], gone: &QuerySighting| {
        let mut book = Book::default();
        book.add(&batch(T0 + 5 * MS, seen.iter().copied().cloned().collect()));
        let id = SightingId { device: gone.device, tuple: gone.tuple, first: gone.first };
        book.add(&Batch { gone_queries: vec![(id, gone.dns_id)], ..batch(T0 + S, Vec::new()) });
        book.add(&batch(T0 + 60 * S, Vec::new()));
        (book.take(T0 + 60 * S, false).len(), book.not_followed())
    };
    assert_eq!(told_without(&[&near, &far], &near), (0, 1), "the answer would have been seen there");
    assert_eq!(told_without(&[&near, &far], &far), (1, 0), "nothing came back to the client");
    assert_eq!(told_without(&[&near], &QuerySighting { dns_id: 8, ..near.clone() }), (1, 0), "another one");
    let had = answered(near.clone(), T0 + MS, 0);
    assert_eq!(told_without(&[&had], &had), (1, 0), "it was answered");
}

/// Looked up, not searched for: with a search for each it took minutes.
#[test]
fn thousands_of_silent_queries_are_decided_at_once() {
    let query = |index: u16| QuerySighting {
        question: wire(&format!("h{index}.example"), 1),
        ..seen(UPLINK, index, T0 + u64::from(index))
    };
    let mut book = Book::default();
    book.add(&batch(T0 + S, (0..8000).map(query).collect()));
    let pair = QuerySighting { question: wire("H7.example", 28), ..answered(seen(UPLINK, 9000, T0), T0 + MS, 0) };
    book.add(&batch(T0 + 7 * S, vec![pair]));
    let began = std::time::Instant::now();
    let queries = book.take(T0 + 7 * S, false);
    assert_eq!(queries.len(), 8001);
    let with_sibling: Vec<_> = queries.iter().filter(|query| query.sibling.is_some()).collect();
    let [one] = with_sibling[..] else { panic!("{with_sibling:?}") };
    assert_eq!((one.question.name.as_str(), one.sibling.as_ref().unwrap().kind.as_str()), ("h7.example", "AAAA"));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn what_is_not_wanted_is_neither_told_nor_counted() {
    let mut book = Book::default();
    let other = QuerySighting { tuple: tuple("10.1.0.8:4000", "10.0.0.10:53"), ..seen(UPLINK, 8, T0) };
    book.add(&batch(T0 + 10 * MS, vec![answered(seen(UPLINK, 7, T0), T0 + MS, 0), answered(other, T0 + MS, 2)]));
    let queries = book.take_of(T0 + 10 * MS, false, |query| query.outcome == QueryOutcome::Answered);
    assert_eq!((queries.len(), book.totals()), (1, (1, 0)));
}
