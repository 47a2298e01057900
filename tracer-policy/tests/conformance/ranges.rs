//! By address: `ipBlock` and its exceptions.

use crate::setup::{TCP, block, check, check_by, cluster, egress, ingress, pods, port, rule};

#[test]
fn a_range_means_pods_by_their_addresses() {
    let peers = [block("10.1.2.0/24", &[])];
    check(
        [ingress("x/range", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_range_can_be_one_address() {
    let peers = [block("10.1.3.2/32", &[]), block("10.1.1.3/32", &[])];
    check(
        [ingress("x/range", "", [rule(peers, [])])],
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        ... XXX XXX | XXX XXX XXX | ... XXX XXX",
    );
}

#[test]
fn an_exception_is_not_in_the_range() {
    let peers = [block("10.1.0.0/16", &["10.1.2.0/24", "10.1.1.2/32"])];
    check(
        [ingress("x/except", "", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .X. XXX XXX | XXX XXX XXX
        ... XXX XXX | ... XXX XXX | ... XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn an_exception_denies_nothing_that_another_rule_allows() {
    let peers = [block("10.1.0.0/16", &["10.1.1.0/24"])];
    let policies = [
        egress("x/except", "pod=a", [rule(peers, [])]),
        egress("x/again", "pod=a", [rule([block("10.1.1.2/32", &[])], [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        XX. XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_range_of_all_addresses_means_everybody() {
    let peers = [block("0.0.0.0/0", &["10.1.3.0/24"])];
    check(
        [egress("y/all", "", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX ... | XXX XXX ... | XXX XXX ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_range_and_a_port_must_both_fit() {
    let policy = || [egress("y/80", "", [rule([block("10.1.1.0/24", &[])], [port(TCP, 80)])])];
    check(
        policy(),
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX X.. ... | XXX .X. ... | XXX ..X ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        policy(),
        TCP,
        81,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ... X.. ... | ... .X. ... | ... ..X ...
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_range_and_a_selector_are_an_or() {
    let peers = [block("10.1.2.0/30", &["10.1.2.2/32"]), pods("pod=b")];
    check(
        [ingress("x/or", "pod=c", [rule(peers, [])])],
        TCP,
        80,
        "
        XX. XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XX. XXX XXX | XXX XXX XXX
        XX. XXX XXX | XX. XXX XXX | XX. XXX XXX",
    );
}

#[test]
fn ranges_of_the_other_family_mean_nobody() {
    let peers = [block("::/0", &[]), block("fd00:0:0:2::/64", &[])];
    check(
        [ingress("x/v6", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn ranges_of_ipv6_mean_pods_too() {
    let peers = [block("fd00:0:0:2::/64", &["fd00:0:0:2::3/128"]), block("10.0.0.0/8", &[])];
    check_by(
        1,
        cluster(),
        [ingress("x/v6", "pod=a", [rule(peers, [])])],
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        XXX XXX XXX | XXX XXX XXX | .XX XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}
