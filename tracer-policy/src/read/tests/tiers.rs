//! Policies before and after the NetworkPolicies.

use serde_json::json;

use super::super::{Interner, policy};
use super::{mistake, tiered};
use crate::model::{Policy, PolicyKind, PortRange, Protocol, TierAction, TierLevel, TierPeer, TieredPolicy};

#[test]
fn an_admin_network_policy() {
    let policy = tiered(
        "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: guard}
spec:
  priority: 7
  subject: {pods: {namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: web}}}}
  ingress:
  - name: from-all
    action: Deny
    from: [{namespaces: {}}]
    ports:
    - portNumber: {port: 80}
    - portRange: {protocol: UDP, start: 10, end: 20}
    - namedPort: http
  egress:
  - action: Pass
    to: [{nodes: {}}, {networks: [10.0.0.0/8]}, {domainNames: ['*.example.com']}, {pods: {namespaceSelector: {}, podSelector: {}}}]
",
    );
    assert_eq!((policy.level, policy.priority, policy.id.to_string().as_str()), (TierLevel::Admin, 7, "guard"));
    assert_eq!((policy.namespaces.requirements.len(), policy.pods.unwrap().requirements.len()), (1, 1));
    let rule = &policy.ingress[0];
    assert_eq!((rule.name.as_deref(), rule.action, rule.peers.len()), (Some("from-all"), TierAction::Deny, 1));
    let ports: Vec<_> = rule.ports.iter().map(|port| (port.protocol, port.range.clone())).collect();
    assert_eq!(ports[0], (Protocol::Tcp, PortRange::Numbers(80, 80)));
    assert_eq!(ports[1], (Protocol::Udp, PortRange::Numbers(10, 20)));
    assert_eq!(ports[2..].iter().filter(|(_, range)| *range == PortRange::Name("http".into())).count(), 3);
    let peers = &policy.egress[0].peers;
    assert!(matches!(
        &peers[..],
        [TierPeer::Nodes(_), TierPeer::Networks(_), TierPeer::Domains(_), TierPeer::Pods { .. }]
    ));
    assert_eq!((policy.egress[0].action, policy.unknown.len()), (TierAction::Pass, 0));
}

#[test]
fn a_baseline_and_its_successor() {
    let baseline = tiered(
        "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec: {subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}
",
    );
    assert_eq!((baseline.level, baseline.priority, baseline.pods), (TierLevel::Baseline, 0, None));
    let cluster = tiered(
        "
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Baseline
  priority: 3
  subject: {namespaces: {}}
  ingress:
  - action: Accept
    from: [{namespaces: {}}]
    protocols:
    - tcp: {destinationPort: {number: 80}}
    - udp: {destinationPort: {range: {start: 1, end: 9}}}
    - sctp: {}
    - destinationNamedPort: http
",
    );
    assert_eq!((cluster.level, cluster.priority), (TierLevel::Baseline, 3));
    assert_eq!((cluster.ingress[0].action, cluster.ingress[0].ports.len()), (TierAction::Allow, 6));
    assert_eq!(cluster.ingress[0].ports[2].range, PortRange::All);
}

fn from_server(spec: &serde_json::Value) -> TieredPolicy {
    let value = json!({"metadata": {"name": "a"}, "spec": spec});
    match policy(PolicyKind::AdminNetworkPolicy, &value, &mut Interner::default()).unwrap() {
        Policy::Tiered(policy) => policy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_server_has_and_is_not_known_is_kept_as_unknown() {
    let policy = from_server(
        &json!({"priority": 1, "subject": {"namespaces": {}, "mood": {}}, "weather": 1, "ingress": [
            {"action": "Allow", "from": [{"moon": {}}]},
            {"action": "Allow", "from": [{}]},
            {"action": "Allow", "from": [{"namespaces": {}}], "ports": [{"portNumber": {"port": 1, "half": 1}}], "time": 1},
            {"action": "Allow", "from": [{"namespaces": {}}]},
        ]}),
    );
    let texts = |unknown: &[std::sync::Arc<str>]| unknown.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&policy.unknown), ["spec.subject.mood", "spec.weather"]);
    let rules: Vec<_> = policy.ingress.iter().map(|rule| texts(&rule.unknown)).collect();
    assert_eq!(rules[0], ["from[0].moon"]);
    assert_eq!(rules[1], ["from (an entry in which nothing is set)"]);
    assert_eq!(rules[2], ["ports[0].portNumber.half", "time"]);
    assert!(rules[3].is_empty());
}

#[test]
fn in_a_file_it_is_a_mistake() {
    let head = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\nspec: ";
    for (spec, expected) in [
        ("{subject: {namespaces: {}}}", "spec.priority: is missing"),
        ("{priority: 1001, subject: {namespaces: {}}}", "spec.priority: 1001 is not between 0 and 1000"),
        ("{priority: -1, subject: {namespaces: {}}}", "spec.priority: -1 is not between 0 and 1000"),
        ("{priority: 1}", "spec.subject: is missing"),
        ("{priority: 1, subject: {namespaces: {}}, weather: 1}", "spec.weather: is not known"),
        (
            "{priority: 1, subject: {namespaces: {}, pods: {}}}",
            "spec.subject.pods: can't be with namespaces: exactly one of them is set",
        ),
        (
            "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}]}]}",
            "spec.ingress[0].action: \"Accept\" is none of Allow, Deny, Pass",
        ),
        (
            "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: []}]}",
            "spec.ingress[0].from: must have at least one entry",
        ),
        (
            "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}, pods: {}}]}]}",
            "spec.ingress[0].from[0]: has more than one field: exactly one of them is set",
        ),
        (
            "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{moon: {}}]}]}",
            "spec.ingress[0].from[0].moon: is not known",
        ),
        ("{priority: 1, subject: {namespaces: [null, null]}}", "spec.subject.namespaces: is not known"),
        ("{priority: 1, subject: {namespaces: {}}, egress: {}}", "spec.egress: is no list"),
        (
            "{priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [ten]}]}]}",
            "spec.egress[0].to[0].networks[0]: \"ten\" is no block of addresses such as 10.0.0.0/8",
        ),
    ] {
        assert_eq!(mistake(&format!("{head}{spec}")), format!("test.yaml: AdminNetworkPolicy a: {expected}"));
    }
}
