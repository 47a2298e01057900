//! The evaluator against a second one that is written in another way, over random clusters, policies and connections.
//!
//! Rule: every run asks the same questions; a failure names the seed of its cluster.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cluster;
mod naive;
mod random;

use std::collections::HashSet;
use std::sync::Arc;

use cluster::{Cluster, Flow, PORTS, PROTOCOLS};
use tracer_policy::evaluate::{Direction, Mismatch, Nearest, Side, Why};
use tracer_policy::model::{Labels, Namespace};
use tracer_policy::{Answer, Verdict, World};

const CLUSTERS: u64 = 2000;

#[derive(Debug, Default)]
struct Counted {
    allowed: u64,
    denied: u64,
    unknown: u64,
}

impl Counted {
    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Allowed => &mut self.allowed,
            Verdict::Denied => &mut self.denied,
            Verdict::Unknown => &mut self.unknown,
        } += 1;
    }
}

fn is_sound(side: &Side, told: &str) {
    assert_eq!(side.verdict == Verdict::Unknown, !side.unknown.is_empty(), "{told}: {side:?}");
    assert_eq!(side.why == Why::Rule, side.decided_by.is_some(), "{told}: {side:?}");
    assert_eq!(side.why == Why::Default, side.nearest.is_some(), "{told}: {side:?}");
    assert!(
        side.decided_by.iter().all(|rule| rule.number > 0 && side.selected_by.contains(&rule.policy)),
        "{told}: {side:?}"
    );
    let is_near = |nearest: &Nearest| side.selected_by.contains(&nearest.policy) && !nearest.mismatch.is_empty();
    assert!(side.nearest.iter().all(is_near), "{told}: {side:?}");
}

#[test]
fn both_evaluators_agree() {
    let mut counted = Counted::default();
    for seed in 1..=CLUSTERS {
        let cluster = Cluster::random(seed);
        let (world, wanted) = (cluster.world(), naive::verdicts(&cluster));
        for flow in cluster.flows() {
            let answer = cluster.ask(&world, flow);
            let told = format!("seed {seed}, {flow:?}");
            is_sound(&answer.egress, &told);
            is_sound(&answer.ingress, &told);
            for (side, near) in [(&answer.egress, flow.source), (&answer.ingress, flow.destination)] {
                if matches!(side.why, Why::NotAPod | Why::Itself | Why::OwnNode) {
                    continue;
                }
                let found: HashSet<String> = side.selected_by.iter().map(|policy| policy.id.name.to_string()).collect();
                assert_eq!(found.len(), side.selected_by.len(), "{told}: once each");
                assert_eq!(found, naive::selecting(&cluster, side.direction == Direction::Ingress, near), "{told}");
            }
            assert_eq!(answer.verdict(), wanted.of(flow), "{told}: {answer:?}\n{cluster:#?}");
            counted.add(answer.verdict());
        }
    }
    let least = counted.allowed.min(counted.denied);
    assert!(least > 100_000 && counted.unknown > 250, "too plain to prove anything: {counted:?}");
}

#[test]
fn what_is_said_without_knowing_a_namespace_holds_whatever_its_labels_are() {
    let mut counted = Counted::default();
    for seed in 1..=CLUSTERS / 4 {
        let cluster = Cluster::random(seed);
        let mut world = cluster.world();
        let hidden = cluster.namespaces[0].name.clone();
        world.remove_namespace(&hidden);
        let possible: Vec<_> = cluster::namespace_labels()
            .map(|labels| {
                let mut cluster = cluster.clone();
                cluster.namespaces[0] = Namespace { name: hidden.clone(), labels };
                naive::verdicts(&cluster)
            })
            .collect();
        for flow in cluster.flows() {
            let verdict = cluster.ask(&world, flow).verdict();
            counted.add(verdict);
            let is_possible = possible.iter().all(|wanted| verdict == Verdict::Unknown || wanted.of(flow) == verdict);
            assert!(is_possible, "seed {seed}, {flow:?}: {verdict:?}\n{cluster:#?}");
        }
    }
    assert!(counted.unknown > 3000, "too little hung on the hidden namespace: {counted:?}");
    assert!(counted.allowed.min(counted.denied) > counted.unknown, "what is known must still be said: {counted:?}");
}

