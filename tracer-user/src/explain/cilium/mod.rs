//! What Cilium's own agent says about a drop: why its program dropped it, and for which policy.
//!
//! Rule: its word is certain for the same five-tuple at the same time, and changes nothing else. For a policy the reason is told before
//! the policies are evaluated, and its names after it; where Hubble is silent, the evaluator's answer stands.

mod reason;
#[cfg(test)]
mod tests;

use super::node::cilium_reason;
use super::quoted;
use crate::cilium::{Dropped, End, Key, Recent};
use crate::event::{
    Cause, Confidence, ConntrackEnd, Drop, Endpoint, Explanation, Flow, Packet, Policy, PolicyDirection, PolicyName,
    PolicyRule, PolicyVerdict,
};
use crate::kubernetes::Span;

const OWNER: &str = "cilium";
/// How its word begins.
const HUBBLE: &str = "Hubble: ";

/// Whether its programs dropped it.
pub fn is_its(explanation: &Explanation) -> bool {
    let program = explanation.program.as_ref();
    explanation.owner.as_deref() == Some(OWNER)
        || program.is_some_and(|program| program.owner.as_deref() == Some(OWNER) || program.name.starts_with("cil_"))
}

/// What Hubble says of a drop by Cilium.
pub fn of_drop(drop: &Drop, recent: &Recent, span: Span) -> Option<Dropped> {
    if recent.is_empty() || !is_its(&drop.explanation) {
        return None;
    }
    let Packet { protocol, source, destination, .. } = &drop.packet;
    let tuples = drop.conntrack.iter().flat_map(|conntrack| [&conntrack.original, &conntrack.reply]).flatten();
    let translated = tuples.map(|tuple| {
        let end = |end: &ConntrackEnd| (end.address, end.port);
        Key::of(&tuple.protocol, end(&tuple.source), end(&tuple.destination))
    });
    let mut keys = key(protocol, source, destination).into_iter().chain(translated);
    keys.find_map(|key| recent.find(&key, span)).cloned()
}

/// The same of an attempt that Cilium dropped, or of which nobody knows what became.
pub fn of_flow(flow: &Flow, recent: &Recent, span: Span) -> Option<Dropped> {
    let said = flow.explanation.as_ref()?;
    let is_open = matches!(said.cause, Cause::Upstream | Cause::NoAnswer | Cause::Unknown);
    if recent.is_empty() || !(is_open || is_its(said)) {
        return None;
    }
    let translated = flow.translated.as_ref().map(|both| (&both.source, &both.destination));
    let ends = [Some((&flow.source, &flow.destination)), translated].into_iter().flatten();
    let mut keys = ends.filter_map(|(source, destination)| key(&flow.protocol, source, destination));
    keys.find_map(|key| recent.find(&key, span)).cloned()
}

fn key(protocol: &str, source: &Endpoint, destination: &Endpoint) -> Option<Key> {
    Some(Key::of(protocol, (source.address?, source.port), (destination.address?, destination.port)))
}

/// Says why, as its program's reason; to be called before the policies are evaluated.
pub fn tell_reason(explanation: &mut Explanation, word: &Dropped) {
    let label = match word.direction {
        Some(direction) => format!("{} ({})", cilium_reason(word.reason), direction_name(direction)),
        None => cilium_reason(word.reason),
    };
    let who = match &explanation.program {
        Some(program) => format!("Cilium's program {} (id {}) at {}", program.name, program.id, program.attach),
        None => "Cilium".to_owned(),
    };
    let known = reason::of(word.reason);
    let is_policy = reason::is_policy(word.reason);
    // The engine of the policies knows a reason by these words, whichever of the three it is.
    let label = match word.direction {
        Some(direction) if is_policy => format!("Policy denied ({})", direction_name(direction)),
        _ => label,
    };
    let meaning = known.filter(|_| !is_policy).map(|known| format!(": {}", known.meaning)).unwrap_or_default();
    explanation.summary = format!("{who} dropped it: {label}{meaning}");
    explanation.cause = Cause::BpfProgram;
    explanation.confidence = Confidence::Certain;
    explanation.owner = Some(OWNER.to_owned());
    if explanation.policy.take().is_some() {
        // What would change a policy is of no use.
        explanation.remedy.clear();
    }
    explanation.evidence.insert(0, evidence(word));
    let others = std::mem::take(&mut explanation.remedy);
    explanation.remedy =
        known.map(|known| known.remedy).unwrap_or_default().iter().map(|&one| one.to_owned()).collect();
    explanation.remedy.extend(others);
    let open = explanation.unknown.take().unwrap_or_default();
    let open: Vec<&str> =
        open.split("; ").filter(|one| !one.starts_with("Cilium's reason") && !one.is_empty()).collect();
    explanation.unknown = (!open.is_empty()).then(|| open.join("; "));
}

/// Says it of an attempt, after the policies were evaluated.
pub fn tell_flow(explanation: &mut Explanation, word: &Dropped) {
    if explanation.evidence.iter().any(|one| one.starts_with(HUBBLE)) {
        return;
    }
    if reason::is_policy(word.reason) && explanation.policy.is_some() {
        explanation.evidence.insert(0, evidence(word));
    } else {
        tell_reason(explanation, word);
    }
    explanation.suspects = None;
    name_policies(explanation, word);
}

