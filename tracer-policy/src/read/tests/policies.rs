//! NetworkPolicies, and policies of vendors.

use serde_json::json;

use super::super::{Interner, Object, object, policy};
use super::{network, only};
use crate::model::{NetworkPolicy, Peer, Policy, PolicyKind, PortRange, Protocol};

fn with(spec: &str) -> NetworkPolicy {
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}";
    network(&format!("{head}\nspec: {spec}"))
}

#[test]
fn the_directions_of_a_policy_have_defaults() {
    let rules = |spec: &str| {
        let policy = with(spec);
        let count = |rules: Option<Box<[_]>>| rules.map(|rules| rules.len());
        (count(policy.ingress), count(policy.egress))
    };
    for (spec, ingress, egress) in [
        ("{podSelector: {}}", Some(0), None),
        ("{}", Some(0), None),
        ("{podSelector: {}, policyTypes: []}", Some(0), None),
        ("{podSelector: {}, ingress: null, egress: null}", Some(0), None),
        ("{podSelector: {}, ingress: []}", Some(0), None),
        ("{podSelector: {}, egress: []}", Some(0), None),
        ("{podSelector: {}, egress: [{}]}", Some(0), Some(1)),
        ("{podSelector: {}, ingress: [{}]}", Some(1), None),
        ("{podSelector: {}, policyTypes: [Egress]}", None, Some(0)),
        ("{podSelector: {}, policyTypes: [Egress], ingress: [{}]}", None, Some(0)),
        ("{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}, {}]}", Some(0), Some(2)),
        ("{podSelector: {}, policyTypes: [Ingress], egress: [{}]}", Some(0), None),
    ] {
        assert_eq!(rules(spec), (ingress, egress), "{spec}");
    }
}

#[test]
fn an_empty_rule_is_about_everybody() {
    for rule in ["{}", "{from: [], ports: []}", "{from: null, ports: null}"] {
        let policy = with(&format!("{{podSelector: {{}}, ingress: [{rule}]}}"));
        let rule = &policy.ingress.unwrap()[0];
        assert!(rule.peers.is_empty() && rule.ports.is_empty());
    }
}

#[test]
fn peers_and_ports() {
    let policy = with(
        "
  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}
  ingress:
  - from:
    - podSelector: {}
    - namespaceSelector: {}
    - {namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: client}}}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
    ports:
    - {port: 80}
    - {port: http, protocol: UDP}
    - {protocol: SCTP}
    - {port: 8000, endPort: 8010}
",
    );
    assert_eq!((policy.pods.requirements.len(), policy.id.to_string().as_str()), (2, "shop/web"));
    let rule = &policy.ingress.unwrap()[0];
    let shapes: Vec<_> = rule
        .peers
        .iter()
        .map(|peer| match peer {
            Peer::Pods { namespaces, pods } => (namespaces.is_some(), pods.is_some(), String::new()),
            Peer::Block { range, except } => (false, false, format!("{range} {}", except[0])),
        })
        .collect();
    let none = String::new;
    assert_eq!(
        shapes,
        [
            (false, true, none()),
            (true, false, none()),
            (true, true, none()),
            (false, false, "10.0.0.0/8 10.1.0.0/16".into())
        ]
    );
    let ports: Vec<_> = rule.ports.iter().map(|port| (port.protocol, port.range.clone())).collect();
    assert_eq!(
        ports,
        [
            (Protocol::Tcp, PortRange::Numbers(80, 80)),
            (Protocol::Udp, PortRange::Name("http".into())),
            (Protocol::Sctp, PortRange::All),
            (Protocol::Tcp, PortRange::Numbers(8000, 8010)),
        ]
    );
}

#[test]
fn a_manifest_without_a_namespace_is_in_the_default_one() {
    let policy = network("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web}, spec: {}}");
    assert_eq!(policy.id.to_string(), "default/web");
}

#[test]
fn a_field_of_a_newer_api_is_told() {
    let value = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "shop", "managedFields": [{"manager": "kubectl"}]},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}, "mood": "good"}]}]}});
    let error = object(&value).unwrap_err().to_string();
    assert!(error.starts_with("NetworkPolicy shop/web: spec.ingress[0].from[0].mood: unknown field `mood`"), "{error}");
}

#[test]
fn policies_of_vendors_are_kept_as_they_are() {
    let text = "
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: a, namespace: shop}
spec: {endpointSelector: {}}
specs: [{endpointSelector: {matchLabels: {a: b}}}]
status: {x: 1}
";
    let Object::Policy(read) = only(text) else { panic!("no policy") };
    let Policy::Vendor(cilium) = &*read else { panic!("{read:?}") };
    assert_eq!((cilium.kind, cilium.id.to_string().as_str()), (PolicyKind::CiliumNetworkPolicy, "shop/a"));
    assert_eq!(cilium.spec, json!([{"endpointSelector": {}}, {"endpointSelector": {"matchLabels": {"a": "b"}}}]));
    for (version, kind, expected, id) in [
        ("cilium.io/v2", "CiliumClusterwideNetworkPolicy", PolicyKind::CiliumClusterwideNetworkPolicy, "a"),
        ("projectcalico.org/v3", "NetworkPolicy", PolicyKind::CalicoNetworkPolicy, "default/a"),
        ("crd.projectcalico.org/v1", "NetworkPolicy", PolicyKind::CalicoNetworkPolicy, "default/a"),
        ("crd.projectcalico.org/v1", "GlobalNetworkPolicy", PolicyKind::CalicoGlobalNetworkPolicy, "a"),
    ] {
        let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}, spec: {{}}}}");
        let Object::Policy(policy) = only(&text) else { panic!("no policy") };
        assert_eq!((policy.id().kind, policy.id().id.to_string().as_str()), (expected, id));
    }
}

#[test]
fn the_kind_may_be_known_from_elsewhere() {
    let value = json!({"metadata": {"name": "a"}, "spec": {"order": 1, "unheard": true}});
    let read = policy(PolicyKind::CalicoGlobalNetworkPolicy, &value, &mut Interner::default()).unwrap();
    let Policy::Vendor(policy) = read else { panic!("{read:?}") };
    assert_eq!(policy.spec, json!({"order": 1, "unheard": true}), "what a server has is kept, known or not");
}
