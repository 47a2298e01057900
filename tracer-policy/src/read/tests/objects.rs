//! Pods, namespaces, nodes, Services, slices, lists and templates.

use std::net::IpAddr;

use serde_json::json;

use super::super::{Interner, Object, file, object, objects, pod, slice};
use super::{only, pods, read};
use crate::World;
use crate::model::{ObjectName, Operator, Protocol, TargetPort};

fn addresses(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn a_pod_of_the_api() {
    let value = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-7d4b9-x2x", "namespace": "shop", "uid": "u1",
            "labels": {"app": "web", "pod-template-hash": "7d4b9"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "no", "uid": "1"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9", "uid": "2", "controller": true}
            ]
        },
        "spec": {
            "nodeName": "n1", "serviceAccountName": "robot", "newField": 1,
            "initContainers": [
                {"name": "wait", "ports": [{"name": "gone", "containerPort": 1}]},
                {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "admin", "containerPort": 15000}]}
            ],
            "containers": [{"name": "web", "ports": [
                {"name": "http", "containerPort": 8080},
                {"containerPort": 9090},
                {"name": "dns", "containerPort": 53, "protocol": "UDP"}
            ]}]
        },
        "status": {"phase": "Running", "podIP": "10.1.0.9", "podIPs": [{"ip": "10.1.0.9"}, {"ip": "fd00::9"}]}
    });
    let pod = pod(&value, &mut Interner::default()).unwrap();
    assert_eq!((pod.id.to_string().as_str(), &*pod.uid), ("shop/web-7d4b9-x2x", "u1"));
    assert_eq!(addresses(&pod.addresses), ["10.1.0.9", "fd00::9"]);
    assert_eq!((pod.node.as_deref(), pod.service_account.as_deref()), (Some("n1"), Some("robot")));
    let ports: Vec<_> = pod.ports.iter().map(|port| (&*port.name, port.number, port.protocol)).collect();
    assert_eq!(ports, [("http", 8080, Protocol::Tcp), ("dns", 53, Protocol::Udp), ("admin", 15000, Protocol::Tcp)]);
    let workload = pod.workload.unwrap();
    assert_eq!((&*workload.kind, &*workload.name), ("Deployment", "web"));
    assert!(!pod.host_network && !pod.is_finished);
}

#[test]
fn what_made_a_pod() {
    let of = |kind: &str, name: &str, hash: &str| {
        let value = json!({"metadata": {"name": "p", "labels": {"pod-template-hash": hash},
            "ownerReferences": [{"kind": kind, "name": name, "controller": true}]}});
        let workload = pod(&value, &mut Interner::default()).unwrap().workload;
        workload.map(|workload| format!("{} {}", workload.kind, workload.name))
    };
    for (kind, name, hash, expected) in [
        ("ReplicaSet", "web-7d4b9", "7d4b9", Some("Deployment web")),
        ("ReplicaSet", "web-7d4b9", "other", Some("ReplicaSet web-7d4b9")),
        ("ReplicaSet", "7d4b9", "7d4b9", Some("ReplicaSet 7d4b9")),
        ("ReplicaSet", "-7d4b9", "7d4b9", Some("ReplicaSet -7d4b9")),
        ("StatefulSet", "db-1", "1", Some("StatefulSet db-1")),
        ("Job", "backup-29", "", Some("Job backup-29")),
        ("Node", "n1", "", None),
    ] {
        assert_eq!(of(kind, name, hash).as_deref(), expected, "{kind} {name}");
    }
}

