//! A rule that allows the connection: the nearest one with what it lacks, or one of its own.

use serde_json::{Value, json};

use super::Amendment;
use super::case::Case;
use super::peer::{self, Entry};
use crate::evaluate::{Direction, Mismatch};
use crate::model::{NetworkPolicy, PortMatch, PortRange, Rule};

/// Adds to the nearest policy what it lacks: a port or a peer to its nearest rule, or a rule.
pub(super) fn amended(case: &Case<'_>) -> Option<Amendment> {
    let entry = peer::entry(&case.other(), &case.policy.id.namespace);
    let is_port = |mismatch: &Mismatch| matches!(mismatch, Mismatch::Port { .. } | Mismatch::PortName { .. });
    let mismatch = &case.nearest.mismatch;
    match case.rule() {
        Some((number, rule)) if mismatch.iter().all(is_port) => with_port(case, number, rule),
        Some((number, rule)) if !mismatch.iter().any(is_port) => with_peer(case, number, rule, entry),
        _ => with_rule(case, entry),
    }
}

/// The port of the connection, as a policy writes it.
fn port(case: &Case<'_>) -> (PortMatch, Value, String) {
    let (protocol, number) = (case.connection().protocol, case.connection().port);
    let manifest = json!({"port": number, "protocol": protocol.as_str().to_uppercase()});
    (PortMatch { protocol, range: PortRange::Numbers(number, number) }, manifest, format!("{protocol} {number}"))
}

fn with_port(case: &Case<'_>, number: usize, rule: &Rule) -> Option<Amendment> {
    let (model, manifest, words) = port(case);
    let changed = Rule { ports: rule.ports.iter().cloned().chain([model]).collect(), ..rule.clone() };
    let summary = format!("add {words} to rule {} of {}", number + 1, case.nearest.policy);
    let others = match &*rule.peers {
        [] => Some(format!("everybody may use {words} then")),
        [_] if case.other().pod().is_none() => None,
        _ => Some(format!("all that rule {} allows may use {words} then", number + 1)),
    };
    let path = format!("/spec/{}/{number}/ports/-", case.direction.as_str());
    proposed(case, number, changed, summary, &path, &manifest, others)
}

fn with_peer(case: &Case<'_>, number: usize, rule: &Rule, entry: Entry) -> Option<Amendment> {
    let (_, _, port_words) = port(case);
    let changed = Rule { peers: rule.peers.iter().cloned().chain([entry.model]).collect(), ..rule.clone() };
    let from_or_to = list(case.direction);
    let summary = format!("add {} to {from_or_to} in rule {} of {}", entry.words, number + 1, case.nearest.policy);
    let is_one_port =
        matches!(&*rule.ports, [PortMatch { range: PortRange::Numbers(first, last), .. }] if first == last);
    let ports = if is_one_port { port_words } else { "every port of the rule".to_owned() };
    let opens = (entry.is_wider || !is_one_port).then(|| reaches(case, &entry.words, &ports));
    let path = format!("/spec/{}/{number}/{from_or_to}/-", case.direction.as_str());
    proposed(case, number, changed, summary, &path, &entry.manifest, opens)
}

fn with_rule(case: &Case<'_>, entry: Entry) -> Option<Amendment> {
    let (model, port_manifest, words) = port(case);
    let manifest = json!({list(case.direction): [entry.manifest], "ports": [port_manifest]});
    let rule = Rule { peers: [entry.model].into(), ports: [model].into() };
    let summary = format!("add a rule for {} on {words} to {}", entry.words, case.nearest.policy);
    let opens = entry.is_wider.then(|| reaches(case, &entry.words, &words));
    let rules = rules(case.policy, case.direction).map_or(0, <[Rule]>::len);
    // A list that is empty may be absent from the object.
    let (path, value) = match rules {
        0 => (format!("/spec/{}", case.direction.as_str()), json!([manifest])),
        _ => (format!("/spec/{}/-", case.direction.as_str()), manifest),
    };
    proposed(case, rules, rule, summary, &path, &value, opens)
}

/// A proposal with a patch of the nearest policy, if it would allow the connection.
fn proposed(
    case: &Case<'_>,
    number: usize,
    rule: Rule,
    summary: String,
    path: &str,
    value: &Value,
    opens: Option<String>,
) -> Option<Amendment> {
    let mut all: Vec<Rule> = rules(case.policy, case.direction).unwrap_or_default().to_vec();
    match all.get_mut(number) {
        Some(old) => *old = rule,
        None => all.push(rule),
    }
    let mut policy = case.policy.clone();
    *match case.direction {
        Direction::Ingress => &mut policy.ingress,
        Direction::Egress => &mut policy.egress,
    } = Some(all.into());
    let id = policy.id.clone();
    if !case.is_allowed_with(policy) {
        return None;
    }
    let operations = yaml(&json!([{"op": "add", "path": path, "value": value}]))?;
    let apply =
        format!("kubectl -n {} patch networkpolicy {} --type=json --patch '\n{operations}'", id.namespace, id.name);
    Some(Amendment { summary, apply, opens: opens.into_iter().collect() })
}

/// A policy beside the others that allows this and nothing else.
pub(super) fn of_its_own(case: &Case<'_>) -> Option<Amendment> {
    let namespace = &case.policy.id.namespace;
    let entry = peer::entry(&case.other(), namespace);
    let selected = peer::entry(&crate::evaluate::End::Pod(case.selected, case.other().address()), namespace);
    let (model, port_manifest, words) = port(case);
    let (direction, list) = (case.direction.as_str(), list(case.direction));
    let name = format!("allow-{}-{}", direction, words.replace(' ', "-"));
    let rules = Some([Rule { peers: [entry.model].into(), ports: [model].into() }].into());
    let crate::model::Peer::Pods { pods, .. } = selected.model else { return None };
    let policy = NetworkPolicy {
        id: crate::model::ObjectName::new(namespace.clone(), name.as_str()),
        pods: pods.unwrap_or_default(),
        ingress: if case.direction == Direction::Ingress { rules.clone() } else { None },
        egress: if case.direction == Direction::Egress { rules } else { None },
    };
    if !case.is_allowed_with(policy) {
        return None;
    }
    let kind = if case.direction == Direction::Ingress { "Ingress" } else { "Egress" };
    let manifest = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": &**namespace},
        "spec": {
            "podSelector": selected.manifest["podSelector"],
            "policyTypes": [kind],
            direction: [{list: [entry.manifest], "ports": [port_manifest]}],
        }
    });
    let to_or_from = if case.direction == Direction::Ingress { "from" } else { "to" };
    Some(Amendment {
        summary: format!(
            "apply a NetworkPolicy of its own for {} {to_or_from} {} on {words}",
            selected.words, entry.words
        ),
        apply: yaml(&manifest)?,
        opens: vec![reaches(case, &entry.words, &words)],
    })
}

/// Who can reach whom then.
fn reaches(case: &Case<'_>, other: &str, ports: &str) -> String {
    match case.direction {
        Direction::Ingress => format!("{other} may then use {ports} of every pod that the policy selects"),
        Direction::Egress => format!("every pod that the policy selects may then use {ports} of {other}"),
    }
}

fn rules(policy: &NetworkPolicy, direction: Direction) -> Option<&[Rule]> {
    match direction {
        Direction::Ingress => policy.ingress.as_deref(),
        Direction::Egress => policy.egress.as_deref(),
    }
}

const fn list(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

fn yaml(value: &Value) -> Option<String> {
    let text = serde_saphyr::to_string(value).ok()?;
    // Inside quotes of the shell.
    (!text.contains('\'')).then_some(text)
}