/// Says that it was for a policy, and for which, if it was; to be called after the policies were evaluated.
pub fn name_policies(explanation: &mut Explanation, word: &Dropped) {
    if !reason::is_policy(word.reason) {
        return;
    }
    let evaluated = explanation.policy.as_ref().filter(|policy| Some(policy.direction) == word.direction);
    let is_known = evaluated.is_some_and(|policy| {
        let is_named = |name: &PolicyName| policy.selected_by.contains(name);
        policy.contradiction.is_some() && word.denied_by.is_empty()
            || policy.verdict == PolicyVerdict::Denied && word.denied_by.iter().all(is_named)
    });
    if !is_known {
        let before = std::mem::replace(&mut explanation.summary, summary(word));
        explanation.evidence.insert(0, before);
    }
    explanation.cause = Cause::NetworkPolicy;
    explanation.confidence = Confidence::Certain;
    if let Some(direction) = word.direction {
        explanation.policy = Some(policy(explanation.policy.take(), direction, word));
    }
    let describes = word.denied_by.iter().map(describe).filter(|one| !explanation.remedy.contains(one));
    let mut remedy: Vec<String> = describes.collect();
    remedy.append(&mut explanation.remedy);
    let (from, to) = (word.source.address.ip(), word.destination.address.ip());
    remedy.push(format!("hubble observe --verdict DROPPED --from-ip {from} --to-ip {to} --last 20"));
    explanation.remedy = remedy;
}

/// What the evaluator found, with what Hubble says.
fn policy(evaluated: Option<Policy>, direction: PolicyDirection, word: &Dropped) -> Policy {
    let mut policy = evaluated.filter(|policy| policy.direction == direction).unwrap_or(Policy {
        direction,
        verdict: PolicyVerdict::Denied,
        selected_by: Vec::new(),
        decided_by: None,
        nearest: None,
        enforced_by: None,
        contradiction: None,
    });
    for name in &word.denied_by {
        if !policy.selected_by.contains(name) {
            policy.selected_by.push(name.clone());
        }
    }
    if policy.verdict == PolicyVerdict::Denied && policy.decided_by.is_none() {
        policy.decided_by = word.denied_by.first().map(|policy| PolicyRule { policy: policy.clone(), rule: 0 });
    }
    policy.enforced_by = Some(OWNER.to_owned());
    policy
}

/// `CiliumNetworkPolicy shop/deny denies 10.0.0.5:40000 → 10.0.0.9:8080 tcp (ingress)`.
fn summary(word: &Dropped) -> String {
    let direction = word.direction.map(|direction| format!(" ({})", direction_name(direction))).unwrap_or_default();
    let way = way(word);
    let meaning = reason::of(word.reason).map_or("", |known| known.meaning);
    match &*word.denied_by {
        [] => format!("Cilium denies {way}{direction}: {meaning}"),
        [one] => format!("{} denies {way}{direction}", name(one)),
        [one, rest @ ..] => format!("{} and {} more deny {way}{direction}", name(one), rest.len()),
    }
}

fn name(policy: &PolicyName) -> String {
    let kind = policy.kind.as_deref().unwrap_or("NetworkPolicy");
    match &policy.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", policy.name),
        None => format!("{kind} {}", policy.name),
    }
}

fn describe(policy: &PolicyName) -> String {
    let kind = policy.kind.as_deref().unwrap_or("NetworkPolicy").to_ascii_lowercase();
    let namespace = policy.namespace.as_deref().map(|namespace| format!(" -n {}", quoted(namespace)));
    format!("kubectl{} describe {} {}", namespace.unwrap_or_default(), quoted(&kind), quoted(&policy.name))
}

/// `Hubble: dropped, POLICY_DENIED, ingress, 10.0.0.5:40000 (identity 2, world) → …`.
fn evidence(word: &Dropped) -> String {
    let name = reason::of(word.reason).map_or_else(|| cilium_reason(word.reason), |known| known.name.to_owned());
    let direction = word.direction.map(|direction| format!(", {}", direction_name(direction))).unwrap_or_default();
    let by = match &*word.denied_by {
        [] => String::new(),
        policies => format!(", by {}", policies.iter().map(self::name).collect::<Vec<_>>().join(", ")),
    };
    let protocol = word.key.protocol();
    let (source, destination) = (end(&word.source), end(&word.destination));
    format!("{HUBBLE}dropped, {name}{direction}{by}, {source} → {destination} {protocol}")
}

fn way(word: &Dropped) -> String {
    let end = |end: &End| match end.address.port() {
        0 => end.address.ip().to_string(),
        _ => end.address.to_string(),
    };
    format!("{} → {} {}", end(&word.source), end(&word.destination), word.key.protocol())
}

/// With its identity; the reserved ones have names (pkg/identity/numericidentity.go, 1.18).
fn end(end: &End) -> String {
    let name = match end.identity {
        1 => ", host",
        2 => ", world",
        3 => ", unmanaged",
        4 => ", health",
        5 => ", init",
        6 => ", remote-node",
        7 => ", kube-apiserver",
        8 => ", ingress",
        9 => ", world-ipv4",
        10 => ", world-ipv6",
        _ => "",
    };
    let address = match end.address.port() {
        0 => end.address.ip().to_string(),
        _ => end.address.to_string(),
    };
    match end.identity {
        0 => address,
        identity => format!("{address} (identity {identity}{name})"),
    }
}

const fn direction_name(direction: PolicyDirection) -> &'static str {
    match direction {
        PolicyDirection::Ingress => "ingress",
        PolicyDirection::Egress => "egress",
    }
}
