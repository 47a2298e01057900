//! Each case of what was seen and what the policies say, and that nothing is counted twice or lost.

use std::sync::Arc;

use tracer_policy::evaluate::{self, Direction, Verdict as Says, Why};
use tracer_policy::model::{NetworkPolicy, ObjectName, Pod, Policy as Object, Selector};
use tracer_policy::read;

use super::seen::Seen;
use super::side::{Told, tell};
use super::*;
use crate::event::{
    Cause, Confidence, Endpoint, Explanation, Flow, Outcome, Policy, PolicyDirection, PolicyVerdict, Translated,
};
use crate::flow::{Story, Tuple, Way};
use crate::kubernetes::{Change, Index, Origin, PodSeen, Selection, Span};

use Confidence::{Certain, Derived};
use PolicyDirection::{Egress, Ingress};
use PolicyVerdict::{Allowed, Denied};

const WEB: &str = "10.0.0.7:40000";
const DB: &str = "10.0.1.9:5432";
const API: &str = "10.0.2.3:80";
const FAR: &str = "192.0.2.9:443";
const SECOND: u64 = 1_000_000_000;

/// Web and db on this node, api on another; `None`: nobody knows the policies.
fn index(policies: Option<&[Object]>) -> Index {
    let mut index = Index::default();
    let pods = [("web", "10.0.0.7", Some(11)), ("db", "10.0.1.9", Some(12)), ("api", "10.0.2.3", None)];
    for (name, address, netns) in pods {
        let uid = format!("uid-{name}");
        let pod = Pod { addresses: [address.parse().unwrap()].into(), ..Pod::new("shop", name, uid) };
        let seen = PodSeen { origin: Origin::Runtime, pod, since: 0, netns, containers: Vec::new() };
        index.apply(Change::Pod(Box::new(seen)));
    }
    for policy in policies.unwrap_or_default() {
        index.apply(Change::Object(read::Object::Policy(Arc::new(policy.clone()))));
    }
    index.apply(Change::PoliciesKnown(policies.is_some()));
    index
}

/// It selects all pods of the namespace, and allows nothing in one direction.
fn deny_all(direction: Direction) -> Object {
    let none = || Some(Box::default());
    let (ingress, egress) = match direction {
        Direction::Ingress => (none(), None),
        Direction::Egress => (None, none()),
    };
    let id = ObjectName::new("shop", "deny-all");
    Object::Network(NetworkPolicy { id, pods: Selector::default(), ingress, egress })
}

fn flow(source: &str, destination: &str, outcome: Outcome, explanation: Option<Explanation>) -> Flow {
    Flow {
        time: String::new(),
        outcome,
        protocol: "tcp".into(),
        source: Endpoint::of(source),
        destination: Endpoint::of(destination),
        translated: None,
        attempts: 1,
        first: "2026-11-21T14:13:10.138000000Z".into(),
        last: String::new(),
        rtt_us: None,
        seen: Vec::new(),
        explanation,
    }
}

fn said(cause: Cause) -> Explanation {
    Explanation::new(cause, Certain, "a rule of calico drops it")
}

/// A drop that an engine's own rule says is a policy's.
fn by_policy(direction: PolicyDirection) -> Explanation {
    let policy = Policy {
        direction,
        verdict: Denied,
        selected_by: Vec::new(),
        decided_by: None,
        nearest: None,
        enforced_by: Some("calico".into()),
        contradiction: None,
    };
    Explanation { policy: Some(policy), ..said(Cause::NetworkPolicy) }
}

fn judged(flow: &Flow, index: &Index) -> Judged {
    judge(flow, 3, &Selection::default(), index, Span::at(SECOND))
}

/// Direction, verdict and confidence of each.
fn words(judged: &Judged) -> Vec<(PolicyDirection, PolicyVerdict, Confidence)> {
    judged.verdicts.iter().map(|one| (one.direction, one.verdict, one.confidence)).collect()
}

