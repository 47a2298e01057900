//! Attempts that nobody answered.

use super::super::refine_flow;
use super::*;
use crate::event::{Endpoint, Flow, Outcome, Translated};

fn silent(cause: Cause, port: u16) -> Flow {
    let said = Explanation::new(cause, Confidence::Inferred, "3 SYNs left eth0 and nothing came back");
    Flow {
        time: String::new(),
        outcome: Outcome::NoAnswer,
        protocol: "tcp".into(),
        source: Endpoint::of(&format!("{CLIENT}:40000")),
        destination: Endpoint::of(&format!("{WEB}:{port}")),
        translated: None,
        attempts: 3,
        first: String::new(),
        last: String::new(),
        rtt_us: None,
        seen: Vec::new(),
        explanation: Some(said),
    }
}

fn told(mut flow: Flow, index: &Index) -> Explanation {
    refine_flow(&mut flow, index, SPAN);
    flow.explanation.unwrap()
}

#[test]
fn a_policy_of_a_pod_on_another_node_is_inferred() {
    let said = told(silent(Cause::Upstream, 8080), &shop(&[]));
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Inferred));
    assert_eq!(
        said.summary,
        "NetworkPolicy shop/web denies shop/client → shop/web tcp 8080 (ingress): the client lacks the label app=client, which is \
         in force on node n2; nothing on this node dropped it visibly"
    );
    assert_eq!(said.evidence[0], "3 SYNs left eth0 and nothing came back");
    assert_eq!(said.remedy[0], "kubectl -n shop describe networkpolicy web");
    assert_eq!(said.policy.unwrap().enforced_by, None, "nobody was seen to enforce it");
}

#[test]
fn behind_a_service_the_pod_is_judged() {
    let mut flow = silent(Cause::Upstream, 8080);
    let backend = flow.destination.clone();
    flow.destination = Endpoint::of("10.96.0.10:80");
    flow.translated = Some(Translated { source: flow.source.clone(), destination: backend });
    assert_eq!(told(flow.clone(), &shop(&[])).cause, Cause::NetworkPolicy);
    flow.translated.as_mut().unwrap().source = Endpoint::of("192.0.2.1:1024");
    assert_eq!(told(flow, &shop(&[])).cause, Cause::Upstream, "the other node sees another source");
}

#[test]
fn policies_that_allow_it_are_ruled_out() {
    let said = told(silent(Cause::Upstream, 8080), &shop(&[("app", "client")]));
    assert_eq!(said.cause, Cause::Upstream);
    assert_eq!(said.evidence, ["the network policies, as they are now, allow it in both directions"]);
}

#[test]
fn what_left_or_arrived_was_not_kept_by_the_policy_there() {
    let out = policy("out", "client", None, Some(vec![]));
    let cluster = index(vec![pod("client", CLIENT, &[("app", "client")], "n1"), out]);
    let left = told(silent(Cause::Upstream, 8080), &cluster);
    assert_eq!((left.cause, left.policy), (Cause::Upstream, None));
    assert!(left.evidence[0].contains("NetworkPolicy shop/out denies"), "{:?}", left.evidence);
    assert_eq!(told(silent(Cause::Unknown, 8080), &cluster).cause, Cause::NetworkPolicy, "a program may have");
    let arrived = told(silent(Cause::NoAnswer, 8080), &shop(&[]));
    assert_eq!(arrived.cause, Cause::NoAnswer, "it reached the pod");
}

#[test]
fn a_pod_of_this_node_is_not_beyond_it() {
    let web = policy("web", "web", Some(vec![rule("app", "client")]), None);
    let cluster = index(vec![pod("client", CLIENT, &[], "n2"), web]);
    assert_eq!(told(silent(Cause::Upstream, 8080), &cluster).cause, Cause::Upstream);
}

#[test]
fn what_is_explained_or_not_known_stays() {
    for cause in [Cause::NetfilterRule, Cause::NoSocket, Cause::Neighbour] {
        let flow = silent(cause, 8080);
        let before = flow.explanation.clone().unwrap();
        assert_eq!(told(flow, &shop(&[])), before);
    }
    let flow = silent(Cause::Upstream, 8080);
    let before = flow.explanation.clone().unwrap();
    assert_eq!(told(flow, &Index::default()), before, "no policies are known");
    let mut refused = silent(Cause::Upstream, 8080);
    refused.outcome = Outcome::Rejected;
    assert_eq!(told(refused, &shop(&[])), before);
}
