//! No API: only the engine's rules tell.

use super::*;
use crate::event::{Backend, RulesetFamily};

/// Names of pods come from the runtime; no policy is known.
fn node(client: &[(&str, &str)]) -> Index {
    let mut index = Index::default();
    index.apply(pod("web", WEB, &[("app", "web")], "n2"));
    index.apply(pod("client", CLIENT, client, "n1"));
    index
}

fn with_nearest(mismatch: &str) -> Drop {
    let mut drop = by_engine("azure-npm", &["web"]);
    drop.explanation.policy.as_mut().unwrap().nearest = Some(nearest(mismatch));
    drop
}

#[test]
fn the_policy_that_the_rule_names_is_certain_if_its_counter_moved() {
    let said = refined(with_nearest("tcp dport 5432 wanted, 8080 was used"), &Index::default());
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Certain));
    assert_eq!(
        said.summary,
        "NetworkPolicy shop/web denies 10.1.0.5 → 10.2.0.9 tcp 8080 (ingress): tcp dport 5432 wanted, 8080 was used"
    );
    assert_eq!(said.evidence[0], "iptables-nft filter/CHAIN rule 3 drops tcp dpt:8080");
    assert!(said.evidence.iter().any(|fact| fact.contains("were not read from the API")), "{:?}", said.evidence);
    assert_eq!(said.remedy, ["kubectl -n shop describe networkpolicy web"]);
}

#[test]
fn the_label_is_told_where_the_set_names_it_and_the_runtime_knows_the_pod() {
    let set = "the source 10.1.0.5 is not in the set azure-npm-12 (podlabel-app:client)";
    let lacks = refined(with_nearest(set), &node(&[]));
    assert!(lacks.summary.ends_with("(ingress): the client lacks the label app=client"), "{}", lacks.summary);
    let mismatch = lacks.policy.unwrap().nearest.unwrap().mismatch;
    assert_eq!(mismatch, format!("the client lacks the label app=client ({set})"));
    let other = refined(with_nearest(set), &node(&[("app", "curl")]));
    assert!(other.summary.ends_with("the client's label app is \"curl\", the rule wants app=client"));
    let stale = refined(with_nearest(set), &node(&[("app", "client")]));
    assert!(stale.summary.ends_with(set), "it has the label, the set does not know: {}", stale.summary);
    let unknown = refined(with_nearest(set), &Index::default());
    assert!(unknown.summary.ends_with(set), "{}", unknown.summary);
}

#[test]
fn a_rule_that_is_only_likely_or_names_nothing_stays_a_rule() {
    let mut inferred = with_nearest("x");
    inferred.explanation.confidence = Confidence::Inferred;
    let rule = crate::event::Rule {
        backend: Backend::IptablesNft,
        family: RulesetFamily::Ip,
        table: "filter".into(),
        chain: "FORWARD".into(),
        number: Some(1),
        handle: None,
        text: String::new(),
        comment: None,
        path: Vec::new(),
        packets: None,
    };
    let mut one_of_two = with_nearest("x");
    one_of_two.explanation.alternatives = Some(vec![rule]);
    for drop in [inferred, one_of_two, by_engine("calico", &[])] {
        let before = drop.explanation.clone();
        assert_eq!(refined(drop, &Index::default()), before);
    }
    let mut derived = with_nearest("x");
    derived.explanation.confidence = Confidence::Derived;
    let said = refined(derived, &Index::default());
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Derived));
}

#[test]
fn a_ping_has_no_connection_to_evaluate_but_an_engine_that_names_the_policy() {
    let mut drop = by_engine("azure-npm", &["web"]);
    drop.packet.protocol = "icmp".into();
    let said = refined(drop, &shop(&[]));
    assert_eq!(said.cause, Cause::NetworkPolicy);
    assert_eq!(said.summary, "NetworkPolicy shop/web denies 10.1.0.5 → 10.2.0.9 icmp (ingress)");
}

#[test]
fn an_address_that_two_claim_is_nobodys() {
    let cluster = shop(&[]);
    let mut both = cluster.clone();
    both.apply(pod("other", CLIENT, &[], "n1"));
    let said = refined(by_engine("calico", &[]), &both);
    assert_eq!((said.cause, said.evidence.len()), (Cause::NetfilterRule, 0), "nothing is guessed");
    assert_eq!(refined(by_engine("calico", &[]), &cluster).cause, Cause::NetworkPolicy);
}
