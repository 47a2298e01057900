//! The policies deny what an engine dropped.

use super::*;
use crate::event::Program;

#[test]
fn an_engine_that_names_the_policy_that_denies_is_certain() {
    let said = refined(by_engine("azure-npm", &["web"]), &shop(&[]));
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Certain));
    assert_eq!(
        said.summary,
        "NetworkPolicy shop/web denies shop/client → shop/web tcp 8080 (ingress): the client lacks the label app=client"
    );
    assert_eq!(said.evidence[0], "iptables-nft filter/CHAIN rule 3 drops tcp dpt:8080", "what did it stays");
    let has = |fact: &str| assert!(said.evidence.iter().any(|told| told == fact), "{fact}: {:#?}", said.evidence);
    has("shop/web is selected by NetworkPolicy shop/web (ingress)");
    has("the nearest rule is rule 1 of NetworkPolicy shop/web: the client lacks the label app=client");
    has("shop/client has no labels");
    has("shop/web has the labels app=web");
    assert_eq!(said.remedy[0], "kubectl -n shop describe networkpolicy web");
    assert_eq!(said.remedy.iter().filter(|step| step.contains("describe")).count(), 1, "once: {:?}", said.remedy);
    let policy = said.policy.unwrap();
    assert_eq!((policy.direction, policy.verdict), (PolicyDirection::Ingress, PolicyVerdict::Denied));
    assert_eq!((policy.enforced_by.as_deref(), policy.contradiction), (Some("azure-npm"), None));
    let nearest = policy.nearest.unwrap();
    assert_eq!((nearest.rule, nearest.mismatch.as_str()), (1, "the client lacks the label app=client"));
}

#[test]
fn what_is_only_evaluated_is_derived() {
    let unnamed = refined(by_engine("calico", &[]), &shop(&[]));
    assert_eq!((unnamed.cause, unnamed.confidence), (Cause::NetworkPolicy, Confidence::Derived));
    let mut drop = by_engine("calico", &["web"]);
    drop.explanation.confidence = Confidence::Derived;
    assert_eq!(refined(drop, &shop(&[])).confidence, Confidence::Derived, "the rule itself is no surer");
    let mut drop = by_engine("calico", &["web"]);
    drop.explanation.confidence = Confidence::Inferred;
    assert_eq!(refined(drop, &shop(&[])).confidence, Confidence::Inferred);
}

#[test]
fn of_several_policies_the_nearest_is_named() {
    let deny_all = policy("deny-all", "web", Some(vec![]), None);
    let web = policy("web", "web", Some(vec![rule("app", "client")]), None);
    let said = refined(by_engine("calico", &["web"]), &index(vec![pod("client", CLIENT, &[], "n1"), deny_all, web]));
    let subject = "NetworkPolicy shop/web and 1 more that select shop/web deny shop/client → shop/web tcp 8080";
    assert!(said.summary.starts_with(subject), "{}", said.summary);
    assert_eq!(said.confidence, Confidence::Certain);
    assert_eq!(said.policy.unwrap().selected_by.len(), 2);
}

#[test]
fn a_policy_without_rules_is_said_to_have_none() {
    let deny_all = policy("deny-all", "web", Some(vec![]), None);
    let said = refined(by_engine("calico", &["deny-all"]), &index(vec![pod("client", CLIENT, &[], "n1"), deny_all]));
    assert_eq!(
        said.summary,
        "NetworkPolicy shop/deny-all denies shop/client → shop/web tcp 8080 (ingress): the policy has no ingress rule"
    );
}

#[test]
fn the_side_is_the_one_that_the_engine_dropped_at() {
    let out = policy("out", "client", None, Some(vec![]));
    let cluster = index(vec![pod("client", CLIENT, &[("app", "client")], "n1"), out]);
    let mut drop = by_engine("kube-router", &["out"]);
    drop.explanation.policy.as_mut().unwrap().direction = PolicyDirection::Egress;
    let said = refined(drop, &cluster);
    assert!(said.summary.starts_with("NetworkPolicy shop/out denies shop/client → "), "{}", said.summary);
    assert_eq!(said.confidence, Confidence::Certain);
}

