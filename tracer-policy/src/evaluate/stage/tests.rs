//! How policies of several kinds add up, given what each of them says.

use super::*;
use crate::model::ObjectName;

const CILIUM: PolicyKind = PolicyKind::CiliumNetworkPolicy;
const CALICO: PolicyKind = PolicyKind::CalicoNetworkPolicy;

fn rule(name: &str) -> RuleId {
    let id = ObjectName::new("shop", name);
    RuleId { policy: PolicyId { kind: PolicyKind::NetworkPolicy, id }, number: 1, name: None }
}

fn policy(kind: PolicyKind, spec: serde_json::Value) -> VendorPolicy {
    VendorPolicy { kind, id: ObjectName::new("shop", "one"), spec }
}

fn network(said: Said) -> Turn<'static> {
    Turn { tier: Tier::Default, order: NETWORK_POLICY_ORDER, said }
}

fn turn(policy: &VendorPolicy, said: Said) -> Turn<'_> {
    let (tier, order) = place(policy, &said);
    Turn { tier, order, said }
}

/// The verdict, the policy that decided, and whether the baseline may be asked.
fn outcome(turns: Vec<Turn<'_>>) -> (Verdict, Option<String>, bool) {
    let mut course = Course::default();
    let leads_on = walk(turns, &mut course);
    if leads_on {
        course.ends(Verdict::Allowed, Why::NoPolicy, None);
    }
    let side = course.finish(Direction::Ingress);
    assert_eq!(side.verdict == Verdict::Unknown, !side.unknown.is_empty());
    (side.verdict, side.decided_by.map(|rule| rule.policy.id.name.to_string()), leads_on)
}

fn decided(verdict: Verdict, name: &str) -> (Verdict, Option<String>, bool) {
    (verdict, Some(name.to_owned()), false)
}

#[test]
fn ciliums_denial_wins_over_every_allowance() {
    let cilium = policy(CILIUM, serde_json::Value::Null);
    let turns = vec![network(Said::Allows(rule("np"))), turn(&cilium, Said::Denies(rule("cnp")))];
    assert_eq!(outcome(turns), decided(Verdict::Denied, "cnp"));
}

#[test]
fn what_either_of_cilium_and_the_api_allows_is_allowed() {
    let cilium = policy(CILIUM, serde_json::Value::Null);
    let turns = vec![network(Said::DeniesByDefault), turn(&cilium, Said::Allows(rule("cnp")))];
    assert_eq!(outcome(turns), decided(Verdict::Allowed, "cnp"));
    let turns = vec![network(Said::Allows(rule("np"))), turn(&cilium, Said::DeniesByDefault)];
    assert_eq!(outcome(turns), decided(Verdict::Allowed, "np"));
    assert_eq!(outcome(vec![turn(&cilium, Said::DeniesByDefault)]), (Verdict::Denied, None, false));
    assert_eq!(outcome(Vec::new()), (Verdict::Allowed, None, true));
}

#[test]
fn a_policy_of_ciliums_that_is_not_understood_may_deny_what_another_allows() {
    let cilium = policy(CILIUM, serde_json::Value::Null);
    let open = || turn(&cilium, Said::Open("it has a rule that is not understood".to_owned()));
    assert_eq!(outcome(vec![network(Said::Allows(rule("np"))), open()]).0, Verdict::Unknown);
    let denied = turn(&cilium, Said::Denies(rule("cnp")));
    assert_eq!(outcome(vec![open(), denied]), decided(Verdict::Denied, "cnp"));
}

#[test]
fn calico_goes_by_order_and_network_policies_stand_at_1000() {
    let early = policy(CALICO, serde_json::json!({"order": 10}));
    let late = policy(CALICO, serde_json::json!({"order": 2000.5}));
    let last = policy(CALICO, serde_json::json!({}));
    let denies = |policy| turn(policy, Said::Denies(rule("calico")));
    let np = || network(Said::Allows(rule("np")));
    assert_eq!(outcome(vec![np(), denies(&early)]), decided(Verdict::Denied, "calico"));
    assert_eq!(outcome(vec![np(), denies(&late)]), decided(Verdict::Allowed, "np"));
    assert_eq!(outcome(vec![denies(&last), np()]), decided(Verdict::Allowed, "np"));
    let turns = vec![denies(&last), turn(&late, Said::Allows(rule("late"))), network(Said::DeniesByDefault)];
    assert_eq!(outcome(turns), decided(Verdict::Allowed, "late"));
}

#[test]
fn a_tier_of_calicos_is_asked_before_the_default_one_and_denies_at_its_end() {
    let tier = policy(CALICO, serde_json::json!({"tier": "security", "order": 5000}));
    let after = policy(CALICO, serde_json::json!({"tier": "security", "order": 6000}));
    let np = || network(Said::Allows(rule("np")));
    assert_eq!(outcome(vec![np(), turn(&tier, Said::DeniesByDefault)]), (Verdict::Denied, None, false));
    let turns = vec![np(), turn(&tier, Said::Passes), turn(&after, Said::Denies(rule("after")))];
    assert_eq!(outcome(turns), decided(Verdict::Allowed, "np"), "a pass skips the rest of the tier");
    assert_eq!(outcome(vec![turn(&tier, Said::Passes)]), (Verdict::Allowed, None, true));
}

#[test]
fn the_order_of_two_tiers_of_calicos_is_not_known() {
    let one = policy(CALICO, serde_json::json!({"tier": "security"}));
    let other = policy(CALICO, serde_json::json!({"tier": "platform"}));
    let turns = vec![turn(&one, Said::Allows(rule("one"))), turn(&other, Said::Denies(rule("other")))];
    assert_eq!(outcome(turns).0, Verdict::Unknown);
}

#[test]
fn what_may_be_allowed_is_open_only_if_nothing_else_allows_it() {
    let cilium = policy(CILIUM, serde_json::Value::Null);
    let mut course = Course::default();
    let may = || network(Said::MayAllow(rule("np"), "the labels of the namespace y are not known".to_owned()));
    assert!(!walk(vec![may()], &mut course));
    assert_eq!(course.finish(Direction::Ingress).verdict, Verdict::Unknown);
    let turns = vec![may(), turn(&cilium, Said::Allows(rule("cnp")))];
    assert_eq!(outcome(turns), decided(Verdict::Allowed, "cnp"));
}
