//! Denials and what is proposed: every proposal is applied to the world, and must allow what was denied.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Amendment, amend};
use crate::evaluate::{Connection, End, Verdict, evaluate};
use crate::model::{
    Labels, Namespace, NetworkPolicy, ObjectName, Peer, Pod, Policy, PortMatch, PortRange, Protocol, Rule, Workload,
};
use crate::{World, amend::peer::equal};

fn pod(namespace: &str, name: &str, labels: &[(&str, &str)], address: &str) -> Pod {
    let mut pod = Pod::new(namespace, name, format!("uid-{name}"));
    pod.labels = labels.iter().copied().collect();
    pod.addresses = [address.parse::<IpAddr>().unwrap()].into();
    pod
}

fn world(policies: &[NetworkPolicy], pods: &[Pod]) -> World {
    let mut world = World::default();
    for name in ["shop", "other"] {
        let labels: Labels = [("kubernetes.io/metadata.name", name)].into_iter().collect();
        world.set_namespace(Namespace { name: name.into(), labels });
    }
    for pod in pods {
        world.set_pod(Arc::new(pod.clone()));
    }
    for policy in policies {
        world.set_policy(Arc::new(Policy::Network(policy.clone())));
    }
    world.set_knows_policies(true);
    world
}

/// Lets clients with `app=client` use tcp 80 of `app=web`.
fn web() -> NetworkPolicy {
    let client = Peer::Pods { namespaces: None, pods: Some(equal([("app", "client")])) };
    let port = PortMatch { protocol: Protocol::Tcp, range: PortRange::Numbers(80, 80) };
    NetworkPolicy {
        id: ObjectName::new("shop", "web"),
        pods: equal([("app", "web")]),
        ingress: Some([Rule { peers: [client].into(), ports: [port].into() }].into()),
        egress: None,
    }
}

fn server() -> Pod {
    pod("shop", "web-0", &[("app", "web")], "10.244.1.7")
}

/// What is proposed for a connection that the policies deny.
fn proposals(policies: &[NetworkPolicy], client: &Pod, port: u16) -> Vec<Amendment> {
    let server = server();
    let world = world(policies, &[client.clone(), server.clone()]);
    let connection = Connection {
        source: End::Pod(client, client.addresses[0]),
        destination: End::Pod(&server, server.addresses[0]),
        protocol: Protocol::Tcp,
        port,
    };
    let answer = evaluate(&world, &connection);
    assert_eq!(answer.verdict(), Verdict::Denied);
    amend(&world, &connection, answer.deciding())
}

fn summaries(amendments: &[Amendment]) -> Vec<&str> {
    amendments.iter().map(|amendment| amendment.summary.as_str()).collect()
}

#[test]
fn a_label_that_is_absent_is_the_first_proposal() {
    let mut client = pod("shop", "curl", &[], "10.244.1.5");
    client.workload = Some(Workload { kind: "Deployment".into(), name: "curl".into() });
    let found = proposals(&[web()], &client, 80);
    assert_eq!(found[0].summary, "add the label app=client to the pod shop/curl");
    assert_eq!(
        found[0].apply,
        "kubectl -n shop label pod curl app=client\nkubectl -n shop patch deployment curl --type=merge --patch \
         '{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"app\":\"client\"}}}}}'"
    );
    assert_eq!(found[0].opens, Vec::<String>::new());
    assert!(found.len() > 1, "{:?}", summaries(&found));
}

#[test]
fn what_a_new_label_means_to_other_policies_is_told() {
    let locked = NetworkPolicy {
        id: ObjectName::new("shop", "clients"),
        pods: equal([("app", "client")]),
        ingress: Some(Box::default()),
        egress: None,
    };
    let found = proposals(&[web(), locked], &pod("shop", "curl", &[("app", "curl")], "10.244.1.5"), 80);
    let last = found.last().unwrap();
    assert!(found.len() > 1 && last.apply.ends_with("label pod curl app=client --overwrite"), "{}", last.apply);
    assert!(last.opens[0].contains("by the label that it has now"), "{:?}", last.opens);
    assert_eq!(last.opens[1], "NetworkPolicy shop/clients selects shop/curl then as well");
}