#[test]
fn each_end_that_is_a_pod_of_this_node_has_a_verdict() {
    let index = index(Some(&[]));
    let both = judged(&flow(WEB, DB, Outcome::Established, None), &index);
    assert_eq!(words(&both), [(Egress, Allowed, Certain), (Ingress, Allowed, Certain)]);
    let [egress, ingress] = both.verdicts.as_slice() else { panic!("{both:#?}") };
    assert_eq!((egress.netns.inode, ingress.netns.inode, egress.attempts), (11, 12, 3));
    assert_eq!(egress.destination.pod.as_ref().map(|pod| pod.name.as_str()), Some("db"));
    assert!(egress.policy.as_ref().is_some_and(|policy| policy.selected_by.is_empty()), "{egress:#?}");
    let of = |source, destination| words(&judged(&flow(source, destination, Outcome::Established, None), &index));
    assert_eq!(of(WEB, FAR), [(Egress, Allowed, Certain)]);
    assert_eq!(of(FAR, DB), [(Ingress, Allowed, Certain)]);
    assert_eq!(of(WEB, API), [(Egress, Allowed, Certain)], "a pod of another node");
    assert_eq!(judged(&flow(FAR, "192.0.2.10:80", Outcome::NoAnswer, None), &index), Judged::default());
}

#[test]
fn the_end_behind_a_service_is_the_one_that_was_reached() {
    let mut reached = flow(WEB, "10.96.0.1:80", Outcome::Established, None);
    reached.translated = Some(Translated { source: Endpoint::of(WEB), destination: Endpoint::of(DB) });
    let told = judged(&reached, &index(Some(&[])));
    assert_eq!(words(&told), [(Egress, Allowed, Certain), (Ingress, Allowed, Certain)]);
    assert_eq!(told.verdicts[0].destination.port, Some(5432));
}

#[test]
fn a_drop_by_a_policy_is_denied_in_its_direction() {
    let index = index(Some(&[]));
    let of = |direction| judged(&flow(WEB, DB, Outcome::Dropped, Some(by_policy(direction))), &index);
    let ingress = of(Ingress);
    assert_eq!(words(&ingress), [(Egress, Allowed, Derived), (Ingress, Denied, Certain)]);
    let denied = &ingress.verdicts[1];
    assert_eq!(denied.enforced_by.as_deref(), Some("calico"));
    let contradiction = "the policies allow it, yet a rule of calico drops it";
    assert_eq!(denied.policy.as_ref().unwrap().contradiction.as_deref(), Some(contradiction));
    assert!(denied.evidence.iter().any(|fact| fact == contradiction), "{denied:#?}");
    let egress = of(Egress);
    assert_eq!((words(&egress), egress.undecided), (vec![(Egress, Denied, Certain)], 0), "it never came further");
}

#[test]
fn without_the_direction_the_only_pod_of_this_node_denied_it() {
    let index = index(None);
    let dropped = || Some(said(Cause::NetworkPolicy));
    let of = |source, destination| judged(&flow(source, destination, Outcome::Dropped, dropped()), &index);
    assert_eq!(words(&of(FAR, DB)), [(Ingress, Denied, Certain)]);
    assert_eq!(words(&of(WEB, FAR)), [(Egress, Denied, Certain)]);
    assert_eq!((words(&of(WEB, DB)), of(WEB, DB).undecided), (Vec::new(), 2));
}

#[test]
fn silence_is_a_denial_only_where_a_policy_demands_it() {
    let silent = |cause| flow(WEB, DB, Outcome::NoAnswer, Some(said(cause)));
    let allowed = judged(&silent(Cause::NoAnswer), &index(Some(&[])));
    assert_eq!(words(&allowed), [(Egress, Allowed, Derived), (Ingress, Allowed, Derived)]);
    assert_eq!(allowed.verdicts[0].outcome, Outcome::NoAnswer);
    let unknown = judged(&silent(Cause::NoAnswer), &index(None));
    assert_eq!((words(&unknown), unknown.undecided), (Vec::new(), 2), "nobody knows the policies");
    let ingress = index(Some(&[deny_all(Direction::Ingress)]));
    let denied = judged(&silent(Cause::NoAnswer), &ingress);
    assert_eq!(words(&denied), [(Egress, Allowed, Derived), (Ingress, Denied, Derived)]);
    let policy = denied.verdicts[1].policy.as_ref().unwrap();
    assert_eq!((policy.selected_by[0].name.as_str(), policy.verdict), ("deny-all", Denied));
    let otherwise = judged(&silent(Cause::ListenOverflow), &ingress);
    assert_eq!((words(&otherwise), otherwise.undecided), (vec![(Egress, Allowed, Derived)], 1));
    let egress = judged(&silent(Cause::NoAnswer), &index(Some(&[deny_all(Direction::Egress)])));
    assert_eq!((words(&egress), egress.undecided), (vec![(Egress, Denied, Derived)], 0));
}