#[test]
fn a_pod_in_the_network_of_its_node_and_one_that_has_ended() {
    let of = |value| pod(&value, &mut Interner::default()).unwrap();
    let host = of(json!({"metadata": {"name": "p"}, "spec": {"hostNetwork": true},
        "status": {"hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}]}}));
    assert_eq!((host.host_network, addresses(&host.addresses)), (true, vec!["192.0.2.1".to_owned()]));
    let ended = of(json!({"metadata": {"name": "p"}, "status": {"phase": "Succeeded", "podIP": "10.0.0.1"}}));
    assert_eq!((ended.is_finished, addresses(&ended.addresses)), (true, vec!["10.0.0.1".to_owned()]));
    let nulls = of(json!({"metadata": {"name": "p", "labels": null, "ownerReferences": null},
        "spec": {"containers": null}, "status": null}));
    assert_eq!((nulls.id.to_string().as_str(), nulls.addresses.len()), ("default/p", 0));
}

#[test]
fn a_namespace_has_its_name_as_a_label() {
    let Object::Namespace(namespace) =
        only("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}")
    else {
        panic!("no namespace");
    };
    assert_eq!(namespace.labels.to_string(), "kubernetes.io/metadata.name=shop,team=a");
}

#[test]
fn a_node() {
    let text = "
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24, 'fd00:1::/64']}
status:
  addresses:
  - {type: InternalIP, address: 192.0.2.1}
  - {type: Hostname, address: n1}
  - {type: ExternalIP, address: 203.0.113.1}
";
    let Object::Node(node) = only(text) else { panic!("no node") };
    assert_eq!(addresses(&node.addresses), ["192.0.2.1", "203.0.113.1"]);
    let ranges: Vec<_> = node.pod_ranges.iter().map(ToString::to_string).collect();
    assert_eq!((ranges, node.labels.get("zone")), (vec!["10.1.0.0/24".into(), "fd00:1::/64".into()], Some("a")));
}

#[test]
fn a_service() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7]
  externalIPs: [198.51.100.7]
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http, nodePort: 30080}
  - {name: dns, port: 53, protocol: UDP, targetPort: 5353}
  - {name: plain, port: 9}
status: {loadBalancer: {ingress: [{ip: 203.0.113.7}, {hostname: lb.example.com}]}}
";
    let Object::Service(service) = only(text) else { panic!("no Service") };
    assert_eq!(addresses(&service.addresses), ["10.96.0.7", "203.0.113.7", "198.51.100.7"]);
    let targets: Vec<_> = service.ports.iter().map(|port| (port.number, port.protocol, &port.target)).collect();
    assert_eq!(
        targets,
        [
            (80, Protocol::Tcp, &TargetPort::Name("http".into())),
            (53, Protocol::Udp, &TargetPort::Number(5353)),
            (9, Protocol::Tcp, &TargetPort::Number(9)),
        ]
    );
    assert_eq!(service.ports[0].node_port, Some(30080));
    assert_eq!(service.selector.unwrap().requirements[0].operator, Operator::In);
}

#[test]
fn a_service_without_an_address_or_a_selector() {
    let of = |spec: &str| {
        let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}");
        let Object::Service(service) = only(&text) else { panic!("no Service") };
        (service.addresses.len(), service.selector.is_some())
    };
    assert_eq!(of("{clusterIP: None, clusterIPs: [None], selector: {app: web}}"), (0, true));
    assert_eq!(of("{clusterIP: 10.96.0.8, selector: {}}"), (1, false));
    assert_eq!(of("{type: ExternalName, externalName: example.com, selector: {app: web}}"), (0, false));
}

#[test]
fn a_slice_of_either_version() {
    for version in ["v1", "v1beta1"] {
        let text = format!(
            "
apiVersion: discovery.k8s.io/{version}
kind: EndpointSlice
metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints:
- {{addresses: [10.1.0.9], targetRef: {{kind: Pod, name: web-x}}, conditions: {{ready: false}}}}
- {{addresses: [10.1.0.10], targetRef: {{kind: Node, name: n1}}, conditions: {{}}}}
- {{addresses: [10.1.0.11]}}
ports: [{{port: 8080}}, {{name: dns, port: 53, protocol: UDP}}, {{name: all}}]
"
        );
        let Object::Slice(slice) = only(&text) else { panic!("no slice") };
        let backends: Vec<_> =
            slice.backends.iter().map(|backend| (backend.pod.as_deref(), backend.is_ready)).collect();
        assert_eq!(backends, [(Some("web-x"), false), (None, true), (None, true)]);
        let ports: Vec<_> = slice.ports.iter().map(|(name, number, _)| (&**name, *number)).collect();
        assert_eq!((&*slice.service, ports), ("web", vec![("", 8080), ("dns", 53)]));
    }
}