#[test]
fn a_port_is_added_to_the_rule_that_lacks_it() {
    let found = proposals(&[web()], &pod("shop", "client", &[("app", "client")], "10.244.1.5"), 81);
    assert_eq!(found[0].summary, "add tcp 81 to rule 1 of NetworkPolicy shop/web");
    assert!(found[0].apply.starts_with("kubectl -n shop patch networkpolicy web --type=json --patch '\n"));
    let patch = found[0].apply.split('\'').nth(1).unwrap();
    let patch: serde_json::Value = serde_saphyr::from_str(patch).unwrap();
    let wanted = serde_json::json!([
        {"op": "add", "path": "/spec/ingress/0/ports/-", "value": {"port": 81, "protocol": "TCP"}}
    ]);
    assert_eq!(patch, wanted);
    assert_eq!(found[0].opens, ["all that rule 1 allows may use tcp 81 then"]);
}

#[test]
fn a_client_of_another_namespace_is_added_with_its_namespace() {
    let client = pod("other", "curl", &[("app", "client"), ("pod-template-hash", "5d4")], "10.244.1.5");
    let found = proposals(&[web()], &client, 80);
    assert_eq!(
        found[0].summary,
        "add pods with app=client of the namespace other to from in rule 1 of NetworkPolicy shop/web"
    );
    let patch: serde_json::Value = serde_saphyr::from_str(found[0].apply.split('\'').nth(1).unwrap()).unwrap();
    let peer = serde_json::json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}},
        "podSelector": {"matchLabels": {"app": "client"}}
    });
    assert_eq!(patch[0]["value"], peer, "a label that a controller sets is left out");
}

#[test]
fn a_policy_without_rules_is_given_one_and_a_policy_of_its_own_is_a_whole_manifest() {
    let closed = NetworkPolicy { ingress: Some(Box::default()), ..web() };
    let found = proposals(&[closed], &pod("shop", "curl", &[("app", "curl")], "10.244.1.5"), 8080);
    assert_eq!(
        found[0].summary,
        "add a rule for pods with app=curl of the namespace shop on tcp 8080 to NetworkPolicy shop/web"
    );
    let own = found.last().unwrap();
    let manifest: serde_json::Value = serde_saphyr::from_str(&own.apply).unwrap();
    assert_eq!(manifest["kind"], "NetworkPolicy");
    assert_eq!(manifest["metadata"], serde_json::json!({"name": "allow-ingress-tcp-8080", "namespace": "shop"}));
    assert_eq!(manifest["spec"]["podSelector"], serde_json::json!({"matchLabels": {"app": "web"}}));
    let rule = serde_json::json!([{
        "from": [{"podSelector": {"matchLabels": {"app": "curl"}}}], "ports": [{"port": 8080, "protocol": "TCP"}]
    }]);
    assert_eq!(manifest["spec"]["ingress"], rule);
    assert_eq!(own.opens.len(), 1);
}

#[test]
fn a_client_outside_is_added_by_its_address_alone() {
    let server = server();
    let world = world(&[web()], std::slice::from_ref(&server));
    let connection = Connection {
        source: End::Outside("192.0.2.9".parse().unwrap()),
        destination: End::Pod(&server, server.addresses[0]),
        protocol: Protocol::Tcp,
        port: 80,
    };
    let answer = evaluate(&world, &connection);
    let found = amend(&world, &connection, &answer.ingress);
    assert_eq!(found[0].summary, "add 192.0.2.9/32 to from in rule 1 of NetworkPolicy shop/web");
    assert_eq!(found[0].opens, Vec::<String>::new());
}

#[test]
fn nothing_is_proposed_for_what_is_allowed() {
    let (client, server) = (pod("shop", "client", &[("app", "client")], "10.244.1.5"), server());
    let world = world(&[web()], &[client.clone(), server.clone()]);
    let connection = Connection {
        source: End::Pod(&client, client.addresses[0]),
        destination: End::Pod(&server, server.addresses[0]),
        protocol: Protocol::Tcp,
        port: 80,
    };
    let answer = evaluate(&world, &connection);
    assert_eq!(answer.verdict(), Verdict::Allowed);
    assert_eq!(amend(&world, &connection, &answer.ingress), []);
}
