//! The cluster of the cases: namespaces x, y and z (`ns=x`, ...) with the pods a, b and c (`pod=a`, ...), which serve the ports
//! 80 and 81 by TCP, UDP and SCTP under names such as `serve-80-tcp`. Pods a run on the node a, and so on.
//!
//! Rule: a case says the whole matrix: a line for the clients of each namespace, on it a part for each client, in that a column
//! for each server in the order of x/a, x/b, ... z/c. `X` is allowed, `.` denied, `?` undecided.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tracer_policy::model::{
    ContainerPort, Labels, Namespace, NetworkPolicy, Node, ObjectName, Operator, Peer, Pod, Policy, PolicyKind,
    PortMatch, PortRange, Protocol, Requirement, Rule, Selector, TierAction, TierLevel, TierPeer, TierRule,
    TieredPolicy,
};
use tracer_policy::{Answer, Connection, End, Verdict, World, evaluate};

pub(crate) const TCP: Protocol = Protocol::Tcp;
pub(crate) const UDP: Protocol = Protocol::Udp;
pub(crate) const SCTP: Protocol = Protocol::Sctp;
const NAMESPACES: [&str; 3] = ["x", "y", "z"];
const PODS: [&str; 3] = ["a", "b", "c"];

pub(crate) fn cluster() -> World {
    let mut world = World::default();
    world.set_knows_policies(true);
    for (pod, last) in PODS.into_iter().zip(1..) {
        let addresses = [IpAddr::from([192, 0, 2, last])].into();
        let labels = [("node", pod)].into_iter().collect();
        let pod_ranges = [format!("10.2.{last}.0/24").parse().unwrap()].into();
        world.set_node(Node { name: pod.into(), labels, addresses, pod_ranges });
    }
    for (namespace, third) in NAMESPACES.into_iter().zip(1..) {
        label_namespace(&mut world, namespace, &[("ns", namespace)]);
        for (name, last) in PODS.into_iter().zip(1..) {
            let mut pod = Pod::new(namespace, name, format!("{namespace}-{name}"));
            pod.labels = [("pod", name)].into_iter().collect();
            let v6 = Ipv6Addr::new(0xfd00, 0, 0, u16::from(third), 0, 0, 0, u16::from(last));
            pod.addresses = [IpAddr::V4(Ipv4Addr::new(10, 1, third, last)), IpAddr::V6(v6)].into();
            pod.node = Some(name.into());
            pod.ports = serving(&[80, 81]);
            world.set_pod(Arc::new(pod));
        }
    }
    world
}

fn serving(numbers: &[u16]) -> Box<[ContainerPort]> {
    let each = numbers.iter().flat_map(|number| [TCP, UDP, SCTP].map(|protocol| (*number, protocol)));
    each.map(|(number, protocol)| ContainerPort { name: format!("serve-{number}-{protocol}").into(), number, protocol })
        .collect()
}

pub(crate) fn label_namespace(world: &mut World, name: &str, labels: &[(&str, &str)]) {
    world.set_namespace(Namespace { name: name.into(), labels: labels.iter().copied().collect::<Labels>() });
}

/// Changes one pod.
pub(crate) fn change(world: &mut World, namespace: &str, name: &str, change: impl Fn(&mut Pod)) {
    let mut pod = (**world.pod(&ObjectName::new(namespace, name)).unwrap()).clone();
    change(&mut pod);
    world.set_pod(Arc::new(pod));
}

/// Puts a pod into the network of its node.
pub(crate) fn on_host(world: &mut World, namespace: &str, name: &str) {
    let addresses = world.node(name).unwrap().addresses.clone();
    change(world, namespace, name, |pod| (pod.host_network, pod.addresses) = (true, addresses.clone()));
}

/// Asks for each pair of pods by IPv4, and compares with the matrix.
pub(crate) fn check(policies: impl IntoIterator<Item = Policy>, protocol: Protocol, port: u16, reach: &str) {
    check_in(cluster(), policies, protocol, port, reach);
}

pub(crate) fn check_in(
    world: World,
    policies: impl IntoIterator<Item = Policy>,
    protocol: Protocol,
    port: u16,
    reach: &str,
) {
    check_by(0, world, policies, protocol, port, reach);
}

/// By the address with this number, if a pod has it.
pub(crate) fn check_by(
    address: usize,
    mut world: World,
    policies: impl IntoIterator<Item = Policy>,
    protocol: Protocol,
    port: u16,
    reach: &str,
) {
    for policy in policies {
        world.set_policy(Arc::new(policy));
    }
    let pods: Vec<&Arc<Pod>> = NAMESPACES
        .iter()
        .flat_map(|namespace| PODS.map(|name| world.pod(&ObjectName::new(*namespace, name)).unwrap()))
        .collect();
    let mut found = String::new();
    for (row, source) in pods.iter().enumerate() {
        for (column, destination) in pods.iter().enumerate() {
            let [source, destination] = [source, destination].map(|pod| {
                let address = pod.addresses.get(address).or(pod.addresses.first());
                End::Pod(pod, *address.unwrap())
            });
            let answer = evaluate(&world, &Connection { source, destination, protocol, port });
            is_sound(&answer);
            let space = if column % 3 == 0 && column > 0 { " " } else { "" };
            write!(found, "{space}{}", letter(answer.verdict())).unwrap();
        }
        found.push_str(if row % 3 == 2 { "\n" } else { " | " });
    }
    let wanted: Vec<&str> = reach.trim().lines().map(str::trim).collect();
    assert_eq!(found.trim(), wanted.join("\n"), "found, then wanted");
}

fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Allowed => 'X',
        Verdict::Denied => '.',
        Verdict::Unknown => '?',
    }
}

