//! Pods in their node's network, nodes, and what is outside.

use std::net::IpAddr;

use tracer_policy::evaluate::Why;
use tracer_policy::model::{ObjectName, Policy};
use tracer_policy::{Connection, End, Verdict, World, evaluate};

use crate::setup::{
    TCP, block, change, check_in, cluster, egress, ingress, named, namespaces, on_host, pods, pods_of, rule,
};

#[test]
fn no_policy_selects_a_pod_in_its_nodes_network() {
    let mut world = cluster();
    on_host(&mut world, "x", "a");
    let policies = [ingress("x/deny", "", []), egress("x/deny-out", "", [])];
    // x/a runs on the node of the pods a: none of those is in x.
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. ... ... | ..X ... ...
        X.. XXX XXX | X.. XXX XXX | X.. XXX XXX
        X.. XXX XXX | X.. XXX XXX | X.. XXX XXX",
    );
}

#[test]
fn no_selector_means_a_pod_in_its_nodes_network_and_its_node_always_may() {
    let mut world = cluster();
    on_host(&mut world, "x", "a");
    let policies =
        [ingress("x/from-a", "", [rule([pods("pod=a"), namespaces("ns=x")], [])]), ingress("y/deny", "", [])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        X.. X.. XXX | XXX ... XXX | XXX ... XXX
        X.. X.. XXX | X.. .X. XXX | X.. ..X XXX
        X.. ... XXX | X.. ... XXX | X.. ... XXX",
    );
}

#[test]
fn no_selector_of_egress_means_a_pod_in_its_nodes_network_even_on_the_same_node() {
    let mut world = cluster();
    on_host(&mut world, "x", "a");
    let policies = [
        egress("y/to-x", "", [rule([namespaces("ns=x")], [])]),
        egress("z/to-a", "", [rule([pods_of("", "pod=a")], [])]),
    ];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX X.. ... | .XX .X. ... | .XX ..X ...
        ... X.. X.. | ... X.. XX. | ... X.. X.X",
    );
}

#[test]
fn a_range_means_a_pod_in_its_nodes_network_by_the_nodes_address() {
    let mut world = cluster();
    on_host(&mut world, "x", "c");
    let policies = [ingress("y/nodes", "", [rule([block("192.0.2.0/24", &[])], [])])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX ... XXX | XXX ... XXX | XXX XXX XXX
        XXX X.. XXX | XXX .X. XXX | XXX ..X XXX
        XXX ... XXX | XXX ... XXX | XXX ... XXX",
    );
}