#[test]
fn nothing_more_than_the_rules_is_sure_before_all_policies_were_read() {
    let mut open = 0;
    for seed in 1..=CLUSTERS / 10 {
        let cluster = Cluster::random(seed);
        let (known, mut unknown) = (cluster.world(), cluster.world());
        unknown.set_knows_policies(false);
        for flow in cluster.flows() {
            let (answer, before) = (cluster.ask(&known, flow), cluster.ask(&unknown, flow));
            for (side, before) in [(&answer.egress, &before.egress), (&answer.ingress, &before.ingress)] {
                let is_sure = !matches!(side.why, Why::NoPolicy | Why::Default);
                let is_baseline = side.decided_by.iter().any(|rule| &*rule.policy.id.name == "default");
                if is_sure && !is_baseline {
                    // Of two policies of one priority, one may pass it on to what is not known.
                    let is_passed = before.verdict == Verdict::Unknown && cluster.tiers.len() > 1;
                    assert!(is_passed || before.verdict == side.verdict, "seed {seed}, {flow:?}: {before:?}");
                } else {
                    assert_eq!(before.verdict, Verdict::Unknown, "seed {seed}, {flow:?}: {before:?}");
                    open += 1;
                }
            }
        }
    }
    assert!(open > 10_000);
}

/// What is named as the only mismatches is changed in the cluster or the question; then the same rule allows it.
#[test]
fn a_connection_without_the_mismatches_of_the_nearest_rule_is_allowed() {
    let mut changed = 0;
    for seed in 1..=CLUSTERS / 4 {
        let cluster = Cluster::random(seed).without_tiers();
        let world = cluster.world();
        for flow in cluster.flows() {
            let answer = cluster.ask(&world, flow);
            for side in [&answer.egress, &answer.ingress] {
                let Some(nearest) = &side.nearest else { continue };
                let Some((world, flow)) = without(&cluster, &world, flow, side.direction, nearest) else { continue };
                let answer = cluster.ask_of(&world, flow);
                let side = side_of(&answer, side.direction);
                let id = (&nearest.policy, nearest.rule);
                assert_eq!(
                    side.verdict,
                    Verdict::Allowed,
                    "seed {seed}, {flow:?}: {id:?} {:?}\n{side:?}",
                    nearest.mismatch
                );
                changed += 1;
            }
        }
    }
    assert!(changed > 2000, "{changed} were tried");
}

fn side_of(answer: &Answer, direction: Direction) -> &Side {
    if direction == Direction::Egress { &answer.egress } else { &answer.ingress }
}

/// `None` where a change could not be so simple.
fn without(
    cluster: &Cluster,
    world: &World,
    flow: Flow,
    direction: Direction,
    nearest: &Nearest,
) -> Option<(World, Flow)> {
    let (mut world, mut flow) = (world.clone(), flow);
    let far = if direction == Direction::Egress { flow.destination } else { flow.source };
    for mismatch in &nearest.mismatch {
        match mismatch {
            Mismatch::PodLabel { key, wanted, .. } => {
                let value = wanted.strip_prefix(&**key)?.strip_prefix('=')?;
                let mut pod = (**world.pod(&cluster.pod(far)?.id)?).clone();
                pod.labels = with(&pod.labels, key, value);
                world.set_pod(Arc::new(pod));
            }
            // Every label but the name of it.
            Mismatch::NamespaceLabel { key, wanted, .. } if !key.contains('/') => {
                let value = wanted.strip_prefix(&**key)?.strip_prefix('=')?;
                let name = cluster.pod(far)?.id.namespace.clone();
                let labels = with(&world.namespace(&name)?.labels, key, value);
                world.set_namespace(Namespace { name, labels });
            }
            Mismatch::Port { wanted, .. } => flow.port = wanted.split(", ").find_map(|port| port.parse().ok())?,
            _ => return None,
        }
    }
    Some((world, flow))
}

fn with(labels: &Labels, key: &str, value: &str) -> Labels {
    labels.iter().filter(|(known, _)| *known != key).chain([(key, value)]).collect()
}

#[test]
fn the_questions_cover_all_ports_and_protocols() {
    let flows: Vec<Flow> = Cluster::random(1).flows().collect();
    let has = |port, protocol| flows.iter().any(|flow| (flow.port, flow.protocol) == (port, protocol));
    assert!(PORTS.iter().all(|port| PROTOCOLS.iter().all(|protocol| has(*port, *protocol))));
}