#[test]
fn a_slice_of_nobody_is_passed_over() {
    let value = json!({"metadata": {"name": "x"}, "addressType": "IPv4"});
    assert_eq!(slice(&value, &mut Interner::default()), Ok(None));
    let names = json!({"metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}]});
    assert_eq!(slice(&names, &mut Interner::default()).unwrap().unwrap().backends.len(), 0);
}

#[test]
fn kinds_that_mean_nothing_here_are_passed_over() {
    for (version, kind) in [
        ("v1", "ConfigMap"),
        ("example.com/v1", "NetworkPolicy"),
        ("example.com/v1", "Pod"),
        ("projectcalico.org/v3", "StagedNetworkPolicy"),
        ("apps/v1", "Deployment"),
    ] {
        assert_eq!(object(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})), Ok(None));
    }
    for value in [json!(null), json!({"kind": "Pod"}), json!({"apiVersion": "v1", "metadata": {"name": "x"}})] {
        let told = object(&value).unwrap_err().to_string();
        assert!(told.ends_with("is missing"), "an object of which the kind is not known is not passed over: {told}");
    }
}

#[test]
fn lists_are_taken_apart() {
    let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}, {metadata: {name: b}}]}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
# only a comment
---
apiVersion: v1
kind: Pod
metadata: {name: c}
";
    let names: Vec<_> = pods(text).iter().map(|pod| pod.id.name.to_string()).collect();
    assert_eq!((names, read(text).len()), (vec!["a".into(), "b".into(), "c".into()], 4));
    let json = r#"{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}]}"#;
    assert_eq!(file("pods.json", json).unwrap().len(), 1);
    let twice = format!("\u{feff}{json}\n{json}");
    assert_eq!(file("-", &twice).unwrap().len(), 2);
    assert_eq!((file("empty.yaml", "").unwrap().len(), file("empty.json", "").unwrap().len()), (0, 0));
}

#[test]
fn a_template_stands_in_for_the_pods_of_its_workload() {
    let template = "{metadata: {labels: {app: web}}, spec: {serviceAccountName: robot, \
        containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}}";
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"] {
        let spec = match kind {
            "CronJob" => format!("{{jobTemplate: {{spec: {{template: {template}}}}}}}"),
            _ => format!("{{template: {template}}}"),
        };
        let text = format!("apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\nspec: {spec}");
        let pod = pods(&text).remove(0);
        let workload = pod.workload.as_ref().unwrap();
        assert_eq!((pod.id.to_string().as_str(), &*workload.kind, &*workload.name), ("shop/web", kind, "web"));
        assert_eq!((pod.labels.to_string().as_str(), pod.ports[0].number), ("app=web", 8080));
        assert!(pod.addresses.is_empty() && pod.node.is_none() && pod.service_account.as_deref() == Some("robot"));
    }
}

#[test]
fn a_template_does_not_stand_beside_its_pods() {
    let text = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: []}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-5f, ownerReferences: [{kind: Deployment, name: web, controller: true}]}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: []}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec: {template: {metadata: {labels: {app: api}}, spec: {containers: []}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-5f-abc
  uid: u1
  labels: {pod-template-hash: 5f}
  ownerReferences: [{kind: ReplicaSet, name: web-5f, controller: true}]
status: {podIP: 10.0.0.1}
";
    let names: Vec<_> = pods(text).iter().map(|pod| pod.id.name.to_string()).collect();
    assert_eq!(names, ["api", "web-5f-abc"]);
}

#[test]
fn what_is_right_is_read_beside_what_is_wrong() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {}}\n---\n\
        {apiVersion: v1, kind: Pod, metadata: {name: c}}\n---\nreplicas: 3\n";
    let (found, errors) = objects("mixed.yaml", text, &mut Interner::default());
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(
        errors,
        [
            "mixed.yaml: Pod without a name (document 2): metadata.name: is missing",
            "mixed.yaml: document 4: apiVersion: is missing: this is no object of Kubernetes",
        ]
    );
}

#[test]
fn a_world_takes_what_was_read() {
    let mut world = World::default();
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, status: {podIP: 10.0.0.1}}";
    for object in read(text) {
        world.add(object);
    }
    assert!(world.pod(&ObjectName::new("shop", "a")).is_some());
    assert_eq!(world.pods_at("10.0.0.1".parse().unwrap()).count(), 1);
}