#[test]
fn a_pod_in_its_nodes_network_has_no_named_ports() {
    let mut world = cluster();
    on_host(&mut world, "x", "b");
    let policies = [egress("y/named", "", [rule([], [named(TCP, "serve-80-tcp")])])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        X.X XXX XXX | X.X XXX XXX | X.X XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

fn world_with(policies: impl IntoIterator<Item = Policy>) -> World {
    let mut world = cluster();
    policies.into_iter().for_each(|policy| world.set_policy(policy.into()));
    world
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What comes in from another end to x/a.
fn from(world: &World, source: End<'_>) -> (Verdict, Why) {
    let pod = world.pod(&ObjectName::new("x", "a")).unwrap();
    let destination = End::Pod(pod, pod.addresses[0]);
    let answer = evaluate(world, &Connection { source, destination, protocol: TCP, port: 80 });
    assert_eq!((answer.egress.verdict, answer.egress.why), (Verdict::Allowed, Why::NotAPod));
    (answer.ingress.verdict, answer.ingress.why)
}

/// What goes out from x/a to another end.
fn to(world: &World, destination: End<'_>) -> (Verdict, Why) {
    let pod = world.pod(&ObjectName::new("x", "a")).unwrap();
    let source = End::Pod(pod, pod.addresses[0]);
    let answer = evaluate(world, &Connection { source, destination, protocol: TCP, port: 80 });
    assert_eq!((answer.ingress.verdict, answer.ingress.why), (Verdict::Allowed, Why::NotAPod));
    (answer.egress.verdict, answer.egress.why)
}

#[test]
fn the_pods_own_node_may_always_come_in() {
    let world = world_with([ingress("x/deny", "", []), egress("x/deny-out", "", [])]);
    let own = (Verdict::Allowed, Why::OwnNode);
    assert_eq!(from(&world, End::Node(Some("a"), address("192.0.2.1"))), own);
    assert_eq!(from(&world, End::Node(Some("a"), address("198.51.100.7"))), own, "an address that is not listed");
    assert_eq!(from(&world, End::Node(None, address("192.0.2.1"))), own, "found by its address");
    assert_eq!(from(&world, End::Outside(address("::ffff:192.0.2.1"))), own, "written as IPv6");
    assert_eq!(from(&world, End::Node(None, address("10.2.1.1"))), own, "the bridge of its pods");
    assert_eq!(from(&world, End::Node(Some("b"), address("192.0.2.2"))), (Verdict::Denied, Why::Default));
    assert_eq!(to(&world, End::Node(Some("a"), address("192.0.2.1"))), (Verdict::Denied, Why::Default));
}

#[test]
fn a_node_that_is_not_known_leaves_a_denial_open() {
    let unknown = End::Node(None, address("198.51.100.7"));
    let world = world_with([ingress("x/deny", "", [])]);
    assert_eq!(from(&world, unknown), (Verdict::Unknown, Why::Undecided));
    let world = world_with([ingress("x/range", "", [rule([block("198.51.100.0/24", &[])], [])])]);
    assert_eq!(from(&world, unknown), (Verdict::Allowed, Why::Rule), "allowed, whichever node it is");
    let mut world = world_with([ingress("x/deny", "", [])]);
    change(&mut world, "x", "a", |pod| pod.node = None);
    assert_eq!(from(&world, End::Node(Some("b"), address("192.0.2.2"))), (Verdict::Unknown, Why::Undecided));
}

#[test]
fn what_is_outside_is_meant_by_ranges_and_by_nobody_else() {
    let outside = End::Outside(address("203.0.113.9"));
    let world = world_with([
        ingress("x/pods", "", [rule([pods_of("", "")], [])]),
        egress("x/range", "", [rule([block("203.0.113.0/24", &["203.0.113.128/25"])], [])]),
    ]);
    assert_eq!(from(&world, outside), (Verdict::Denied, Why::Default));
    assert_eq!(to(&world, outside), (Verdict::Allowed, Why::Rule));
    assert_eq!(to(&world, End::Outside(address("::ffff:203.0.113.9"))), (Verdict::Allowed, Why::Rule));
    assert_eq!(to(&world, End::Outside(address("203.0.113.129"))), (Verdict::Denied, Why::Default));
    let world = world_with([ingress("x/all", "", [rule([], [])])]);
    assert_eq!(from(&world, outside), (Verdict::Allowed, Why::Rule));
}

#[test]
fn a_pod_always_reaches_itself() {
    let world = world_with([ingress("x/deny", "", []), egress("x/deny-out", "", [])]);
    let pod = world.pod(&ObjectName::new("x", "a")).unwrap();
    let [source, destination] = [0, 1].map(|at| End::Pod(pod, pod.addresses[at]));
    let answer = evaluate(&world, &Connection { source, destination, protocol: TCP, port: 80 });
    assert_eq!((answer.verdict(), answer.egress.why, answer.ingress.why), (Verdict::Allowed, Why::Itself, Why::Itself));
}

#[test]
fn nothing_is_allowed_for_want_of_a_policy_before_the_policies_were_read() {
    let mut world = world_with([egress("x/range", "", [rule([block("203.0.113.0/24", &[])], [])])]);
    world.set_knows_policies(false);
    assert_eq!(from(&world, End::Outside(address("203.0.113.9"))), (Verdict::Unknown, Why::Undecided));
    assert_eq!(to(&world, End::Outside(address("203.0.113.9"))), (Verdict::Allowed, Why::Rule), "a rule is a rule");
    assert_eq!(
        to(&world, End::Outside(address("198.51.100.9"))),
        (Verdict::Unknown, Why::Undecided),
        "another may allow it"
    );
}
