//! Tables of selectors, peers, ports and defaults.

use serde_json::{Value, json};

use super::super::Opinion::{self, Allows, Denies, DeniesByDefault, NotAbout};
use super::super::fixture::{Ask, plain, undecided};
use crate::model::PolicyKind::{CiliumClusterwideNetworkPolicy as Clusterwide, CiliumNetworkPolicy as Near};
use crate::model::Protocol;

const ALLOWS: Opinion = Allows { rule: 1 };

/// A connection to the pod web that one rule of ingress is asked about.
fn ingress(from: &'static str, rule: Value) -> Opinion {
    plain(Ask::from(Near, from).of(&json!([{"endpointSelector": {}, "ingress": Value::Array(vec![rule])}])))
}

fn egress(to: &'static str, rule: Value) -> Opinion {
    plain(Ask::to(Near, to).of(&json!([{"endpointSelector": {}, "egress": Value::Array(vec![rule])}])))
}

fn clusterwide(from: &'static str, rule: Value) -> Opinion {
    plain(Ask::from(Clusterwide, from).of(&json!([{"endpointSelector": {}, "ingress": Value::Array(vec![rule])}])))
}

#[test]
fn which_pods_a_policy_is_about() {
    let of = |kind, selector: Value| {
        plain(Ask::from(kind, "shop/client").of(&json!([{"endpointSelector": selector, "ingress": [{}]}])))
    };
    for (selector, expected) in [
        (json!({}), DeniesByDefault),
        (json!({"matchLabels": null}), DeniesByDefault),
        (json!({"matchLabels": {"app": "web"}}), DeniesByDefault),
        (json!({"matchLabels": {"k8s:app": "web"}}), DeniesByDefault),
        (json!({"matchLabels": {"any:app": "web"}}), DeniesByDefault),
        (json!({"matchLabels": {"container:app": "web"}}), NotAbout),
        (json!({"matchLabels": {"reserved:host": ""}}), NotAbout),
        (json!({"matchLabels": {"app": "db"}}), NotAbout),
        (json!({"matchLabels": {"moon:app": "web"}}), undecided()),
        (json!({"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "robot"}}), DeniesByDefault),
        (json!({"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "x"}}), NotAbout),
        (json!({"matchLabels": {"io.cilium.k8s.policy.cluster": "one"}}), undecided()),
        (json!({"matchLabels": {"io.cilium.k8s.namespace.labels.team": "a"}}), DeniesByDefault),
        (json!({"matchLabels": {"io.cilium.k8s.namespace.labels.team": "b"}}), NotAbout),
        (json!({"matchLabels": {"pod-template-hash": "5f"}}), undecided()),
        (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}), DeniesByDefault),
        (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), NotAbout),
        (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["web"]}]}), DeniesByDefault),
        (json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}), DeniesByDefault),
        (json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}), NotAbout),
        (json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}), undecided()),
    ] {
        assert_eq!(of(Near, selector.clone()), expected, "{selector}");
        assert_eq!(of(Clusterwide, selector.clone()), expected, "{selector}");
    }
    let other = json!({"matchLabels": {"k8s:io.kubernetes.pod.namespace": "other"}});
    assert_eq!(of(Near, other.clone()), DeniesByDefault, "a policy in a namespace is about that namespace");
    assert_eq!(of(Clusterwide, other), NotAbout);
    assert_eq!(plain(Ask::from(Near, "shop/client").of(&json!([{"nodeSelector": {}, "ingress": [{}]}]))), NotAbout);
    let abroad = Ask { to: "other/client", ..Ask::from(Near, "shop/client") };
    assert_eq!(abroad.of(&json!([{"endpointSelector": {}, "ingress": [{}]}])), NotAbout);
    let host = Ask { to: "shop/agent", ..Ask::from(Near, "shop/client") };
    assert_eq!(host.of(&json!([{"endpointSelector": {}, "ingress": [{}]}])), NotAbout);
}

