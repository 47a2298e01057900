//! The second evaluator: no rules are searched for a connection; every policy is spread out over all connections that there are.
//!
//! Rule: nothing of the first one is used but the types that it reads.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use tracer_policy::Verdict;
use tracer_policy::model::{
    Labels, NetworkPolicy, Operator, Peer, PortMatch, PortRange, Protocol, Rule, Selector, TierAction, TierLevel,
    TierPeer, TierRule, TieredPolicy,
};

use crate::cluster::{Cluster, Flow, PORTS, PROTOCOLS};

/// Whether the flow is judged by the policies of its destination.
type IsIngress = bool;
/// Pods that a policy selects.
type Isolated = HashSet<(IsIngress, usize)>;
type Allowed = HashSet<(IsIngress, Flow)>;
type Painted = HashMap<(IsIngress, Flow), TierAction>;

pub(crate) struct Verdicts {
    /// For each order that policies of one priority may have.
    possible: [HashSet<Flow>; 2],
}

impl Verdicts {
    pub(crate) fn of(&self, flow: Flow) -> Verdict {
        match self.possible.each_ref().map(|denied| denied.contains(&flow)) {
            [true, true] => Verdict::Denied,
            [false, false] => Verdict::Allowed,
            _ => Verdict::Unknown,
        }
    }
}

pub(crate) fn verdicts(cluster: &Cluster) -> Verdicts {
    let (isolated, allowed) = network_policies(cluster);
    let baseline = paint(cluster, TierLevel::Baseline, false);
    Verdicts {
        possible: [false, true].map(|is_reversed| {
            let admin = paint(cluster, TierLevel::Admin, is_reversed);
            let is_denied = |is_ingress: bool, flow: Flow| {
                let (near, far) = ends(is_ingress, flow);
                if cluster.pod(near).is_none_or(|pod| pod.host_network) || near == far {
                    return false;
                }
                if is_ingress && is_own_node(cluster, near, far) {
                    return false;
                }
                match admin.get(&(is_ingress, flow)) {
                    Some(TierAction::Allow) => false,
                    Some(TierAction::Deny) => true,
                    _ if isolated.contains(&(is_ingress, near)) => !allowed.contains(&(is_ingress, flow)),
                    _ => baseline.get(&(is_ingress, flow)) == Some(&TierAction::Deny),
                }
            };
            cluster.all_flows().filter(|flow| is_denied(false, *flow) || is_denied(true, *flow)).collect()
        }),
    }
}

/// All policies that select a pod and have something to say of the direction.
pub(crate) fn selecting(cluster: &Cluster, is_ingress: IsIngress, near: usize) -> HashSet<String> {
    let pod = &cluster.pods[near];
    let network = cluster.policies.iter().filter(|policy| {
        let is_about = if is_ingress { policy.ingress.is_some() } else { policy.egress.is_some() };
        is_about && policy.id.namespace == pod.id.namespace && selects(&policy.pods, &pod.labels)
    });
    let tiered = cluster.tiers.iter().filter(|policy| {
        let rules = if is_ingress { &policy.ingress } else { &policy.egress };
        !rules.is_empty() && is_subject(cluster, policy, near)
    });
    network.map(|policy| policy.id.name.to_string()).chain(tiered.map(|policy| policy.id.name.to_string())).collect()
}

fn is_subject(cluster: &Cluster, policy: &TieredPolicy, near: usize) -> bool {
    let pod = &cluster.pods[near];
    let is_there = selects(&policy.namespaces, &namespace_labels(cluster, &pod.id.namespace));
    is_there && policy.pods.iter().all(|pods| selects(pods, &pod.labels))
}

fn ends(is_ingress: IsIngress, flow: Flow) -> (usize, usize) {
    if is_ingress { (flow.destination, flow.source) } else { (flow.source, flow.destination) }
}

fn flow(is_ingress: IsIngress, near: usize, far: usize, (protocol, port): (Protocol, u16)) -> Flow {
    let (source, destination) = if is_ingress { (far, near) } else { (near, far) };
    Flow { source, destination, protocol, port }
}

fn is_own_node(cluster: &Cluster, near: usize, far: usize) -> bool {
    let own = cluster.pods[near].node.as_ref();
    cluster.node(far).is_some_and(|node| Some(&node.name) == own)
}

/// Who is isolated, and all that is allowed in spite of it.
fn network_policies(cluster: &Cluster) -> (Isolated, Allowed) {
    let (mut isolated, mut allowed) = (Isolated::new(), Allowed::new());
    for policy in &cluster.policies {
        for (is_ingress, rules) in [(true, &policy.ingress), (false, &policy.egress)] {
            let Some(rules) = rules else { continue };
            let subjects = members(cluster).filter(|near| {
                let pod = &cluster.pods[*near];
                pod.id.namespace == policy.id.namespace && selects(&policy.pods, &pod.labels)
            });
            for near in subjects {
                isolated.insert((is_ingress, near));
                for rule in rules {
                    spread(cluster, policy, is_ingress, near, rule, &mut allowed);
                }
            }
        }
    }
    (isolated, allowed)
}

/// Pods of the pod network.
fn members(cluster: &Cluster) -> impl Iterator<Item = usize> {
    (0..cluster.pods.len()).filter(|end| !cluster.pods[*end].host_network)
}

