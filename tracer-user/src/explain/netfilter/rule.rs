//! The rule or policy that dropped a packet, as the ruleset and its counters tell.
//!
//! Rule: `certain` needs one suspect whose own counter rose with the drop. One suspect by the rules alone is `derived`;
//! several are all told, as `inferred`; a suspect whose counter stood still is said to be in doubt.

use tracer_netfilter::owner::{self, PolicyRef};

use super::super::observation::Observation;
use crate::decode::protocol;
use crate::event::{Cause, Confidence, Explanation, Nearest, Policy, PolicyDirection, PolicyName, PolicyVerdict};
use crate::explain::node;
use crate::netfilter::{Ruling, Suspect};
use crate::node::reverse_path::{End, RuleCheck};

/// What is said when the ruleset tells who may have done it; `None` if no rule drops such a packet.
pub(super) fn explanation(ruling: &Ruling, drop: &Observation<'_>) -> Option<Explanation> {
    let (first, others) = ruling.suspects.split_first()?;
    let cause = if first.rule.number.is_none() { Cause::NetfilterPolicy } else { Cause::NetfilterRule };
    let mut explanation = Explanation::new(cause, confidence(ruling), summary(first, others, drop));
    explanation.evidence = evidence(first, ruling);
    explanation
        .evidence
        .extend(others.iter().map(|other| format!("possible too: {}: {}", other.place(), other.rule.text)));
    explanation.remedy = first.remedy(drop.netns_entry);
    explanation.owner = Some(first.owner.as_ref().map_or("user", |owner| owner.name).to_owned());
    explanation.policy = policy(first);
    explanation.rule = Some(first.rule.clone());
    explanation.alternatives = (!others.is_empty()).then(|| others.iter().map(|other| other.rule.clone()).collect());
    explanation.unknown = unknown(first, ruling);
    if let Some(check) = &first.way_back {
        way_back(&mut explanation, check, drop);
    }
    Some(explanation)
}

fn confidence(ruling: &Ruling) -> Confidence {
    match &*ruling.suspects {
        _ if ruling.is_certain() => Confidence::Certain,
        [only] if !only.proof.clears() => Confidence::Derived,
        _ => Confidence::Inferred,
    }
}

fn summary(first: &Suspect, others: &[Suspect], drop: &Observation<'_>) -> String {
    let packet = described(drop);
    let owner = first.owner.as_ref().map(|owner| format!(" ({})", owner.name)).unwrap_or_default();
    let policy = first.owner.as_ref().and_then(|owner| owner.policy.as_ref()).map(named_policy).unwrap_or_default();
    let first_says = format!("{}{owner} {} {packet}{policy}", first.place(), first.verb());
    match others {
        [] => first_says,
        [other] => format!("{first_says}, or {} does", other.place()),
        others => format!("{first_says}, or one of {} other rules does", others.len()),
    }
}

/// What a rule of reverse path (`rpfilter`, `fib saddr`) compared with.
fn way_back(explanation: &mut Explanation, check: &RuleCheck, drop: &Observation<'_>) {
    node::way_back(explanation, &check.back, &check.source.to_string());
    if let (End::Route(route), Some(input)) = (&check.back.end, &check.input)
        && !route.leaves_by(input)
    {
        explanation.evidence.push(format!("the rule wants the way back to leave by {input}, where the packet came in"));
    }
    let ip = if check.source.is_ipv6() { "ip -6" } else { "ip" };
    let entry = drop.netns_entry.map(|entry| format!("{entry} ")).unwrap_or_default();
    explanation.remedy.push(format!("{entry}{ip} route get {}", check.source));
}

/// ` (NetworkPolicy shop/web, ingress)`.
fn named_policy(policy: &PolicyRef) -> String {
    let namespace = policy.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!(" (NetworkPolicy {namespace}{}, {})", policy.name, policy.direction.as_str())
}

/// First port of the range from which Linux clients take theirs (`net.ipv4.ip_local_port_range`).
const FIRST_OF_CLIENTS: u16 = 32_768;

