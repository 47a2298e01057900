//! Policies, pods and connections in words.

use tracer_policy::evaluate::{Direction, Side, Why};
use tracer_policy::model::{Pod, PolicyId};

use super::Judged;
use super::ends::{Held, Opener};
use crate::event::{Endpoint, Explanation, Nearest, Packet, PolicyName};
use crate::explain::quoted;
use crate::kubernetes::{Index, Span};

/// Names in one sentence.
const MOST_NAMED: usize = 3;

/// `NetworkPolicy shop/web denies shop/client → shop/web-0 tcp 8080 (ingress): the client lacks the label app=client`.
pub(super) fn denial(side: &Side, judged: &Judged<'_>) -> String {
    let others = side.selected_by.len().saturating_sub(1);
    let (subject, verb) = match deciding(side) {
        Some(policy) if side.why == Why::Default && others > 0 => {
            (format!("{policy} and {others} more that select {}", subject_pod(side, judged)), "deny")
        }
        Some(policy) => (policy.to_string(), "denies"),
        None => ("the network policies".to_owned(), "deny"),
    };
    let why = match (&side.nearest, &side.decided_by) {
        (_, Some(rule)) => {
            let name = rule.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            format!(": by its rule {}{name}", rule.number)
        }
        (Some(nearest), None) => format!(": {}", nearest.describe(side.direction)),
        (None, None) => String::new(),
    };
    format!("{subject} {verb} {} ({}){why}", connection(judged), side.direction.as_str())
}

/// The policy whose rule decided, or came nearest.
pub(super) fn deciding(side: &Side) -> Option<&PolicyId> {
    let decided = side.decided_by.as_ref().map(|rule| &rule.policy);
    decided.or(side.nearest.as_ref().map(|nearest| &nearest.policy)).or_else(|| side.selected_by.first())
}

/// Why it is allowed, as the beginning of a sentence.
pub(super) fn allowed(side: &Side, judged: &Judged<'_>) -> String {
    let pod = subject_pod(side, judged);
    match (side.why, &side.decided_by) {
        (_, Some(rule)) => format!("rule {} of {} allows it", rule.number, rule.policy),
        (Why::NoPolicy, None) => format!("no {} policy selects {pod}", side.direction.as_str()),
        (Why::OwnNode, None) => format!("{pod}'s own node may always reach it"),
        (Why::NotAPod, None) => format!("no policy can be about {pod}"),
        _ => "the policies allow it".to_owned(),
    }
}

/// What was read, a fact each.
pub(super) fn evidence(side: &Side, judged: &Judged<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    if !side.selected_by.is_empty() {
        let policies = list(side.selected_by.iter().map(ToString::to_string));
        facts.push(format!("{} is selected by {policies} ({})", subject_pod(side, judged), side.direction.as_str()));
    }
    if let Some(nearest) = &side.nearest {
        let why = nearest.describe(side.direction);
        facts.push(match nearest.rule {
            0 => format!("{}: {why}", nearest.policy),
            rule => format!("the nearest rule is rule {rule} of {}: {why}", nearest.policy),
        });
    }
    for pod in [&judged.client, &judged.server].into_iter().filter_map(Held::pod) {
        let labels = if pod.labels.is_empty() { "no labels".to_owned() } else { format!("the labels {}", pod.labels) };
        facts.push(format!("{} has {labels}", pod.id));
    }
    facts.push("policies and labels are as the API server told them last".to_owned());
    facts
}

/// The pod that the policies of a direction select.
pub(super) fn subject<'a>(side: &Side, judged: &'a Judged<'_>) -> Option<&'a Pod> {
    subject_end(side, judged).pod()
}

/// The same, or its address.
pub(super) fn subject_pod(side: &Side, judged: &Judged<'_>) -> String {
    held(subject_end(side, judged))
}

const fn subject_end<'a>(side: &Side, judged: &'a Judged<'_>) -> &'a Held {
    match side.direction {
        Direction::Egress => &judged.client,
        Direction::Ingress => &judged.server,
    }
}

