//! Random clusters: few names, labels, ports and addresses, so that policies and connections meet.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tracer_policy::model::{
    ContainerPort, Labels, Namespace, NetworkPolicy, Node, ObjectName, Operator, Peer, Pod, Policy, PolicyKind,
    PortMatch, PortRange, Protocol, Requirement, Rule, Selector, TierAction, TierLevel, TierPeer, TierRule,
    TieredPolicy,
};
use tracer_policy::{Answer, Connection, End, World, evaluate};

use crate::random::Random;

pub(crate) const PORTS: [u16; 3] = [80, 81, 443];
pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
const NODES: [&str; 2] = ["n1", "n2"];
const RANGES: [&str; 9] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.1.0/30",
    "10.0.1.1/32",
    "192.0.2.0/24",
    "203.0.113.0/25",
    "fd00::/16",
    "fd00:0:0:1::/64",
];

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) outside: Vec<IpAddr>,
    pub(crate) policies: Vec<NetworkPolicy>,
    pub(crate) tiers: Vec<TieredPolicy>,
    /// Which of all questions are asked.
    stride: (usize, usize),
}

/// Ends are numbered: pods, nodes, outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    pub(crate) source: usize,
    pub(crate) destination: usize,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

/// All labels that a namespace may have.
pub(crate) fn namespace_labels() -> impl Iterator<Item = Labels> {
    let (teams, stages) = ([None, Some("a"), Some("b")], [None, Some("x"), Some("y")]);
    teams.into_iter().flat_map(move |team| {
        stages.map(|stage| {
            team.map(|team| ("team", team)).into_iter().chain(stage.map(|stage| ("stage", stage))).collect()
        })
    })
}

impl Cluster {
    pub(crate) fn random(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let labels: Vec<Labels> = namespace_labels().collect();
        let namespaces = ["n0", "n1"].map(|name| Namespace { name: name.into(), labels: random.pick(&labels) });
        let nodes = NODES.iter().zip(1..).map(|(name, last)| Node {
            name: (*name).into(),
            labels: random.pick(&labels),
            addresses: [IpAddr::from([192, 0, 2, last])].into(),
            pod_ranges: Box::default(),
        });
        let nodes: Vec<Node> = nodes.collect();
        let pods = (0..6).map(|number| pod(random, number, &nodes)).collect();
        let outside = ["203.0.113.9", "203.0.113.200", "fd00:0:0:9::1"].map(|address| address.parse().unwrap());
        let policies = (0..random.below(5)).map(|number| policy(random, number)).collect();
        let mut tiers: Vec<TieredPolicy> = (0..random.below(4)).map(|number| admin(random, number)).collect();
        if random.one_in(2) {
            tiers.push(baseline(random));
        }
        let stride = (random.below(2), 2);
        Self { namespaces: namespaces.into(), nodes, pods, outside: outside.into(), policies, tiers, stride }
    }

    pub(crate) fn without_tiers(mut self) -> Self {
        self.tiers.clear();
        self
    }

    pub(crate) fn world(&self) -> World {
        let mut world = World::default();
        world.set_knows_policies(true);
        self.namespaces.iter().for_each(|namespace| world.set_namespace(namespace.clone()));
        self.nodes.iter().for_each(|node| world.set_node(node.clone()));
        self.pods.iter().for_each(|pod| world.set_pod(Arc::new(pod.clone())));
        self.policies.iter().for_each(|policy| world.set_policy(Arc::new(Policy::Network(policy.clone()))));
        self.tiers.iter().for_each(|policy| world.set_policy(Arc::new(Policy::Tiered(policy.clone()))));
        world
    }

    pub(crate) fn ends(&self) -> usize {
        self.pods.len() + self.nodes.len() + self.outside.len()
    }

    pub(crate) fn pod(&self, end: usize) -> Option<&Pod> {
        self.pods.get(end)
    }

