//! Who may come in.

use crate::setup::{
    TCP, block, change, check, check_in, cluster, ingress, label_namespace, namespaces, pods, pods_of, rule,
};

#[test]
fn without_policies_all_is_allowed() {
    check(
        [],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_policy_without_rules_denies_all_of_its_namespace() {
    check(
        [ingress("x/deny", "", [])],
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn an_empty_rule_allows_everybody() {
    check(
        [ingress("x/allow", "", [rule([], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn pods_are_those_of_the_policys_own_namespace() {
    check(
        [ingress("x/own", "", [rule([pods("")], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn a_pod_selector_means_its_pods_only() {
    check(
        [ingress("x/client-b", "pod=a", [rule([pods("pod=b")], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_namespace_selector_means_all_of_its_pods() {
    check(
        [ingress("x/from-y", "pod=a", [rule([namespaces("ns=y")], [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn two_peers_are_an_or() {
    let peers = [namespaces("ns=y"), pods("pod=b")];
    check(
        [ingress("x/or", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn both_selectors_in_one_peer_are_an_and() {
    let peers = [pods_of("ns=y", "pod=b")];
    check(
        [ingress("x/and", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn namespaces_are_selected_by_expressions() {
    let peers = [namespaces("ns in y|z")];
    check(
        [ingress("x/in", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn namespaces_are_selected_by_what_they_are_not() {
    let peers = [namespaces("ns notin x")];
    check(
        [ingress("x/notin", "", [rule(peers, [])])],
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn pods_of_all_namespaces_are_selected_by_expressions() {
    let peers = [pods_of("", "pod in b|c")];
    check(
        [ingress("x/in", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn pods_are_selected_by_what_they_are_not() {
    let peers = [pods_of("ns=z", "pod notin a|b")];
    check(
        [ingress("x/notin", "pod=c", [rule(peers, [])])],
        TCP,
        80,
        "
        XX. XXX XXX | XX. XXX XXX | XXX XXX XXX
        XX. XXX XXX | XX. XXX XXX | XX. XXX XXX
        XX. XXX XXX | XX. XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_label_may_have_to_be_there_or_not() {
    let mut world = cluster();
    change(&mut world, "x", "b", |pod| pod.labels = [("pod", "b"), ("canary", "")].into_iter().collect());
    let (is, is_not) = ([pods("canary")], [pods("!canary")]);
    let policies = [ingress("x/is", "pod=a", [rule(is, [])]), ingress("x/is-not", "pod=c", [rule(is_not, [])])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XX. XXX XXX | .XX XXX XXX
        .X. XXX XXX | .X. XXX XXX | .X. XXX XXX
        .X. XXX XXX | .X. XXX XXX | .X. XXX XXX",
    );
}

#[test]
fn an_empty_namespace_selector_means_all_namespaces() {
    let peers = [pods_of("", "pod=c")];
    check(
        [ingress("y/all", "", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX ... XXX | XXX ... XXX | XXX XXX XXX
        XXX X.. XXX | XXX .X. XXX | XXX XXX XXX
        XXX ... XXX | XXX ... XXX | XXX XXX XXX",
    );
}

#[test]
fn a_namespace_has_its_name_as_a_label() {
    let peers = [namespaces("kubernetes.io/metadata.name=y")];
    check(
        [ingress("x/named", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn labels_of_a_namespace_count_as_they_are_now() {
    let policy = || [ingress("x/changed", "pod=a", [rule([namespaces("ns=changed")], [])])];
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    let mut world = cluster();
    label_namespace(&mut world, "y", &[("ns", "changed")]);
    check_in(
        world,
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn labels_of_a_pod_count_as_they_are_now() {
    let policy = || [ingress("x/changed", "pod=a", [rule([pods("pod=changed")], [])])];
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    let mut world = cluster();
    change(&mut world, "x", "b", |pod| pod.labels = [("pod", "changed")].into_iter().collect());
    check_in(
        world,
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_namespace_that_is_not_known_leaves_its_labels_open_and_not_its_name() {
    let mut world = cluster();
    world.remove_namespace("y");
    let peers = [namespaces("ns=y")];
    check_in(
        world.clone(),
        [ingress("x/from-y", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        ?XX XXX XXX | ?XX XXX XXX | ?XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
    let peers = [namespaces("kubernetes.io/metadata.name=y"), pods_of("", "pod=b")];
    check_in(
        world.clone(),
        [ingress("x/named", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | XXX XXX XXX | .XX XXX XXX",
    );
    let peers = [namespaces("ns=y,kubernetes.io/metadata.name=z"), block("10.1.2.2/32", &[])];
    check_in(
        world,
        [ingress("x/both", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn the_subject_is_selected_by_expressions() {
    check(
        [ingress("x/some", "pod in a|b", [])],
        TCP,
        80,
        "
        X.X XXX XXX | .XX XXX XXX | ..X XXX XXX
        ..X XXX XXX | ..X XXX XXX | ..X XXX XXX
        ..X XXX XXX | ..X XXX XXX | ..X XXX XXX",
    );
}

#[test]
fn all_conditions_of_a_selector_must_hold() {
    let peers = [pods("pod=b,pod in b|c"), pods("pod=c,pod notin c")];
    check(
        [ingress("x/all", "pod=a,!other", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn what_any_policy_allows_is_allowed() {
    let policies = [
        ingress("x/deny", "", []),
        ingress("x/from-y", "pod=a", [rule([namespaces("ns=y")], [])]),
        ingress("x/from-b", "pod=a", [rule([pods("pod=b")], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | XX. XXX XXX | ..X XXX XXX
        X.. XXX XXX | X.. XXX XXX | X.. XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX",
    );
}

#[test]
fn what_any_rule_allows_is_allowed() {
    let rules = [rule([pods_of("ns=y", "pod=a")], []), rule([pods_of("ns=z", "pod=c")], [])];
    check(
        [ingress("x/two", "", rules)],
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        XXX XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | ... XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_policy_that_selects_no_pod_does_nothing() {
    check(
        [ingress("x/none", "pod=other", []), ingress("w/gone", "", [])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}
