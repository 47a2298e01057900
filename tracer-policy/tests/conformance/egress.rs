//! Who may go where.

use crate::setup::{TCP, both, check, egress, ingress, namespaces, pods, pods_of, port, rule};

#[test]
fn a_policy_without_rules_denies_all_of_its_namespace() {
    check(
        [egress("x/deny", "", [])],
        TCP,
        80,
        "
        X.. ... ... | .X. ... ... | ..X ... ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn an_empty_rule_allows_everybody() {
    check(
        [egress("x/allow", "", [rule([], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_pod_selector_means_its_pods_only() {
    check(
        [egress("x/to-b", "pod=a", [rule([pods("pod=b")], [])])],
        TCP,
        80,
        "
        XX. ... ... | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_namespace_selector_means_all_of_its_pods() {
    check(
        [egress("x/to-y", "pod=a", [rule([namespaces("ns=y")], [])])],
        TCP,
        80,
        "
        X.. XXX ... | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn namespaces_are_selected_by_expressions() {
    check(
        [egress("x/to", "", [rule([namespaces("ns notin y")], [])])],
        TCP,
        80,
        "
        XXX ... XXX | XXX ... XXX | XXX ... XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn both_selectors_in_one_peer_are_an_and() {
    check(
        [egress("x/and", "", [rule([pods_of("ns=y", "pod=a")], [])])],
        TCP,
        80,
        "
        X.. X.. ... | .X. X.. ... | ..X X.. ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn two_peers_are_an_or() {
    let peers = [namespaces("ns=z"), pods("pod=a")];
    check(
        [egress("x/or", "", [rule(peers, [])])],
        TCP,
        80,
        "
        X.. ... XXX | XX. ... XXX | X.X ... XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn both_ends_must_agree() {
    let policies = [
        egress("x/to-y", "pod=a", [rule([namespaces("ns=y")], [])]),
        ingress("y/from-z", "pod=b", [rule([namespaces("ns=z")], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. X.X ... | XXX X.X XXX | XXX X.X XXX
        XXX X.X XXX | XXX XXX XXX | XXX X.X XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn one_policy_can_be_about_both_directions() {
    let rules = |peer| Some([rule([peer], [])].into());
    let policy = both("x/both", "pod=a", rules(namespaces("ns=y")), rules(namespaces("ns=z")));
    check(
        [policy],
        TCP,
        80,
        "
        X.. ... XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_policy_can_deny_both_directions() {
    let policy = both("x/both", "", Some([].into()), Some([].into()));
    check(
        [policy],
        TCP,
        80,
        "
        X.. ... ... | .X. ... ... | ..X ... ...
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn a_policy_for_egress_leaves_ingress_alone() {
    check(
        [egress("x/to-b", "pod=b", [rule([pods("pod=c")], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX ... ... | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn what_any_policy_allows_is_allowed() {
    let policies = [
        egress("x/deny", "", []),
        egress("x/to-y", "pod=a", [rule([namespaces("ns=y")], [])]),
        egress("x/to-c", "pod in a|b", [rule([pods("pod=c")], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.X XXX ... | .XX ... ... | ..X ... ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn the_port_is_that_of_the_server() {
    let policy = || [egress("x/80", "", [rule([], [port(TCP, 80)])])];
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
        X.. ... ... | .X. ... ... | ..X ... ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}