/// What must hold of every answer.
fn is_sound(answer: &Answer) {
    for side in [&answer.egress, &answer.ingress] {
        assert_eq!(side.verdict == Verdict::Unknown, !side.unknown.is_empty(), "{side:?}");
        assert!(side.verdict != Verdict::Denied || !side.selected_by.is_empty(), "{side:?}");
        assert!(side.decided_by.iter().all(|rule| side.selected_by.contains(&rule.policy)), "{side:?}");
        assert!(side.nearest.iter().all(|nearest| !nearest.mismatch.is_empty()), "{side:?}");
    }
}

/// `pod=a`, `pod in b|c`, `pod notin b|c`, `pod`, `!pod`, joined by commas; empty: everything.
pub(crate) fn select(text: &str) -> Selector {
    let each = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        let listed = |values: &str| values.split('|').map(Into::into).collect::<Box<[_]>>();
        let (key, operator, values) = if let Some((key, values)) = part.split_once(" notin ") {
            (key, Operator::NotIn, listed(values))
        } else if let Some((key, values)) = part.split_once(" in ") {
            (key, Operator::In, listed(values))
        } else if let Some((key, value)) = part.split_once('=') {
            (key, Operator::In, listed(value))
        } else if let Some(key) = part.strip_prefix('!') {
            (key, Operator::DoesNotExist, Box::default())
        } else {
            (part, Operator::Exists, Box::default())
        };
        Requirement { key: key.into(), operator, values }
    });
    Selector { requirements: each.collect() }
}

/// A NetworkPolicy for ingress.
pub(crate) fn ingress(name: &str, pods: &str, rules: impl IntoIterator<Item = Rule>) -> Policy {
    both(name, pods, Some(rules.into_iter().collect()), None)
}

/// A NetworkPolicy for egress.
pub(crate) fn egress(name: &str, pods: &str, rules: impl IntoIterator<Item = Rule>) -> Policy {
    both(name, pods, None, Some(rules.into_iter().collect()))
}

/// `name` is `namespace/name`.
pub(crate) fn both(name: &str, pods: &str, ingress: Option<Box<[Rule]>>, egress: Option<Box<[Rule]>>) -> Policy {
    let (namespace, name) = name.split_once('/').unwrap();
    Policy::Network(NetworkPolicy { id: ObjectName::new(namespace, name), pods: select(pods), ingress, egress })
}

pub(crate) fn rule<const N: usize, const M: usize>(peers: [Peer; N], ports: [PortMatch; M]) -> Rule {
    Rule { peers: peers.into(), ports: ports.into() }
}

/// Pods of the policy's own namespace.
pub(crate) fn pods(selector: &str) -> Peer {
    Peer::Pods { namespaces: None, pods: Some(select(selector)) }
}

pub(crate) fn namespaces(selector: &str) -> Peer {
    Peer::Pods { namespaces: Some(select(selector)), pods: None }
}

pub(crate) fn pods_of(namespaces: &str, pods: &str) -> Peer {
    Peer::Pods { namespaces: Some(select(namespaces)), pods: Some(select(pods)) }
}

pub(crate) fn block(range: &str, except: &[&str]) -> Peer {
    let except = except.iter().map(|range| range.parse().unwrap()).collect();
    Peer::Block { range: range.parse().unwrap(), except }
}

pub(crate) fn port(protocol: Protocol, number: u16) -> PortMatch {
    ports(protocol, number, number)
}

pub(crate) fn ports(protocol: Protocol, first: u16, last: u16) -> PortMatch {
    PortMatch { protocol, range: PortRange::Numbers(first, last) }
}

pub(crate) fn named(protocol: Protocol, name: &str) -> PortMatch {
    PortMatch { protocol, range: PortRange::Name(name.into()) }
}

pub(crate) fn any_port(protocol: Protocol) -> PortMatch {
    PortMatch { protocol, range: PortRange::All }
}

/// An AdminNetworkPolicy about namespaces.
pub(crate) fn admin(priority: u32, namespaces: &str) -> TieredPolicy {
    TieredPolicy {
        kind: PolicyKind::AdminNetworkPolicy,
        id: ObjectName::new("", format!("admin-{priority}")),
        level: TierLevel::Admin,
        priority,
        namespaces: select(namespaces),
        pods: None,
        ingress: Box::default(),
        egress: Box::default(),
        unknown: Box::default(),
    }
}

pub(crate) fn baseline(namespaces: &str) -> TieredPolicy {
    let kind = PolicyKind::BaselineAdminNetworkPolicy;
    TieredPolicy { kind, level: TierLevel::Baseline, id: ObjectName::new("", "default"), ..admin(0, namespaces) }
}

pub(crate) fn from(policy: TieredPolicy, rules: impl IntoIterator<Item = TierRule>) -> Policy {
    Policy::Tiered(TieredPolicy { ingress: rules.into_iter().collect(), ..policy })
}

pub(crate) fn to(policy: TieredPolicy, rules: impl IntoIterator<Item = TierRule>) -> Policy {
    Policy::Tiered(TieredPolicy { egress: rules.into_iter().collect(), ..policy })
}

pub(crate) fn tier<const N: usize>(action: TierAction, peer: TierPeer, ports: [PortMatch; N]) -> TierRule {
    TierRule { name: None, action, peers: [peer].into(), ports: ports.into(), unknown: Box::default() }
}

pub(crate) fn in_tier(namespaces: &str) -> TierPeer {
    TierPeer::Pods { namespaces: select(namespaces), pods: None }
}

pub(crate) fn pods_in_tier(namespaces: &str, pods: &str) -> TierPeer {
    TierPeer::Pods { namespaces: select(namespaces), pods: Some(select(pods)) }
}
