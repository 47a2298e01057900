//! What the administrator's policies leave open, and what the rest decides regardless.

use tracer_policy::model::TierAction::{Allow, Deny, Pass};
use tracer_policy::model::{ObjectName, Policy, TierPeer, TieredPolicy};

use crate::setup::{TCP, admin, check, check_in, cluster, from, in_tier, ingress, tier, to};

#[test]
fn domains_are_open_unless_the_rest_decides() {
    let domains = || tier(Allow, TierPeer::Domains(["example.org".into()].into()), []);
    let deny = || tier(Deny, in_tier("ns=y"), []);
    check(
        [to(admin(10, "ns=x"), [domains(), deny()])],
        TCP,
        80,
        "
        XXX ??? XXX | XXX ??? XXX | XXX ??? XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    check(
        [to(admin(10, "ns=x"), [deny(), domains()])],
        TCP,
        80,
        "
        XXX ... XXX | XXX ... XXX | XXX ... XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

fn same(name: &str, policy: Policy) -> Policy {
    let Policy::Tiered(policy) = policy else { unreachable!() };
    Policy::Tiered(TieredPolicy { id: ObjectName::new("", name), ..policy })
}

#[test]
fn equal_priorities_that_disagree_are_open() {
    let policies = [
        same("one", from(admin(10, "ns=x"), [tier(Allow, in_tier("ns in y|z"), [])])),
        same("two", from(admin(10, "ns=x"), [tier(Deny, in_tier("ns=y"), []), tier(Allow, in_tier("ns=z"), [])])),
        from(admin(20, "ns=x"), [tier(Deny, in_tier(""), [])]),
    ];
    check(
        policies,
        TCP,
        80,
        "
        X.. XXX XXX | .X. XXX XXX | ..X XXX XXX
        ??? XXX XXX | ??? XXX XXX | ??? XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn equal_priorities_that_come_to_the_same_are_decided() {
    let policies = [
        same("one", from(admin(10, "ns=x"), [tier(Pass, in_tier("ns=y"), [])])),
        same("two", from(admin(10, "ns=x"), [tier(Deny, in_tier("ns=y"), [])])),
        ingress("x/deny", "pod=a", []),
    ];
    check(
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | .XX XXX XXX | .XX XXX XXX
        .?? XXX XXX | .?? XXX XXX | .?? XXX XXX
        .XX XXX XXX | .XX XXX XXX | .XX XXX XXX",
    );
}

#[test]
fn a_field_that_is_not_understood_leaves_its_rule_open() {
    let mut unclear = tier(Deny, in_tier("ns=y"), []);
    unclear.unknown = ["ingress[0].from[0].services".into()].into();
    let policies = [from(admin(10, "ns=x"), [unclear.clone(), tier(Allow, in_tier("ns=y"), [])])];
    check(
        policies,
        TCP,
        80,
        "
        X?? XXX XXX | ?X? XXX XXX | ??X XXX XXX
        ??? XXX XXX | ??? XXX XXX | ??? XXX XXX
        ??? XXX XXX | ??? XXX XXX | ??? XXX XXX",
    );
    let policies = [from(admin(10, "ns=x"), [tier(Allow, in_tier("ns=y"), []), unclear]), ingress("x/deny", "", [])];
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
fn a_subject_whose_namespace_is_not_known_is_open() {
    let mut world = cluster();
    world.remove_namespace("x");
    let policies = [from(admin(10, "ns=x"), [tier(Deny, in_tier("kubernetes.io/metadata.name=y"), [])])];
    check_in(
        world,
        policies,
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ??? XXX XXX | ??? XXX XXX | ??? XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
}

#[test]
fn a_field_of_the_policy_that_is_not_understood_leaves_its_rules_open() {
    let unclear = || TieredPolicy { unknown: ["spec.schedule".into()].into(), ..admin(10, "ns=x") };
    let deny = || tier(Deny, in_tier("ns=y"), []);
    check(
        [from(unclear(), [deny()])],
        TCP,
        80,
        "
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX
        ??? XXX XXX | ??? XXX XXX | ??? XXX XXX
        XXX XXX XXX | XXX XXX XXX | XXX XXX XXX",
    );
    let policies = [from(unclear(), [deny()]), from(admin(20, "ns=x"), [deny()])];
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
