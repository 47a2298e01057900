//! Drops and attempts in a small cluster: shop/client and shop/web, and what policies and engines say about them.

mod contradictions;
mod denials;
mod ends;
mod flows;
mod local_dns;
mod ruleset;

use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::model::{
    Labels, Namespace, NetworkPolicy, ObjectName, Operator, Peer, Pod, PortMatch, PortRange, Protocol, Requirement,
    Rule, Selector,
};
use tracer_policy::read::Object;

use super::refine_drop;
use crate::event::{Cause, Confidence, Drop, Explanation, Nearest, Policy, PolicyDirection, PolicyName, PolicyVerdict};
use crate::kubernetes::{Change, Index, Origin, PodSeen, Span};

pub(super) const CLIENT: &str = "10.1.0.5";
pub(super) const WEB: &str = "10.2.0.9";
pub(super) const SPAN: Span = Span::at(1);

pub(super) fn pod(name: &str, address: &str, labels: &[(&str, &str)], node: &str) -> Change {
    let mut pod = Pod::new("shop", name, format!("uid-{name}"));
    pod.addresses = [address.parse::<IpAddr>().unwrap()].into();
    pod.labels = labels.iter().copied().collect::<Labels>();
    pod.node = Some(node.into());
    Change::Pod(Box::new(PodSeen { origin: Origin::Api, pod, since: 0, netns: None, containers: Vec::new() }))
}

pub(super) fn selector(key: &str, value: &str) -> Selector {
    let requirement = Requirement { key: key.into(), operator: Operator::In, values: [value.into()].into() };
    Selector { requirements: [requirement].into() }
}

/// A rule for pods with a label, on tcp 8080.
pub(super) fn rule(key: &str, value: &str) -> Rule {
    let peer = Peer::Pods { namespaces: None, pods: Some(selector(key, value)) };
    let port = PortMatch { protocol: Protocol::Tcp, range: PortRange::Numbers(8080, 8080) };
    Rule { peers: [peer].into(), ports: [port].into() }
}

/// A policy for the pods with `app` of this name.
pub(super) fn policy(name: &str, app: &str, ingress: Option<Vec<Rule>>, egress: Option<Vec<Rule>>) -> Change {
    let rules = |rules: Option<Vec<Rule>>| rules.map(Vec::into_boxed_slice);
    let (id, pods) = (ObjectName::new("shop", name), selector("app", app));
    let policy = NetworkPolicy { id, pods, ingress: rules(ingress), egress: rules(egress) };
    Change::Object(Object::Policy(Arc::new(tracer_policy::model::Policy::Network(policy))))
}

pub(super) fn index(changes: Vec<Change>) -> Index {
    let mut index = Index::default();
    index.apply(Change::Object(Object::Namespace(Namespace { name: "shop".into(), labels: Labels::default() })));
    index.apply(pod("web", WEB, &[("app", "web")], "n2"));
    index.apply(Change::PoliciesKnown(true));
    for change in changes {
        index.apply(change);
    }
    index
}

/// The client has a label or not, and shop/web is for those that have `app=client`.
pub(super) fn shop(client: &[(&str, &str)]) -> Index {
    let web = policy("web", "web", Some(vec![rule("app", "client")]), None);
    index(vec![pod("client", CLIENT, client, "n1"), web])
}

/// By a rule of an engine that is certain, and names these policies.
pub(super) fn by_engine(engine: &str, named: &[&str]) -> Drop {
    let mut explanation = Explanation::new(
        Cause::NetfilterRule,
        Confidence::Certain,
        "iptables-nft filter/CHAIN rule 3 drops tcp dpt:8080",
    );
    let name = |name: &&str| PolicyName { kind: None, namespace: Some("shop".into()), name: (*name).into() };
    explanation.owner = Some(engine.into());
    explanation.remedy = vec!["kubectl -n shop describe networkpolicy web".into()];
    explanation.policy = Some(Policy {
        direction: PolicyDirection::Ingress,
        verdict: PolicyVerdict::Denied,
        selected_by: named.iter().map(name).collect(),
        decided_by: None,
        nearest: None,
        enforced_by: Some(engine.into()),
        contradiction: None,
    });
    Drop::between(&format!("{CLIENT}:40000"), &format!("{WEB}:8080"), explanation)
}

pub(super) fn nearest(mismatch: &str) -> Nearest {
    let policy = PolicyName { kind: None, namespace: Some("shop".into()), name: "web".into() };
    Nearest { policy, rule: 0, mismatch: mismatch.into() }
}

pub(super) fn refined(mut drop: Drop, index: &Index) -> Explanation {
    refine_drop(&mut drop, index, SPAN);
    drop.explanation
}