/// `tcp dpt:10250`, `icmp`, `udp dpt:53`; `tcp spt:10250` of an answer, whose other port is a client's and differs each
/// time.
fn described(drop: &Observation<'_>) -> String {
    let protocol = match drop.protocol {
        Some(number) => protocol::name(number).into(),
        None if drop.is_arp() => "arp".into(),
        None => std::borrow::Cow::Borrowed("the packet"),
    };
    // Of ICMP the flow's port is its type and code.
    let (from, to) = (drop.source_port, drop.destination_port.filter(|_| !drop.is_icmp()));
    match (from, to) {
        (Some(from @ 1..FIRST_OF_CLIENTS), Some(FIRST_OF_CLIENTS..)) => format!("{protocol} spt:{from}"),
        (_, Some(to)) => format!("{protocol} dpt:{to}"),
        _ => protocol.into_owned(),
    }
}

fn evidence(suspect: &Suspect, ruling: &Ruling) -> Vec<String> {
    let mut facts = vec![format!("the rule: {}", suspect.rule.text)];
    facts.extend(suspect.evidence());
    let time = humantime::format_rfc3339_millis(ruling.read).to_string();
    let time = time.get(11..23).unwrap_or(&time);
    facts.push(match ruling.rules {
        1 => format!("the namespace's only rule was read at {time}"),
        rules => format!("the namespace's {rules} rules were read at {time}"),
    });
    facts
}

/// The verdict of the engine whose rule it is.
fn policy(suspect: &Suspect) -> Option<Policy> {
    let owner = suspect.owner.as_ref()?;
    let enforced = owner.enforced.as_ref()?;
    let all = enforced.chains.iter().filter_map(|chain| chain.policy.as_ref());
    let mut named: Vec<&PolicyRef> = all.chain(&owner.policy).collect();
    named.dedup();
    let nearest = suspect.near.as_ref().and_then(|near| {
        let policy = near.policy.as_ref().or(owner.policy.as_ref())?;
        // The position is that in the engine's chain, which is not the policy's.
        Some(Nearest { policy: name(policy), rule: 0, mismatch: near.mismatch.clone() })
    });
    Some(Policy {
        direction: match enforced.direction {
            owner::PolicyDirection::Ingress => PolicyDirection::Ingress,
            owner::PolicyDirection::Egress => PolicyDirection::Egress,
        },
        verdict: PolicyVerdict::Denied,
        selected_by: named.into_iter().map(name).collect(),
        decided_by: None,
        nearest,
        enforced_by: Some(owner.name.to_owned()),
        contradiction: None,
    })
}

fn name(policy: &PolicyRef) -> PolicyName {
    PolicyName { kind: None, namespace: policy.namespace.clone(), name: policy.name.clone() }
}