    /// The node itself, or the node of a pod in its network.
    pub(crate) fn node(&self, end: usize) -> Option<&Node> {
        match self.pods.get(end) {
            Some(pod) => self.nodes.iter().find(|node| pod.host_network && Some(&node.name) == pod.node.as_ref()),
            None => self.nodes.get(end - self.pods.len()),
        }
    }

    pub(crate) fn address(&self, end: usize) -> IpAddr {
        match (self.pods.get(end), self.node(end)) {
            (Some(pod), _) => pod.addresses[0],
            (None, Some(node)) => node.addresses[0],
            (None, None) => self.outside[end - self.pods.len() - self.nodes.len()],
        }
    }

    pub(crate) fn all_flows(&self) -> impl Iterator<Item = Flow> {
        let ends = 0..self.ends();
        let pairs = ends.clone().flat_map(move |source| ends.clone().map(move |destination| (source, destination)));
        pairs.flat_map(|(source, destination)| {
            let each = PORTS.into_iter().flat_map(|port| PROTOCOLS.map(|protocol| (port, protocol)));
            each.map(move |(port, protocol)| Flow { source, destination, protocol, port })
        })
    }

    /// Some of all questions.
    pub(crate) fn flows(&self) -> impl Iterator<Item = Flow> {
        self.all_flows().skip(self.stride.0).step_by(self.stride.1)
    }

    pub(crate) fn ask(&self, world: &World, flow: Flow) -> Answer {
        let [source, destination] = [flow.source, flow.destination].map(|end| match self.pod(end) {
            Some(pod) => End::Pod(pod, self.address(end)),
            None => self.other(end),
        });
        evaluate(world, &Connection { source, destination, protocol: flow.protocol, port: flow.port })
    }

    /// With the pods as the world has them now.
    pub(crate) fn ask_of(&self, world: &World, flow: Flow) -> Answer {
        let [source, destination] = [flow.source, flow.destination].map(|end| match self.pod(end) {
            Some(pod) => End::Pod(world.pod(&pod.id).unwrap(), self.address(end)),
            None => self.other(end),
        });
        evaluate(world, &Connection { source, destination, protocol: flow.protocol, port: flow.port })
    }

    /// A node by name or by its address, which may be written as IPv6.
    fn other(&self, end: usize) -> End<'_> {
        match (self.address(end), self.node(end)) {
            (address, Some(node)) if end.is_multiple_of(2) => End::Node(Some(&node.name), address),
            (address, Some(_)) => End::Node(None, address),
            (IpAddr::V4(address), None) => End::Outside(address.to_ipv6_mapped().into()),
            (address, None) => End::Outside(address),
        }
    }
}

fn pod(random: &mut Random, number: u8, nodes: &[Node]) -> Pod {
    let namespace = number % 2;
    let name = format!("p{number}");
    let mut pod = Pod::new(format!("n{namespace}"), name.as_str(), name.as_str());
    let node = random.pick(nodes);
    pod.host_network = random.one_in(6);
    let v6 = format!("fd00:0:0:{namespace}::{number}").parse().unwrap();
    let own = if random.one_in(5) { v6 } else { IpAddr::from([10, 0, namespace, number]) };
    pod.addresses = if pod.host_network { node.addresses } else { [own].into() };
    pod.node = Some(node.name);
    let (apps, tiers) = ([None, Some("web"), Some("db")], [None, Some("front")]);
    let (app, tier) = (random.pick(&apps), random.pick(&tiers));
    pod.labels = app.map(|app| ("app", app)).into_iter().chain(tier.map(|tier| ("tier", tier))).collect();
    pod.ports = random.some(0, 2, |random| ContainerPort {
        name: random.pick(&["http", "alt"]).into(),
        number: random.pick(&PORTS),
        protocol: random.pick(&PROTOCOLS),
    });
    pod
}

/// Each key at most once, so that it can be met.
fn selector(random: &mut Random, keys: &[(&str, &[&str])]) -> Selector {
    let mut requirements = Vec::new();
    for (key, known) in keys {
        if random.one_in(2) {
            continue;
        }
        let operator =
            random.pick(&[Operator::In, Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist]);
        let has_values = matches!(operator, Operator::In | Operator::NotIn);
        let values = if has_values { random.some(1, 2, |random| random.pick(known).into()) } else { Box::default() };
        requirements.push(Requirement { key: (*key).into(), operator, values });
    }
    Selector { requirements: requirements.into() }
}