#[test]
fn from_outside_there_is_no_label_to_give() {
    let mut drop = by_engine("calico", &["web"]);
    drop.packet.source.address = Some("203.0.113.7".parse().unwrap());
    let said = refined(drop, &shop(&[]));
    assert!(said.summary.contains("denies 203.0.113.7 → shop/web tcp 8080 (ingress): the rule allows pods only"));
}

#[test]
fn a_users_own_rule_is_never_called_a_policy() {
    for (cause, owner) in [(Cause::NetfilterRule, "user"), (Cause::NetfilterPolicy, "ufw")] {
        let mut drop = by_engine(owner, &[]);
        (drop.explanation.cause, drop.explanation.policy) = (cause, None);
        let before = drop.explanation.clone();
        let said = refined(drop.clone(), &shop(&[]));
        assert_eq!((said.cause, &said.summary, &said.policy), (cause, &before.summary, &None));
        assert_eq!(said.remedy, before.remedy);
        let told = "a network policy would deny it as well: NetworkPolicy shop/web denies";
        assert!(said.evidence[0].starts_with(told), "{:?}", said.evidence);
        assert_eq!(refined(drop, &shop(&[("app", "client")])), before, "nothing to tell of policies that allow it");
    }
}

#[test]
fn an_engines_housekeeping_is_no_policy() {
    let mut unknown_interface = by_engine("calico", &[]);
    unknown_interface.explanation.policy = None;
    assert_eq!(refined(unknown_interface, &shop(&[])).cause, Cause::NetfilterRule);
    for cause in [Cause::ConntrackInvalid, Cause::ReversePath, Cause::NoSocket] {
        let mut drop = by_engine("calico", &["web"]);
        drop.explanation.cause = cause;
        let before = drop.explanation.clone();
        assert_eq!(refined(drop, &shop(&[])), before, "it has a cause by itself");
    }
}

fn by_program(owner: &str, reason: &str) -> Drop {
    let mut drop = by_engine(owner, &[]);
    let said = &mut drop.explanation;
    (said.cause, said.confidence, said.policy) = (Cause::BpfProgram, Confidence::Derived, None);
    said.summary = format!("the tc program cil_to_container (id 7) at lxc1 egress dropped it{reason}");
    let attach = "lxc1 egress".to_owned();
    let (name, kind) = ("cil_to_container".to_owned(), "sched_cls".to_owned());
    said.program = Some(Program { id: 7, name, kind, attach, owner: Some(owner.to_owned()) });
    drop
}

#[test]
fn a_program_of_an_engine_is_asked_for_its_reason() {
    let cilium = |reason: &str, client: &[(&str, &str)]| refined(by_program("cilium", reason), &shop(client));
    let denied = cilium(": Policy denied (ingress)", &[]);
    assert_eq!((denied.cause, denied.confidence), (Cause::NetworkPolicy, Confidence::Derived));
    assert_eq!(denied.policy.unwrap().enforced_by.as_deref(), Some("cilium"));
    assert_eq!(cilium("", &[]).cause, Cause::NetworkPolicy, "nothing else is known of it, and the policies deny it");
    let other = cilium(": Invalid source ip (egress)", &[]);
    assert_eq!(other.cause, Cause::BpfProgram, "it has a reason of its own");
    let allowed = cilium("", &[("app", "client")]);
    assert_eq!((allowed.cause, allowed.policy), (Cause::BpfProgram, None));
    assert_eq!(allowed.evidence, ["the network policies allow it: rule 1 of NetworkPolicy shop/web allows it"]);
    assert_eq!(refined(by_program("retina", ""), &shop(&[])).cause, Cause::BpfProgram, "it puts no policy into force");
}
