//! Literal drops, and what Hubble says of them.

use super::*;
use crate::event::Program;

const SECOND: u64 = 1_000_000_000;
const NOW: Span = Span::at(100 * SECOND);

fn word(reason: u32, denied_by: &[&str]) -> Dropped {
    let (source, destination) = (([10, 1, 0, 5], 40_000).into(), ([10, 2, 0, 9], 8080).into());
    let name = |name: &&str| PolicyName {
        kind: Some("CiliumNetworkPolicy".to_owned()),
        namespace: Some("shop".to_owned()),
        name: (*name).to_owned(),
    };
    Dropped {
        time: NOW.from + SECOND,
        key: Key::new("tcp", source, destination),
        source: End { address: source, identity: 2 },
        destination: End { address: destination, identity: 0 },
        reason,
        direction: Some(PolicyDirection::Ingress),
        denied_by: denied_by.iter().map(name).collect(),
    }
}

fn heard(word: Dropped) -> Recent {
    let mut recent = Recent::default();
    recent.add(word);
    recent
}

/// By a tc program, before Hubble is heard.
fn by_program(owner: Option<&str>, name: &str) -> Drop {
    let summary = format!("the tc program {name} (id 7) at lxc1 egress dropped it");
    let mut explanation = Explanation::new(Cause::BpfProgram, Confidence::Derived, summary);
    explanation.program = Some(Program {
        id: 7,
        name: name.to_owned(),
        kind: "sched_cls".to_owned(),
        attach: "lxc1 egress".to_owned(),
        owner: owner.map(str::to_owned),
    });
    explanation.unknown = Some("its counters; Cilium's reason: its counters were not read before this drop".to_owned());
    explanation.remedy = vec!["bpftool prog show id 7".to_owned()];
    Drop::between("10.1.0.5:40000", "10.2.0.9:8080", explanation)
}

fn told(word: Dropped) -> Explanation {
    let mut drop = by_program(Some("cilium"), "cil_to_container");
    let word = of_drop(&drop, &heard(word), NOW).unwrap();
    tell_reason(&mut drop.explanation, &word);
    name_policies(&mut drop.explanation, &word);
    drop.explanation
}

#[test]
fn a_named_policy_is_the_cause_and_certain() {
    let said = told(word(181, &["deny"]));
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Certain));
    assert_eq!(said.summary, "CiliumNetworkPolicy shop/deny denies 10.1.0.5:40000 → 10.2.0.9:8080 tcp (ingress)");
    let policy = said.policy.unwrap();
    assert_eq!((policy.enforced_by.as_deref(), policy.verdict), (Some("cilium"), PolicyVerdict::Denied));
    assert_eq!(policy.decided_by.unwrap().policy.name, "deny");
    let hubble = "Hubble: dropped, POLICY_DENY, ingress, by CiliumNetworkPolicy shop/deny, \
                  10.1.0.5:40000 (identity 2, world) → 10.2.0.9:8080 tcp";
    assert!(said.evidence.iter().any(|one| one == hubble), "{:?}", said.evidence);
    assert_eq!(said.remedy[0], "kubectl -n shop describe ciliumnetworkpolicy deny");
    assert!(said.remedy.iter().any(|one| one == "bpftool prog show id 7"));
    assert_eq!(said.unknown.as_deref(), Some("its counters"), "the reason is not open any more");
}

#[test]
fn without_a_name_it_is_cilium_that_denies() {
    let said = told(word(133, &[]));
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Certain));
    assert!(said.summary.ends_with("tcp (ingress): no policy allows it"), "{}", said.summary);
    let policy = said.policy.unwrap();
    assert!(policy.selected_by.is_empty() && policy.decided_by.is_none());
    assert!(told(word(189, &[])).summary.contains("authenticated"));
    let no_direction = told(Dropped { direction: None, ..word(133, &[]) });
    assert_eq!((no_direction.cause, no_direction.policy), (Cause::NetworkPolicy, None));
}

#[test]
fn what_the_evaluator_found_stays_and_becomes_certain() {
    let mut explanation = by_program(Some("cilium"), "cil_to_container").explanation;
    let word = word(133, &["web"]);
    tell_reason(&mut explanation, &word);
    let found = "CiliumNetworkPolicy shop/web denies shop/client → shop/web-0: the client lacks the label app=client";
    (explanation.cause, explanation.confidence) = (Cause::NetworkPolicy, Confidence::Derived);
    explanation.summary = found.to_owned();
    explanation.policy = Some(policy(None, PolicyDirection::Ingress, &word));
    name_policies(&mut explanation, &word);
    assert_eq!((&*explanation.summary, explanation.confidence), (found, Confidence::Certain));
}