fn held(held: &Held) -> String {
    match held {
        Held::Pod(pod, _) => pod.id.to_string(),
        Held::Node(name, address) => format!("node {name} ({address})"),
        Held::Outside(address) => address.to_string(),
    }
}

/// `shop/client → shop/web-0 tcp 8080`.
pub(super) fn connection(judged: &Judged<'_>) -> String {
    format!("{} → {} {} {}", held(&judged.client), held(&judged.server), judged.protocol, judged.port)
}

/// The same by the names that the event has.
pub(super) fn way(packet: &Packet, opener: Option<&Opener>) -> String {
    let end = |endpoint: &Endpoint| match (&endpoint.pod, &endpoint.node, endpoint.address) {
        (Some(pod), ..) => format!("{}/{}", pod.namespace, pod.name),
        (None, Some(node), _) => format!("node {node}"),
        (None, None, Some(address)) => address.to_string(),
        (None, None, None) => "an unknown end".to_owned(),
    };
    let named = |address: std::net::IpAddr| {
        let ends = [&packet.source, &packet.destination];
        ends.into_iter().find(|known| known.address == Some(address)).map_or_else(|| address.to_string(), end)
    };
    match opener {
        Some(opener) => {
            format!("{} → {} {} {}", named(opener.client), named(opener.server), opener.protocol, opener.port)
        }
        None => format!("{} → {} {}", end(&packet.source), end(&packet.destination), packet.protocol),
    }
}

/// The label that the other end lacks, where the name of the engine's set tells it (`podlabel-app:client` of Azure NPM) and the
/// runtime knows the pod's labels.
pub(super) fn missing_label(
    nearest: &Nearest,
    direction: Direction,
    opener: &Opener,
    index: &Index,
    span: Span,
) -> Option<String> {
    let (who, address) = match direction {
        Direction::Ingress => ("client", opener.client),
        Direction::Egress => ("server", opener.server),
    };
    let holder = index.pod_at(address, span);
    let labels = &holder.pod()?.labels;
    let (_, after) = nearest.mismatch.split_once("(podlabel-")?;
    let (key, value) = after.split_once(')')?.0.split_once(':')?;
    match labels.get(key) {
        Some(found) if found == value => None,
        Some(found) => Some(format!("the {who}'s label {key} is \"{found}\", the rule wants {key}={value}")),
        None => Some(format!("the {who} lacks the label {key}={value}")),
    }
}

/// `NetworkPolicy shop/web`.
pub(super) fn name(policy: &PolicyName) -> String {
    // One of the whole cluster is of a kind that its engine does not tell.
    let unnamed = if policy.namespace.is_some() { "NetworkPolicy" } else { "policy" };
    let kind = policy.kind.as_deref().unwrap_or(unnamed);
    match &policy.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", policy.name),
        None => format!("{kind} {}", policy.name),
    }
}

pub(super) fn names(policies: &[PolicyName]) -> String {
    list(policies.iter().map(name))
}

/// `a, b and 4 more`.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    let (shown, more) = items.split_at(items.len().min(MOST_NAMED));
    let shown = shown.join(", ");
    if more.is_empty() { shown } else { format!("{shown} and {} more", more.len()) }
}

/// The command that shows a policy.
pub(super) fn describe(policy: &PolicyId) -> String {
    let namespace = Some(&*policy.id.namespace).filter(|namespace| !namespace.is_empty());
    let namespace = namespace.map(|namespace| format!(" -n {}", quoted(namespace))).unwrap_or_default();
    format!("kubectl{namespace} describe {} {}", policy.kind.resource(), quoted(&policy.id.name))
}

/// Adds what is not there yet.
pub(super) fn add_new(to: &mut Vec<String>, from: Vec<String>) {
    for one in from {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}

/// Adds to what is not known.
pub(super) fn doubt(explanation: &mut Explanation, what: &str) {
    explanation.unknown = Some(match explanation.unknown.take() {
        Some(before) => format!("{before}; {what}"),
        None => what.to_owned(),
    });
}