fn pods(random: &mut Random) -> Selector {
    selector(random, &[("app", &["web", "db"]), ("tier", &["front", "back"])])
}

fn namespaces(random: &mut Random) -> Selector {
    let name: (&str, &[&str]) = ("kubernetes.io/metadata.name", &["n0", "n1"]);
    let keys = [("team", &["a", "b"][..]), ("stage", &["x", "y"])];
    if random.one_in(4) { selector(random, &[name, keys[0]]) } else { selector(random, &keys) }
}

fn range(random: &mut Random) -> IpNet {
    random.pick(&RANGES).parse().unwrap()
}

fn port(random: &mut Random) -> PortMatch {
    let number = random.pick(&PORTS);
    let range = match random.below(6) {
        0 => PortRange::All,
        1 => PortRange::Numbers(number, number + 1),
        2 => PortRange::Name(random.pick(&["http", "alt"]).into()),
        _ => PortRange::Numbers(number, number),
    };
    PortMatch { protocol: random.pick(&PROTOCOLS), range }
}

fn peer(random: &mut Random) -> Peer {
    match random.below(4) {
        0 => Peer::Block { range: range(random), except: random.some(0, 2, range) },
        1 => Peer::Pods { namespaces: None, pods: Some(pods(random)) },
        2 => Peer::Pods { namespaces: Some(namespaces(random)), pods: None },
        _ => Peer::Pods { namespaces: Some(namespaces(random)), pods: Some(pods(random)) },
    }
}

fn policy(random: &mut Random, number: usize) -> NetworkPolicy {
    let rules = |random: &mut Random| {
        let is_about = !random.one_in(3);
        let rule = |random: &mut Random| Rule { peers: random.some(0, 2, peer), ports: random.some(0, 2, port) };
        is_about.then(|| random.some(0, 3, rule))
    };
    let namespace = random.pick(&["n0", "n1"]);
    let id = ObjectName::new(namespace, format!("np{number}"));
    NetworkPolicy { id, pods: pods(random), ingress: rules(random), egress: rules(random) }
}

fn tier_rule(random: &mut Random, is_egress: bool) -> TierRule {
    let networks = |random: &mut Random| TierPeer::Networks(random.some(1, 2, range));
    let peer = |random: &mut Random| match random.below(if is_egress { 4 } else { 2 }) {
        0 => TierPeer::Pods { namespaces: namespaces(random), pods: None },
        1 => TierPeer::Pods { namespaces: namespaces(random), pods: Some(pods(random)) },
        2 => TierPeer::Nodes(namespaces(random)),
        _ => networks(random),
    };
    let peers = random.some(1, 2, peer);
    let action = random.pick(&[TierAction::Allow, TierAction::Deny, TierAction::Pass]);
    TierRule { name: None, action, peers, ports: random.some(0, 2, port), unknown: Box::default() }
}

/// At most two have one priority.
fn admin(random: &mut Random, number: usize) -> TieredPolicy {
    TieredPolicy {
        kind: PolicyKind::AdminNetworkPolicy,
        id: ObjectName::new("", format!("admin{number}")),
        level: TierLevel::Admin,
        priority: [5, 5, 7][number],
        namespaces: namespaces(random),
        pods: random.one_in(2).then(|| pods(random)),
        ingress: random.some(0, 2, |random| tier_rule(random, false)),
        egress: random.some(0, 2, |random| tier_rule(random, true)),
        unknown: Box::default(),
    }
}

fn baseline(random: &mut Random) -> TieredPolicy {
    let kind = PolicyKind::BaselineAdminNetworkPolicy;
    let id = ObjectName::new("", "default");
    TieredPolicy { kind, id, level: TierLevel::Baseline, priority: 0, ..admin(random, 0) }
}