#[test]
fn another_reason_is_no_policy() {
    let said = told(word(155, &[]));
    assert_eq!((said.cause, said.confidence, said.policy), (Cause::BpfProgram, Confidence::Certain, None));
    assert_eq!(
        said.summary,
        "Cilium's program cil_to_container (id 7) at lxc1 egress dropped it: CT: Map insertion failed (ingress): \
         Cilium's table of connections is full"
    );
    assert!(said.remedy.iter().any(|one| one.contains("bpf-ct-global-tcp-max")), "{:?}", said.remedy);
    let unknown = told(word(250, &[]));
    assert!(unknown.summary.ends_with("dropped it: drop code 250 (ingress)"), "{}", unknown.summary);
}

#[test]
fn only_ciliums_own_drop_of_the_same_five_tuple_is_joined() {
    let recent = heard(word(133, &[]));
    let find = |drop: &Drop, span| of_drop(drop, &recent, span).is_some();
    assert!(find(&by_program(Some("cilium"), "x"), NOW) && find(&by_program(None, "cil_from_netdev"), NOW));
    assert!(!find(&by_program(Some("calico"), "calico_tc"), NOW));
    assert!(!find(&by_program(Some("cilium"), "x"), Span::at(104 * SECOND)), "three seconds later");
    let mut other = by_program(Some("cilium"), "x");
    other.packet.source.port = Some(40_001);
    assert!(!find(&other, NOW));
    std::mem::swap(&mut other.packet.source, &mut other.packet.destination);
    other.packet.destination.port = Some(40_000);
    assert!(find(&other, NOW), "the other direction");
}

#[test]
fn each_reason_of_the_table_has_a_code_of_its_own_and_words() {
    for code in 0..300 {
        let Some(known) = reason::of(code) else { continue };
        assert!(!cilium_reason(code).starts_with("drop code"), "{code} has no short name");
        assert!(known.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(!known.meaning.is_empty() && !known.meaning.ends_with('.'));
    }
    assert_eq!(reason::of(151).map(|known| known.name), Some("STALE_OR_UNROUTABLE_IP"));
}

#[test]
fn of_an_attempt_it_is_said_once_and_the_evaluators_answer_is_kept() {
    let word = word(133, &[]);
    let silent = || Explanation::new(Cause::Unknown, Confidence::Inferred, "nobody answered");
    let mut said = silent();
    said.suspects = Some(Vec::new());
    tell_flow(&mut said, &word);
    assert_eq!((said.cause, said.confidence, &said.suspects), (Cause::NetworkPolicy, Confidence::Certain, &None));
    let once = said.clone();
    tell_flow(&mut said, &word);
    assert_eq!(said, once);
    let mut evaluated = silent();
    (evaluated.cause, evaluated.summary) = (Cause::NetworkPolicy, "NetworkPolicy shop/web denies it".to_owned());
    evaluated.policy = Some(policy(None, PolicyDirection::Ingress, &word));
    tell_flow(&mut evaluated, &word);
    assert_eq!((&*evaluated.summary, evaluated.confidence), ("NetworkPolicy shop/web denies it", Confidence::Certain));
    assert!(evaluated.evidence[0].starts_with(HUBBLE), "{evaluated:?}");
}

#[test]
fn policies_that_allow_what_cilium_denies_are_told_as_such() {
    let word = word(133, &[]);
    let mut said = by_program(Some("cilium"), "cil_to_container").explanation;
    let odd = "rule 1 of NetworkPolicy shop/web allows it, yet cilium drops it: are its rules stale?";
    let allowed = Policy {
        verdict: PolicyVerdict::Allowed,
        contradiction: Some(odd.to_owned()),
        ..policy(None, PolicyDirection::Ingress, &word)
    };
    (said.summary, said.policy) = (odd.to_owned(), Some(allowed));
    name_policies(&mut said, &word);
    assert_eq!((&*said.summary, said.cause), (odd, Cause::NetworkPolicy));
    assert_eq!(said.policy.unwrap().verdict, PolicyVerdict::Allowed, "what the policies say stays");
}
