//! By which port and protocol.

use tracer_policy::model::ContainerPort;

use crate::setup::{
    SCTP, TCP, UDP, any_port, change, check, check_in, cluster, egress, ingress, named, namespaces, pods, port, ports,
    rule,
};

#[test]
fn only_the_port_that_is_named_is_allowed() {
    let policy = || [ingress("x/80", "pod=a", [rule([], [port(TCP, 80)])])];
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(),
        TCP,
        81,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn peers_and_ports_must_both_fit() {
    let policy = || [ingress("x/y-80", "pod=a", [rule([namespaces("ns=y")], [port(TCP, 80)])])];
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        policy(),
        TCP,
        81,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn each_rule_has_its_own_ports() {
    let rules = [rule([namespaces("ns=y")], [port(TCP, 80)]), rule([namespaces("ns=z")], [port(TCP, 81)])];
    let policy = [ingress("x/two", "pod=a", rules)];
    check(
        policy.clone(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        policy,
        TCP,
        81,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn several_ports_are_an_or() {
    let policy = || [ingress("x/two", "", [rule([pods("pod=b")], [port(TCP, 80), port(UDP, 81)])])];
    check(
        policy(),
        TCP,
        80,
        "
        X.. XXX XXX | XXX XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
    check(
        policy(),
        UDP,
        81,
        "
        X.. XXX XXX | XXX XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
    check(
        policy(),
        UDP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn stacked_policies_add_their_ports() {
    let policies =
        || [ingress("x/80", "pod=a", [rule([], [port(TCP, 80)])]), ingress("x/81", "", [rule([], [port(TCP, 81)])])];
    check(
        policies(),
        TCP,
        80,
        "
        X.. XXX XXX | XX. XXX XXX | X.X XXX XXX
        X.. XXX XXX | X.. XXX XXX | X.. XXX XXX
        X.. XXX XXX | X.. XXX XXX | X.. XXX XXX",
    );
    check(
        policies(),
        TCP,
        81,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_named_port_is_that_of_the_server_on_ingress() {
    let policy = || [ingress("x/named", "pod=a", [rule([namespaces("ns=x")], [named(TCP, "serve-81-tcp")])])];
    check(
        policy(),
        TCP,
        81,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_named_port_is_that_of_the_server_on_egress() {
    let policy = || [egress("x/named", "pod=a", [rule([], [named(TCP, "web")])])];
    let mut world = cluster();
    for (namespace, name, number) in [("x", "a", 80), ("y", "a", 80), ("y", "b", 81)] {
        change(&mut world, namespace, name, |pod| {
            pod.ports = [ContainerPort { name: "web".into(), number, protocol: TCP }].into();
        });
    }
    check_in(
        world.clone(),
        policy(),
        TCP,
        80,
        "
        X.. X.. ... | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check_in(
        world,
        policy(),
        TCP,
        81,
        "
        X.. .X. ... | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_named_port_has_a_protocol() {
    let wrong = || [ingress("x/named", "pod=a", [rule([], [named(UDP, "serve-80-tcp")])])];
    check(
        wrong(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        wrong(),
        UDP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    let right = [ingress("x/named", "pod=a", [rule([], [named(UDP, "serve-80-udp")])])];
    check(
        right,
        UDP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_range_has_its_first_and_last_port() {
    let policy = |first, last| [ingress("x/range", "", [rule([], [ports(TCP, first, last)])])];
    check(
        policy(79, 80),
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(80, 90),
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(81, 90),
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
    check(
        policy(1, 79),
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
    check(
        policy(1, 65535),
        UDP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn a_protocol_alone_means_all_of_its_ports() {
    let policy = || [ingress("y/udp", "pod=c", [rule([], [any_port(UDP)])])];
    check(
        policy(),
        UDP,
        53,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(),
        TCP,
        53,
        "
        XXX XX. XXX | XXX XX. XXX | XXX XX. XXX
        XXX XX. XXX | XXX XX. XXX | XXX XXX XXX
        XXX XX. XXX | XXX XX. XXX | XXX XX. XXX",
    );
}

#[test]
fn a_rule_without_ports_means_every_protocol() {
    for protocol in [TCP, UDP, SCTP] {
        check(
            [ingress("x/b", "pod=a", [rule([pods("pod=b")], [])])],
            protocol,
            7,
            "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
        );
    }
}

#[test]
fn sctp_is_a_protocol_of_its_own() {
    let policy = || [ingress("x/sctp", "pod=a", [rule([pods("pod=b")], [port(SCTP, 80)])])];
    check(
        policy(),
        SCTP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    check(
        policy(),
        SCTP,
        81,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn sctp_can_be_all_that_may_leave() {
    let policy = || [egress("z/sctp", "", [rule([namespaces("ns=x")], [named(SCTP, "serve-80-sctp")])])];
    check(
        policy(),
        SCTP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX ... X.. | XXX ... .X. | XXX ... ..X",
    );
    check(
        policy(),
        UDP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... ... X.. | ... ... .X. | ... ... ..X",
    );
}
