//! The administrator's policies: AdminNetworkPolicy, BaselineAdminNetworkPolicy, ClusterNetworkPolicy.

use tracer_policy::model::TierAction::{Allow, Deny, Pass};
use tracer_policy::model::{PolicyKind, TierLevel, TierPeer, TieredPolicy};

use crate::setup::{
    TCP, UDP, admin, baseline, change, check, check_in, cluster, from, in_tier, ingress, named, namespaces, on_host,
    pods, pods_in_tier, port, ports, rule, select, tier, to,
};

#[test]
fn an_administrator_denies() {
    check(
        [from(admin(10, "ns=x"), [tier(Deny, in_tier("ns=y"), [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_denial_wins_over_network_policies() {
    let policies = [from(admin(10, "ns=x"), [tier(Deny, in_tier("ns=y"), [])]), ingress("x/all", "", [rule([], [])])];
    check(
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn an_allowance_wins_over_network_policies() {
    let policies = [from(admin(10, ""), [tier(Allow, in_tier("ns=z"), [])]), ingress("x/deny", "", [])];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn what_is_passed_is_left_to_network_policies() {
    let rules = [tier(Pass, in_tier("ns=z"), []), tier(Deny, in_tier(""), [])];
    let policies = [
        from(admin(10, "ns=x"), rules),
        ingress("x/from-za", "pod=a", [rule([namespaces("ns=y"), namespaces("ns=z")], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    let rules = [tier(Pass, in_tier("ns=z"), []), tier(Deny, in_tier(""), [])];
    let policies = [from(admin(10, "ns=x"), rules), ingress("x/deny", "pod=a", [])];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn the_first_rule_decides() {
    let rules =
        [tier(Allow, pods_in_tier("ns=y", "pod=a"), []), tier(Deny, in_tier("ns=y"), []), tier(Allow, in_tier(""), [])];
    check(
        [from(admin(10, "ns=x"), rules)],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn the_lowest_priority_decides() {
    let policies = [
        from(admin(20, "ns=x"), [tier(Deny, in_tier("ns in y|z"), [])]),
        from(admin(5, "ns=x"), [tier(Allow, in_tier("ns=y"), [])]),
        from(admin(30, "ns=x"), [tier(Allow, in_tier("ns=z"), [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn a_pass_skips_later_priorities() {
    let policies = [
        from(admin(5, "ns=x"), [tier(Pass, in_tier("ns=y"), [])]),
        from(admin(20, "ns=x"), [tier(Deny, in_tier(""), [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn a_subject_can_be_some_pods_of_some_namespaces() {
    let subject = TieredPolicy { pods: Some(select("pod=b")), ..admin(10, "ns in x|y") };
    check(
        [from(subject, [tier(Deny, in_tier("ns=z"), [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        X.X X.X XXX | X.X X.X XXX | X.X X.X XXX",
    );
}

#[test]
fn a_baseline_denies_where_no_network_policy_selects_the_pod() {
    let policies = [
        from(baseline("ns in x|y"), [tier(Deny, in_tier(""), [])]),
        ingress("x/from-b", "pod=a", [rule([pods("pod=b")], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. ... XXX | XX. ... XXX | ..X ... XXX
        ... X.. XXX | ... .X. XXX | ... ..X XXX
        ... ... XXX | ... ... XXX | ... ... XXX",
    );
}

#[test]
fn a_baseline_allows_before_it_denies() {
    let rules = [tier(Allow, pods_in_tier("", "pod=a"), []), tier(Deny, in_tier(""), [])];
    check(
        [from(baseline(""), rules)],
        TCP,
        80,
        "
        XXX XXX XXX | .X. ... ... | ..X ... ...
        XXX XXX XXX | ... .X. ... | ... ..X ...
        XXX XXX XXX | ... ... .X. | ... ... ..X",
    );
}

#[test]
fn a_network_policy_for_the_other_direction_leaves_the_baseline() {
    let policies = [to(baseline("ns=x"), [tier(Deny, in_tier("ns=y"), [])]), ingress("x/all", "", [rule([], [])])];
    check(
        policies,
        TCP,
        80,
        "
        XXX ... XXX | XXX ... XXX | XXX ... XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn what_is_passed_can_come_to_the_baseline() {
    let policies = [
        from(admin(10, "ns=x"), [tier(Pass, in_tier("ns=y"), []), tier(Allow, in_tier(""), [])]),
        from(baseline("ns=x"), [tier(Deny, in_tier(""), [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn ports_limit_a_rule() {
    let policy = || {
        [from(
            admin(10, "ns=x"),
            [tier(Deny, in_tier(""), [port(TCP, 80), ports(UDP, 80, 90), named(UDP, "serve-81-udp")])],
        )]
    };
    check(
        policy(),
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
    check(
        policy(),
        TCP,
        81,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(),
        UDP,
        81,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn egress_has_networks_which_mean_pods_too() {
    let networks = TierPeer::Networks(["10.1.1.0/24".parse().unwrap(), "10.1.2.1/32".parse().unwrap()].into());
    check(
        [to(admin(10, "ns=z"), [tier(Deny, networks, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... .XX XXX | ... .XX XXX | ... .XX XXX",
    );
}

#[test]
fn egress_has_nodes() {
    let mut world = cluster();
    for pod in ["a", "b"] {
        on_host(&mut world, "x", pod);
    }
    let rules = [
        tier(Deny, TierPeer::Nodes(select("node=a")), []),
        tier(Allow, TierPeer::Nodes(select("")), []),
        tier(Deny, in_tier(""), []),
    ];
    check_in(
        world,
        [to(admin(10, "ns=y"), rules)],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .X. X.. ... | .X. .X. ... | .X. ..X ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn cluster_network_policies_are_both_tiers() {
    let kind = PolicyKind::ClusterNetworkPolicy;
    let first = TieredPolicy { kind, level: TierLevel::Baseline, ..admin(1, "ns=x") };
    let second = TieredPolicy { kind, level: TierLevel::Baseline, ..admin(2, "ns=x") };
    let policies = [
        from(first, [tier(Allow, in_tier("ns=y"), []), tier(Pass, in_tier("ns=z"), [])]),
        from(second, [tier(Deny, in_tier(""), [])]),
        from(TieredPolicy { kind, ..admin(900, "ns=x") }, [tier(Deny, pods_in_tier("ns=y", "pod=c"), [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        XXX XXX XXX | XXX XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_peer_with_other_labels_is_not_meant() {
    let mut world = cluster();
    change(&mut world, "y", "a", |pod| pod.labels = [("pod", "other")].into_iter().collect());
    let policies = [from(admin(10, "ns=x"), [tier(Deny, pods_in_tier("ns=y", "pod in a|b"), [])])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | ... XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}
