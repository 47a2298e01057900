//! A small cluster for the tests of both vendors.

use serde_json::Value;

use super::{Opinion, judge};
use crate::World;
use crate::evaluate::{Connection, Direction, End};
use crate::model::{ObjectName, PolicyKind, Protocol, VendorPolicy};
use crate::read::file;

const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: b}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, tier: front, pod-template-hash: 5f}}
spec: {nodeName: n1, serviceAccountName: robot, containers: [{ports: [{name: http, containerPort: 8080}]}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, namespace: shop, labels: {app: client}}, spec: {nodeName: n1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, namespace: other, labels: {app: client}}, spec: {nodeName: n2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: lost, namespace: unseen, labels: {app: client}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: shop, labels: {app: client}}, spec: {nodeName: n2, hostNetwork: true}}
---
{apiVersion: v1, kind: Service, metadata: {name: backends, namespace: shop}, spec: {clusterIP: 10.96.0.1}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: backends-1, namespace: shop, labels: {kubernetes.io/service-name: backends}}
endpoints: [{addresses: [203.0.113.7]}]
ports: [{port: 443}]
";

/// Where each end is: `shop/web` is a pod, `node:n2` a node, anything else an address outside.
pub(super) struct Ask {
    pub(super) kind: PolicyKind,
    pub(super) direction: Direction,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

impl Ask {
    /// To port 8080 of the pod web.
    pub(super) fn from(kind: PolicyKind, from: &'static str) -> Self {
        Self { kind, direction: Direction::Ingress, from, to: "shop/web", port: 8080, protocol: Protocol::Tcp }
    }

    /// From the pod web to port 443.
    pub(super) fn to(kind: PolicyKind, to: &'static str) -> Self {
        Self { kind, direction: Direction::Egress, from: "shop/web", to, port: 443, protocol: Protocol::Tcp }
    }

    pub(super) fn port(mut self, port: u16, protocol: Protocol) -> Self {
        (self.port, self.protocol) = (port, protocol);
        self
    }

    /// What a policy in the namespace shop, or of the cluster, says.
    pub(super) fn of(&self, spec: &Value) -> Opinion {
        let world = world();
        let is_near = matches!(self.kind, PolicyKind::CiliumNetworkPolicy | PolicyKind::CalicoNetworkPolicy);
        let id = ObjectName::new(if is_near { "shop" } else { "" }, "policy");
        let policy = VendorPolicy { kind: self.kind, id, spec: spec.clone() };
        let (source, destination) = (end(&world, self.from), end(&world, self.to));
        let connection = Connection { source, destination, protocol: self.protocol, port: self.port };
        judge(&world, &policy, &connection, self.direction)
    }
}

fn world() -> World {
    let mut world = World::default();
    file("cluster.yaml", CLUSTER).unwrap().into_iter().for_each(|object| world.add(object));
    world
}

fn end<'a>(world: &'a World, place: &'a str) -> End<'a> {
    if let Some(node) = place.strip_prefix("node:") {
        return match node.split_once('@') {
            Some((node, address)) => End::Node(Some(node), address.parse().unwrap()),
            None => End::Node((node != "?").then_some(node), "192.0.2.1".parse().unwrap()),
        };
    }
    match place.split_once('/') {
        Some((namespace, name)) => {
            let pod = world.pod(&ObjectName::new(namespace, name)).unwrap();
            End::Pod(pod, "10.1.0.9".parse().unwrap())
        }
        None => End::Outside(place.parse().unwrap()),
    }
}

/// `Undecided`, whatever it hangs on.
pub(super) fn undecided() -> Opinion {
    Opinion::Undecided(String::new())
}

/// Without what it hangs on, which must be told.
pub(super) fn plain(opinion: Opinion) -> Opinion {
    match opinion {
        Opinion::Undecided(why) => {
            assert!(!why.is_empty(), "undecided without a reason");
            undecided()
        }
        decided => decided,
    }
}