#[test]
fn what_was_answered_though_a_policy_denies_it_was_not_enforced() {
    let told = judged(&flow(WEB, DB, Outcome::Established, None), &index(Some(&[deny_all(Direction::Ingress)])));
    assert_eq!(words(&told), [(Egress, Allowed, Certain), (Ingress, Allowed, Certain)]);
    let policy = told.verdicts[1].policy.as_ref().unwrap();
    assert_eq!(policy.verdict, Denied, "what the policies say stays");
    assert!(policy.contradiction.as_ref().unwrap().starts_with("not enforced"), "{policy:#?}");
    assert_eq!(told.verdicts[0].policy.as_ref().unwrap().contradiction, None);
}

#[test]
fn what_another_node_denies_is_told_beside() {
    let silent = flow(WEB, API, Outcome::NoAnswer, Some(said(Cause::Upstream)));
    let told = judged(&silent, &index(Some(&[deny_all(Direction::Ingress)])));
    assert_eq!(words(&told), [(Egress, Allowed, Derived)]);
    let beside = "the policies of the other end, on another node, deny it: NetworkPolicy shop/deny-all";
    assert!(told.verdicts[0].evidence.iter().any(|fact| fact == beside), "{told:#?}");
}

#[test]
fn what_was_answered_is_allowed_also_where_policies_are_not_known() {
    let told = judged(&flow(WEB, FAR, Outcome::Established, None), &index(None));
    assert_eq!(words(&told), [(Egress, Allowed, Certain)]);
    assert_eq!(told.verdicts[0].policy, None);
    assert!(told.verdicts[0].evidence.iter().any(|fact| fact.contains("not known")), "{told:#?}");
}

#[test]
fn only_pods_that_are_asked_for_are_told() {
    let asked = |name: &str| Selection::parse(&[format!("shop/{name}")], &[], None).unwrap();
    let index = index(Some(&[]));
    let of = |name| judge(&flow(WEB, FAR, Outcome::Established, None), 1, &asked(name), &index, Span::at(1));
    assert_eq!((of("web").verdicts.len(), of("db").verdicts.len()), (1, 0));
}

fn side(verdict: Says) -> evaluate::Side {
    evaluate::Side { verdict, ..evaluate::Side::open(Direction::Ingress, Why::Default) }
}

/// Of an ingress that no policy was seen to deny.
fn told(seen: Seen<'_>, says: Option<Says>) -> Told {
    tell(Ingress, seen, None, says.map(side).as_ref())
}

#[test]
fn what_was_seen_decides_over_what_the_policies_say() {
    let is = |verdict, confidence| Told::Is { verdict, confidence, contradiction: None };
    let through = Seen::Through(Certain);
    assert_eq!(told(through, Some(Says::Allowed)), is(Allowed, Certain));
    assert_eq!(told(through, Some(Says::Unknown)), is(Allowed, Certain));
    let other = said(Cause::NoRoute);
    for (seen, denied, allowed, unknown) in [
        (Seen::Silent, is(Denied, Derived), is(Allowed, Derived), Told::Undecided),
        (Seen::Engine(&other), is(Denied, Derived), is(Allowed, Derived), Told::Undecided),
        (Seen::Otherwise(&other), Told::Undecided, is(Allowed, Derived), Told::Undecided),
    ] {
        assert_eq!(told(seen, Some(Says::Denied)), denied, "{seen:?}");
        assert_eq!(told(seen, Some(Says::Allowed)), allowed, "{seen:?}");
        assert_eq!(told(seen, Some(Says::Unknown)), unknown, "{seen:?}");
        assert_eq!(told(seen, None), Told::Undecided, "{seen:?}");
    }
}

