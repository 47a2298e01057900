//! The rule or policy that dropped a packet, as the ruleset and its counters tell.
//!
//! Rule: `certain` needs one suspect whose own counter rose with the drop. One suspect by the rules alone is `derived`;
//! several are all told, as `inferred`; a suspect whose counter stood still is said to be in doubt.

use tracer_netfilter::owner::{self, PolicyRef};

use super::super::observation::Observation;
use crate::decode::protocol;
use crate::event::{Cause, Confidence, Explanation, Policy, PolicyDirection, PolicyName, PolicyVerdict};
use crate::netfilter::{Ruling, Suspect};

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
    explanation.policy = first.owner.as_ref().and_then(|owner| owner.policy.as_ref()).and_then(policy);
    explanation.rule = Some(first.rule.clone());
    explanation.alternatives = (!others.is_empty()).then(|| others.iter().map(|other| other.rule.clone()).collect());
    explanation.unknown = unknown(first, ruling);
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
    let first_says = format!("{}{owner} {} {packet}", first.place(), first.verb());
    match others {
        [] => first_says,
        [other] => format!("{first_says}, or {} does", other.place()),
        others => format!("{first_says}, or one of {} other rules does", others.len()),
    }
}

/// `tcp dpt:10250`, `icmp`, `udp dpt:53`.
fn described(drop: &Observation<'_>) -> String {
    let protocol = match drop.protocol {
        Some(number) => protocol::name(number).into(),
        None if drop.is_arp() => "arp".into(),
        None => std::borrow::Cow::Borrowed("the packet"),
    };
    match drop.destination_port {
        Some(port) => format!("{protocol} dpt:{port}"),
        None => protocol.into_owned(),
    }
}

fn evidence(suspect: &Suspect, ruling: &Ruling) -> Vec<String> {
    let mut facts = vec![format!("the rule: {}", suspect.rule.text)];
    facts.extend(suspect.evidence());
    let time = humantime::format_rfc3339_millis(ruling.read).to_string();
    let time = time.get(11..23).unwrap_or(&time);
    facts.push(format!("the namespace's {} rules were read at {time}", ruling.rules));
    facts
}

fn policy(named: &PolicyRef) -> Option<Policy> {
    let name = PolicyName { namespace: named.namespace.clone()?, name: named.name.clone() };
    let direction = match named.direction {
        owner::PolicyDirection::Ingress => PolicyDirection::Ingress,
        owner::PolicyDirection::Egress => PolicyDirection::Egress,
    };
    Some(Policy { direction, verdict: PolicyVerdict::Denied, selected_by: vec![name], nearest: None })
}

fn unknown(suspect: &Suspect, ruling: &Ruling) -> Option<String> {
    let hangs = (!suspect.unknown.is_empty()).then(|| format!("it hangs on {}", suspect.unknown.join(", ")));
    let all: Vec<String> = hangs.into_iter().chain(ruling.unknown.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