#[test]
fn which_endpoints_a_rule_is_about() {
    let namespace = |name: &str| json!({"matchLabels": {"k8s:io.kubernetes.pod.namespace": name}});
    for (from, list, expected) in [
        ("shop/client", json!([{}]), ALLOWS),
        ("other/client", json!([{}]), DeniesByDefault),
        ("shop/client", json!([]), DeniesByDefault),
        ("shop/client", json!([{"matchLabels": {"app": "client"}}]), ALLOWS),
        ("shop/client", json!([{"matchLabels": {"app": "db"}}, {"matchLabels": {"app": "client"}}]), ALLOWS),
        ("other/client", json!([{"matchLabels": {"app": "client"}}]), DeniesByDefault),
        ("other/client", json!([namespace("other")]), ALLOWS),
        ("shop/client", json!([namespace("other")]), DeniesByDefault),
        ("other/client", json!([{"matchLabels": {"io.kubernetes.pod.namespace": "other"}}]), ALLOWS),
        ("other/client", json!([{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "b"}}]), ALLOWS),
        ("other/client", json!([{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "a"}}]), DeniesByDefault),
        ("unseen/lost", json!([{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "a"}}]), undecided()),
        ("192.0.2.9", json!([{}]), DeniesByDefault),
        ("node:n1", json!([{}]), DeniesByDefault),
        ("shop/agent", json!([{}]), DeniesByDefault),
        ("node:n1", json!([{"matchLabels": {"reserved:host": ""}}]), undecided()),
        (
            "192.0.2.9",
            json!([{"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "DoesNotExist"}]}]),
            ALLOWS,
        ),
    ] {
        assert_eq!(ingress(from, json!({"fromEndpoints": list})), expected, "{from} {list}");
    }
    assert_eq!(clusterwide("other/client", json!({"fromEndpoints": [{}]})), ALLOWS);
    assert_eq!(clusterwide("192.0.2.9", json!({"fromEndpoints": [{}]})), DeniesByDefault);
}

#[test]
fn blocks_are_about_what_is_outside_the_cluster() {
    for (from, rule, expected) in [
        ("192.0.2.9", json!({"fromCIDR": ["192.0.2.0/24"]}), ALLOWS),
        ("192.0.2.9", json!({"fromCIDR": ["192.0.2.9"]}), ALLOWS),
        ("192.0.2.9", json!({"fromCIDR": ["192.0.2.8"]}), DeniesByDefault),
        ("2001:db8::1", json!({"fromCIDR": ["0.0.0.0/0"]}), DeniesByDefault),
        ("192.0.2.9", json!({"fromCIDR": ["moon"]}), undecided()),
        ("192.0.2.9", json!({"fromCIDR": []}), DeniesByDefault),
        ("shop/client", json!({"fromCIDR": ["0.0.0.0/0"]}), DeniesByDefault),
        ("node:n1", json!({"fromCIDR": ["0.0.0.0/0"]}), DeniesByDefault),
        ("192.0.2.9", json!({"fromCIDRSet": [{"cidr": "192.0.2.0/24"}]}), ALLOWS),
        ("192.0.2.9", json!({"fromCIDRSet": [{"cidr": "192.0.2.0/24", "except": ["192.0.2.8/29"]}]}), DeniesByDefault),
        ("192.0.2.9", json!({"fromCIDRSet": [{"cidrGroupRef": "office"}]}), undecided()),
        ("shop/client", json!({"fromCIDRSet": [{"cidrGroupRef": "office"}]}), DeniesByDefault),
        ("192.0.2.9", json!({"fromGroups": [{"aws": {}}]}), undecided()),
        ("shop/client", json!({"fromCIDR": ["0.0.0.0/0"], "fromEndpoints": [{}]}), undecided()),
    ] {
        assert_eq!(ingress(from, rule.clone()), expected, "{from} {rule}");
    }
}

#[test]
fn a_dns_cache_on_the_node_needs_its_address() {
    let to = |rule: Value, place| {
        let ask = Ask::to(Near, place).port(53, Protocol::Udp);
        plain(ask.of(&json!([{"endpointSelector": {}, "egress": [rule]}])))
    };
    for place in ["169.254.20.10", "node:n1@169.254.20.10"] {
        assert_eq!(to(json!({"toEndpoints": [{"matchLabels": {"k8s-app": "kube-dns"}}]}), place), DeniesByDefault);
        assert_eq!(to(json!({"toCIDR": ["169.254.20.10/32"]}), place), ALLOWS);
        assert_eq!(to(json!({"toEntities": ["host"]}), place), undecided());
        assert_eq!(to(json!({"toEntities": ["world"]}), place), undecided());
        assert_eq!(to(json!({"toEntities": ["all"]}), place), ALLOWS);
    }
}

#[test]
fn entities() {
    for (name, pod, own, other, world) in [
        ("all", ALLOWS, ALLOWS, ALLOWS, ALLOWS),
        ("none", DeniesByDefault, DeniesByDefault, DeniesByDefault, DeniesByDefault),
        ("cluster", ALLOWS, ALLOWS, ALLOWS, DeniesByDefault),
        ("host", DeniesByDefault, ALLOWS, DeniesByDefault, DeniesByDefault),
        ("remote-node", DeniesByDefault, DeniesByDefault, ALLOWS, DeniesByDefault),
        ("world", DeniesByDefault, DeniesByDefault, DeniesByDefault, ALLOWS),
        ("world-ipv4", DeniesByDefault, DeniesByDefault, DeniesByDefault, ALLOWS),
        ("world-ipv6", DeniesByDefault, DeniesByDefault, DeniesByDefault, DeniesByDefault),
        ("kube-apiserver", DeniesByDefault, undecided(), undecided(), undecided()),
        ("health", undecided(), DeniesByDefault, DeniesByDefault, DeniesByDefault),
        ("moon", undecided(), undecided(), undecided(), undecided()),
    ] {
        let of = |from| ingress(from, json!({"fromEntities": [name]}));
        assert_eq!(
            (of("other/client"), of("node:n1"), of("node:n2"), of("203.0.113.9")),
            (pod, own, other.clone(), world)
        );
        assert_eq!(of("shop/agent"), other, "{name}: a pod in the network of a node is the node");
    }
    assert_eq!(ingress("node:?", json!({"fromEntities": ["host"]})), undecided());
    assert_eq!(ingress("node:?", json!({"fromEntities": ["host", "remote-node"]})), undecided());
}

#[test]
fn ports() {
    let of = |port, protocol, ports: Value| {
        let ask = Ask::from(Near, "shop/client").port(port, protocol);
        plain(ask.of(&json!([{"endpointSelector": {}, "ingress": [{"toPorts": [{"ports": ports}]}]}])))
    };
    let (tcp, udp, sctp) = (Protocol::Tcp, Protocol::Udp, Protocol::Sctp);
    for (port, protocol, entry, expected) in [
        (80, tcp, json!([{"port": "80", "protocol": "TCP"}]), ALLOWS),
        (80, udp, json!([{"port": "80", "protocol": "TCP"}]), DeniesByDefault),
        (80, udp, json!([{"port": "80", "protocol": "ANY"}]), ALLOWS),
        (80, sctp, json!([{"port": "80"}]), ALLOWS),
        (81, tcp, json!([{"port": "80"}]), DeniesByDefault),
        (81, tcp, json!([{"port": "80", "endPort": 90}]), ALLOWS),
        (91, tcp, json!([{"port": "80", "endPort": 90}]), DeniesByDefault),
        (80, tcp, json!([{"port": 80}]), ALLOWS),
        (80, tcp, json!([{"port": "0", "protocol": "TCP"}]), ALLOWS),
        (80, tcp, json!([{"port": "80", "protocol": "ICMP"}]), DeniesByDefault),
        (8080, tcp, json!([{"port": "http"}]), ALLOWS),
        (8081, tcp, json!([{"port": "http"}]), DeniesByDefault),
        (80, tcp, json!([{"port": "1"}, {"port": "80"}]), ALLOWS),
        (80, tcp, json!([]), ALLOWS),
        (80, tcp, json!([{"port": true}]), undecided()),
        (80, tcp, json!([{"port": "80", "mood": 1}]), undecided()),
    ] {
        assert_eq!(of(port, protocol, entry.clone()), expected, "{port} {protocol} {entry}");
    }
}

#[test]
fn rules_of_other_kinds() {
    let entry = json!({"ports": [{"port": "8080"}], "rules": {"http": [{"path": "/x"}]}});
    assert_eq!(ingress("shop/client", json!({"toPorts": [entry]})), ALLOWS, "what is beyond ports comes later");
    assert_eq!(ingress("shop/client", json!({"icmps": [{"fields": [{"type": 8}]}]})), DeniesByDefault);
    assert_eq!(ingress("shop/client", json!({})), DeniesByDefault);
    let of = |mode| ingress("shop/client", json!({"fromEndpoints": [{}], "authentication": {"mode": mode}}));
    assert_eq!((of("required"), of("disabled")), (undecided(), ALLOWS));
    assert_eq!(ingress("shop/client", json!({"fromEndpoints": [{}], "fromMoon": []})), undecided());
    assert_eq!(ingress("node:n1", json!({"fromNodes": [{}]})), undecided());
    assert_eq!(egress("203.0.113.7", json!({"toFQDNs": [{"matchName": "example.com"}]})), undecided());
    assert_eq!(egress("shop/client", json!({"toFQDNs": [{"matchName": "example.com"}]})), DeniesByDefault);
    let service = |name| json!({"toServices": [{"k8sService": {"serviceName": name, "namespace": "shop"}}]});
    assert_eq!(egress("203.0.113.7", service("backends")), ALLOWS);
    assert_eq!(egress("203.0.113.8", service("backends")), DeniesByDefault);
    assert_eq!(egress("203.0.113.7", service("unheard")), undecided());
    assert_eq!(egress("203.0.113.7", json!({"toServices": [{"k8sServiceSelector": {}}]})), undecided());
}

#[test]
fn what_restricts_and_what_wins() {
    let of = |spec: Value| plain(Ask::from(Near, "shop/client").of(&spec));
    let (yes, no) = (json!({"fromEndpoints": [{}]}), json!({"fromEndpoints": []}));
    for (spec, expected) in [
        (json!([{"endpointSelector": {}}]), NotAbout),
        (json!([{"endpointSelector": {}, "ingress": []}]), NotAbout),
        (json!([{"endpointSelector": {}, "egress": [{}]}]), NotAbout),
        (json!([{"endpointSelector": {}, "enableDefaultDeny": {"ingress": true}}]), DeniesByDefault),
        (json!([{"endpointSelector": {}, "enableDefaultDeny": {"ingress": false}, "ingress": [no]}]), NotAbout),
        (json!([{"endpointSelector": {}, "enableDefaultDeny": {"ingress": false}, "ingress": [yes]}]), ALLOWS),
        (json!([{"endpointSelector": {}, "ingress": [no, yes]}]), Allows { rule: 2 }),
        (json!([{"endpointSelector": {}, "ingress": [yes], "ingressDeny": [no, yes]}]), Denies { rule: 2 }),
        (json!([{"endpointSelector": {}, "ingressDeny": [no]}]), DeniesByDefault),
        (
            json!([{"endpointSelector": {}, "ingress": [no, no]}, {"endpointSelector": {}, "ingress": [yes]}]),
            Allows { rule: 3 },
        ),
        (
            json!([{"endpointSelector": {"matchLabels": {"a": "b"}}, "ingress": [yes]},
                   {"endpointSelector": {}, "ingressDeny": [yes]}]),
            Denies { rule: 1 },
        ),
        (json!([{"endpointSelector": {}, "ingress": [yes], "ingressDeny": [{"fromMoon": []}]}]), undecided()),
        (json!([{"endpointSelector": {}, "ingressDeny": [yes, {"fromMoon": []}]}]), Denies { rule: 1 }),
        (json!([{"endpointSelector": {}, "ingressLater": [yes]}]), undecided()),
        (json!([{"ingress": [yes]}]), undecided()),
        (json!({"endpointSelector": {}, "ingress": [yes]}), ALLOWS),
        (json!(null), NotAbout),
    ] {
        assert_eq!(of(spec.clone()), expected, "{spec}");
    }
}