fn unknown(suspect: &Suspect, ruling: &Ruling) -> Option<String> {
    let hangs = (!suspect.unknown.is_empty()).then(|| format!("it hangs on {}", suspect.unknown.join(", ")));
    let all: Vec<String> = hangs.into_iter().chain(ruling.unknown.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tracer_netfilter::walk::End;

    use super::*;
    use crate::event::{Backend, Hook, Rule, RuleStep, RulesetFamily};
    use crate::explain::hook::Netfilter;
    use crate::explain::scenarios::packet;
    use crate::netfilter::{Connections, Pressure, Proof};

    fn suspect(number: Option<u32>, proof: Proof) -> Suspect {
        let rule = Rule {
            backend: Backend::IptablesNft,
            family: RulesetFamily::Ip,
            table: "filter".into(),
            chain: "INPUT".into(),
            number,
            handle: Some(4),
            text: "-A INPUT -j DROP".into(),
            comment: None,
            path: vec![RuleStep { chain: "INPUT".into(), number: number.unwrap_or(0) }],
            packets: None,
        };
        let (unknown, facts, removal) = (Vec::new(), Vec::new(), "iptables-nft -t filter -D INPUT -j DROP".into());
        let (way_back, near, needs_invalid) = (None, None, false);
        Suspect { rule, end: End::Drop, unknown, facts, owner: None, removal, proof, way_back, near, needs_invalid }
    }

    fn of(suspects: Vec<Suspect>) -> Explanation {
        let (read, unknown) = (SystemTime::UNIX_EPOCH, Vec::new());
        let connections = Connections::None;
        let mut ruling = Ruling { suspects, rules: 2, read, unknown, conntrack: None, connections };
        ruling.weigh();
        explanation(&ruling, &packet("tcp")).unwrap()
    }

    #[test]
    fn a_counter_that_rose_makes_the_only_suspect_certain() {
        let confidence = |proof| of(vec![suspect(Some(1), proof)]).confidence;
        assert_eq!(confidence(Proof::Rose { from: 3, to: 4 }), Confidence::Certain);
        assert_eq!(confidence(Proof::Traced), Confidence::Certain);
        assert_eq!(confidence(Proof::Stands(4)), Confidence::Derived);
        assert_eq!(confidence(Proof::NoCounter), Confidence::Derived);
        assert_eq!(confidence(Proof::Rose { from: 3, to: 3 }), Confidence::Inferred, "it stood still");
        assert_eq!(confidence(Proof::Stands(0)), Confidence::Inferred, "it never saw a packet");
    }

    #[test]
    fn counters_clear_suspects_and_what_is_left_is_all_told() {
        let cleared = of(vec![suspect(Some(1), Proof::Rose { from: 2, to: 2 }), suspect(Some(2), Proof::NoCounter)]);
        assert_eq!((cleared.rule.unwrap().number, cleared.alternatives), (Some(2), None));
        assert_eq!(cleared.confidence, Confidence::Derived);

        let both = of(vec![suspect(Some(1), Proof::NoCounter), suspect(Some(2), Proof::Rose { from: 2, to: 3 })]);
        assert_eq!(both.confidence, Confidence::Inferred);
        assert_eq!(both.rule.unwrap().number, Some(2), "the one whose counter rose comes first");
        assert_eq!(both.alternatives.unwrap().len(), 1);
        assert!(both.summary.contains("or iptables-nft filter/INPUT rule 1 does"), "{}", both.summary);
    }

    #[test]
    fn a_policy_is_told_from_a_rule() {
        let policy = of(vec![suspect(None, Proof::NoCounter)]);
        assert_eq!(policy.cause, Cause::NetfilterPolicy);
        assert_eq!(policy.summary, "the policy of iptables-nft filter/INPUT drops tcp dpt:81");
        assert_eq!(policy.owner.as_deref(), Some("user"));
    }

    #[test]
    fn an_answer_is_told_by_the_port_of_its_server() {
        let of =
            |from, to| described(&Observation { source_port: Some(from), destination_port: Some(to), ..packet("tcp") });
        assert_eq!(of(80, 44_896), "tcp spt:80");
        assert_eq!(of(44_896, 80), "tcp dpt:80");
        assert_eq!((of(40_000, 50_000), of(80, 443)), ("tcp dpt:50000".into(), "tcp dpt:443".into()));
        assert_eq!(described(&packet("icmp")), "icmp");
    }

    #[test]
    fn a_rule_whose_counter_stood_still_is_not_blamed_for_a_full_table() {
        let pressure = Pressure { count: 9, max: 9, drop: 4, is_delta: true, ..Pressure::default() };
        let cause = |proof| {
            let suspects = vec![suspect(Some(1), proof)];
            let (read, conntrack) = (SystemTime::UNIX_EPOCH, Some(pressure));
            let connections = Connections::None;
            let ruling = Ruling { suspects, rules: 1, read, unknown: Vec::new(), conntrack, connections };
            let drop = Observation { ruling: Some(&ruling), ..packet("tcp") };
            super::super::explanation(Netfilter::Hook, Hook::Prerouting, &drop).cause
        };
        assert_eq!(cause(Proof::Rose { from: 2, to: 2 }), Cause::ConntrackFull);
        assert_eq!(cause(Proof::Rose { from: 2, to: 3 }), Cause::NetfilterRule);
    }
}