fn spread(
    cluster: &Cluster,
    policy: &NetworkPolicy,
    is_ingress: IsIngress,
    near: usize,
    rule: &Rule,
    allowed: &mut Allowed,
) {
    let mut far: HashSet<usize> = HashSet::new();
    if rule.peers.is_empty() {
        far.extend(0..cluster.ends());
    }
    for peer in &rule.peers {
        match peer {
            Peer::Block { range, except } => {
                let is_out = |end: usize| except.iter().any(|except| is_in(cluster.address(end), except));
                far.extend((0..cluster.ends()).filter(|end| is_in(cluster.address(*end), range) && !is_out(*end)));
            }
            Peer::Pods { namespaces, pods } => far.extend(members(cluster).filter(|end| {
                let pod = &cluster.pods[*end];
                let is_there = match namespaces {
                    None => pod.id.namespace == policy.id.namespace,
                    Some(namespaces) => selects(namespaces, &namespace_labels(cluster, &pod.id.namespace)),
                };
                is_there && pods.iter().all(|pods| selects(pods, &pod.labels))
            })),
        }
    }
    for far in far {
        let server = if is_ingress { near } else { far };
        for service in services(cluster, server, &rule.ports) {
            allowed.insert((is_ingress, flow(is_ingress, near, far, service)));
        }
    }
}

/// The ports of a server that a list means.
fn services(cluster: &Cluster, server: usize, wanted: &[PortMatch]) -> HashSet<(Protocol, u16)> {
    let all = || PROTOCOLS.into_iter().flat_map(|protocol| PORTS.map(|port| (protocol, port)));
    if wanted.is_empty() {
        return all().collect();
    }
    let mut services = HashSet::new();
    for PortMatch { protocol, range } in wanted {
        match range {
            PortRange::All => services.extend(all().filter(|(of, _)| of == protocol)),
            PortRange::Numbers(first, last) => services.extend((*first..=*last).map(|port| (*protocol, port))),
            PortRange::Name(name) => {
                let ports = cluster.pod(server).filter(|pod| !pod.host_network).into_iter().flat_map(|pod| &pod.ports);
                let named = ports.filter(|port| port.name == *name && port.protocol == *protocol);
                services.extend(named.map(|port| (port.protocol, port.number)));
            }
        }
    }
    services
}

/// From the last rule to the first, each over what was there.
fn paint(cluster: &Cluster, level: TierLevel, is_reversed: bool) -> Painted {
    let mut policies: Vec<&TieredPolicy> = cluster.tiers.iter().filter(|policy| policy.level == level).collect();
    if is_reversed {
        policies.reverse();
    }
    policies.sort_by_key(|policy| policy.priority);
    let mut painted = Painted::new();
    for policy in policies.into_iter().rev() {
        for near in members(cluster) {
            if !is_subject(cluster, policy, near) {
                continue;
            }
            for (is_ingress, rules) in [(true, &policy.ingress), (false, &policy.egress)] {
                for rule in rules.iter().rev() {
                    paint_rule(cluster, is_ingress, near, rule, &mut painted);
                }
            }
        }
    }
    painted
}

fn paint_rule(cluster: &Cluster, is_ingress: IsIngress, near: usize, rule: &TierRule, painted: &mut Painted) {
    for far in 0..cluster.ends() {
        let pod = cluster.pod(far).filter(|pod| !pod.host_network);
        let is_meant = rule.peers.iter().any(|peer| match peer {
            TierPeer::Pods { namespaces, pods } => pod.is_some_and(|pod| {
                selects(namespaces, &namespace_labels(cluster, &pod.id.namespace))
                    && pods.iter().all(|pods| selects(pods, &pod.labels))
            }),
            TierPeer::Nodes(selector) => cluster.node(far).is_some_and(|node| selects(selector, &node.labels)),
            TierPeer::Networks(ranges) => ranges.iter().any(|range| is_in(cluster.address(far), range)),
            TierPeer::Domains(_) => false,
        });
        if is_meant {
            let server = if is_ingress { near } else { far };
            for service in services(cluster, server, &rule.ports) {
                painted.insert((is_ingress, flow(is_ingress, near, far, service)), rule.action);
            }
        }
    }
}

fn namespace_labels(cluster: &Cluster, name: &str) -> Labels {
    let namespace = cluster.namespaces.iter().find(|namespace| *namespace.name == *name).unwrap();
    namespace.labels.iter().chain([("kubernetes.io/metadata.name", name)]).collect()
}

fn selects(selector: &Selector, labels: &Labels) -> bool {
    let labels: HashMap<&str, &str> = labels.iter().collect();
    for requirement in &selector.requirements {
        let found = labels.get(&*requirement.key);
        let is_listed = found.is_some_and(|found| requirement.values.iter().any(|value| **value == **found));
        let holds = match requirement.operator {
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::In => is_listed,
            Operator::NotIn => found.is_none() || !is_listed,
        };
        if !holds {
            return false;
        }
    }
    true
}

/// By the bits of both.
fn is_in(address: IpAddr, range: &IpNet) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("6{:0128b}", address.to_bits()),
    };
    let fixed = 1 + usize::from(range.prefix_len());
    bits(address).starts_with(&bits(range.network())[..fixed])
}