#[test]
fn what_failed_is_told_apart_by_its_explanation() {
    let kind = |outcome, explanation: Option<Explanation>| {
        let flow = flow(WEB, DB, outcome, explanation);
        match Seen::of(&flow) {
            Seen::Through(Certain) => "answered",
            Seen::Through(_) => "through",
            Seen::Denied(..) => "denied",
            Seen::Engine(_) => "engine",
            Seen::Otherwise(_) => "otherwise",
            Seen::Silent => "silent",
        }
    };
    let owned = |owner: &str| Explanation { owner: Some(owner.into()), ..said(Cause::NetfilterRule) };
    assert_eq!(kind(Outcome::Established, None), "answered");
    assert_eq!(kind(Outcome::Rejected, Some(said(Cause::NoSocket))), "through");
    assert_eq!(kind(Outcome::Rejected, Some(said(Cause::NetworkPolicy))), "denied");
    assert_eq!(kind(Outcome::Rejected, Some(owned("kube-router"))), "engine");
    assert_eq!(kind(Outcome::Dropped, Some(owned("calico"))), "engine");
    assert_eq!(kind(Outcome::Dropped, Some(owned("user"))), "otherwise");
    assert_eq!(kind(Outcome::NoAnswer, Some(said(Cause::Upstream))), "otherwise");
    assert_eq!(kind(Outcome::NoAnswer, Some(said(Cause::NoAnswer))), "silent");
    assert_eq!(kind(Outcome::Dropped, Some(said(Cause::Unknown))), "silent");
}

fn story(client: &str, outcome: Outcome, first: u64) -> Story {
    let tuple = Tuple { protocol: 6, client: client.parse().unwrap(), server: DB.parse().unwrap() };
    Story {
        tuple,
        translated: None,
        way: Way::Local,
        outcome,
        rejection: None,
        lost: None,
        sightings: Vec::new(),
        drops: Vec::new(),
        resent: None,
        attempts: 1,
        first,
        last: first + 1,
        rtt: None,
    }
}

#[test]
fn connections_between_the_same_ends_are_one_line_and_all_are_counted() {
    let mut ledger = Ledger::default();
    for port in 0..1000 {
        ledger.add(&story(&format!("10.0.0.7:{}", 40_000 + port), Outcome::Established, port), SECOND);
    }
    ledger.add(&story("10.0.0.8:40000", Outcome::Established, 5), SECOND);
    let due = ledger.due(SECOND, false);
    assert_eq!(due.iter().map(|due| due.attempts).collect::<Vec<_>>(), [1000, 1]);
    assert_eq!((due[0].story.first, due[0].story.last), (0, 1000), "the time of all of them");
    assert!(ledger.due(SECOND, true).is_empty(), "told once");
}

#[test]
fn what_failed_waits_for_its_explanation_and_not_for_ever() {
    let silent = story(WEB, Outcome::NoAnswer, 1);
    let mut ledger = Ledger::default();
    ledger.add(&silent, SECOND);
    assert!(ledger.due(2 * SECOND, false).is_empty());
    ledger.told(&silent, &flow(WEB, DB, Outcome::NoAnswer, Some(said(Cause::NoAnswer))));
    assert!(ledger.due(2 * SECOND, false)[0].flow.is_some());
    ledger.add(&silent, SECOND);
    assert_eq!(ledger.due(8 * SECOND, false).len(), 1, "late");
    ledger.add(&silent, SECOND);
    assert_eq!(ledger.due(SECOND, true).len(), 1, "at the end");
}

#[test]
fn too_many_different_ends_are_counted() {
    let mut ledger = Ledger::default();
    for host in 0..5000_u32 {
        let client = std::net::Ipv4Addr::from(0x0a00_0000 + host);
        ledger.add(&story(&format!("{client}:4000"), Outcome::Established, 1), SECOND);
    }
    let judged = ledger.due(SECOND, false).len() as u64;
    assert_eq!(judged + ledger.totals().not_judged, 5000);
    assert!(ledger.totals().not_judged > 0);
}

#[test]
fn each_verdict_is_counted_with_a_line_or_without() {
    let mut ledger = Ledger::default();
    let verdicts = judged(&flow(WEB, DB, Outcome::Dropped, Some(by_policy(Ingress))), &index(Some(&[]))).verdicts;
    verdicts.iter().for_each(|verdict| ledger.count(verdict, verdict.verdict == Denied));
    ledger.undecided(2);
    let totals = ledger.totals();
    assert_eq!((totals.allowed, totals.denied, totals.undecided, totals.not_shown), (3, 3, 2, 3));
}
