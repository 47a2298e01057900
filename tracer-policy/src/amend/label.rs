//! The label that the other end's pod lacks.

use std::fmt::Write;

use super::Amendment;
use super::case::Case;
use crate::World;
use crate::evaluate::Mismatch;
use crate::model::{Labels, NetworkPolicy, Operator, Peer, Pod, Policy, Requirement, Rule, Text};

/// Policies that are named of those that the label has a meaning to.
const MOST_TOLD: usize = 3;

/// What is to be done to one label.
enum Edit<'a> {
    Set(&'a Text, Text),
    Remove(&'a Text),
}

/// A change of labels.
pub(super) struct Labelled {
    pub(super) amendment: Amendment,
    /// A label that the pod has is changed or taken away: what selects it by that loses it.
    pub(super) is_replaced: bool,
}

/// Gives the pod the labels that the nearest rule wants, if nothing else is amiss.
pub(super) fn missing(case: &Case<'_>, world: &World) -> Option<Labelled> {
    let mismatch = &case.nearest.mismatch;
    let only_labels = !mismatch.is_empty() && mismatch.iter().all(|what| matches!(what, Mismatch::PodLabel { .. }));
    let pod = case.other().pod().filter(|_| only_labels)?;
    let Peer::Pods { pods: Some(selector), .. } = case.peer()? else { return None };
    let edits: Vec<Edit<'_>> = selector.failing(&pod.labels).map(edit).collect::<Option<_>>()?;
    let changed = Pod { labels: edited(&pod.labels, &edits), ..pod.clone() };
    if !case.is_allowed_as(&changed) {
        return None;
    }
    let (mut words, mut arguments) = (Vec::new(), String::new());
    for edit in &edits {
        match edit {
            Edit::Set(key, value) => {
                words.push(format!("add the label {key}={value}"));
                let _ = write!(arguments, " {key}={value}");
            }
            Edit::Remove(key) => {
                words.push(format!("take the label {key} away"));
                let _ = write!(arguments, " {key}-");
            }
        }
    }
    let is_replaced = edits.iter().any(|edit| match edit {
        Edit::Set(key, _) | Edit::Remove(key) => pod.labels.get(key).is_some(),
    });
    let overwrite = if is_replaced { " --overwrite" } else { "" };
    let mut apply = format!("kubectl -n {} label pod {}{arguments}{overwrite}", pod.id.namespace, pod.id.name);
    if let (Some(patch), Some(workload)) = (template_patch(&edits), &pod.workload) {
        let (namespace, kind) = (&pod.id.namespace, workload.kind.to_lowercase());
        let _ = write!(apply, "\nkubectl -n {namespace} patch {kind} {} --type=merge --patch '{patch}'", workload.name);
    }
    let mut opens = meanings(world, case, pod, &changed);
    if is_replaced {
        opens.insert(
            0,
            format!("what selects {} by the label that it has now (a Service, its workload) loses it", pod.id),
        );
    }
    let summary = format!("{} to the pod {}", words.join(" and "), pod.id);
    Some(Labelled { amendment: Amendment { summary, apply, opens }, is_replaced })
}

/// What makes the condition hold; `None` if it can't be known what value is meant.
fn edit(requirement: &Requirement) -> Option<Edit<'_>> {
    match requirement.operator {
        Operator::In => Some(Edit::Set(&requirement.key, requirement.values.first()?.clone())),
        Operator::Exists => Some(Edit::Set(&requirement.key, "true".into())),
        Operator::NotIn | Operator::DoesNotExist => Some(Edit::Remove(&requirement.key)),
    }
}

fn edited(labels: &Labels, edits: &[Edit<'_>]) -> Labels {
    let is_edited = |key: &str| {
        edits.iter().any(|edit| matches!(edit, Edit::Set(other, _) | Edit::Remove(other) if ***other == *key))
    };
    let kept =
        labels.iter().filter(|(key, _)| !is_edited(key)).map(|(key, value)| (Text::from(key), Text::from(value)));
    let set = edits.iter().filter_map(|edit| match edit {
        Edit::Set(key, value) => Some(((*key).clone(), value.clone())),
        Edit::Remove(_) => None,
    });
    Labels::new(kept.chain(set))
}

/// A merge patch of the template that the pod is made from; `null` takes a key away (RFC 7386).
fn template_patch(edits: &[Edit<'_>]) -> Option<String> {
    let labels: serde_json::Map<String, serde_json::Value> = edits
        .iter()
        .map(|edit| match edit {
            Edit::Set(key, value) => (key.to_string(), (**value).into()),
            Edit::Remove(key) => (key.to_string(), serde_json::Value::Null),
        })
        .collect();
    serde_json::to_string(&serde_json::json!({"spec": {"template": {"metadata": {"labels": labels}}}})).ok()
}

/// Other policies to which the pod would be another then.
fn meanings(world: &World, case: &Case<'_>, pod: &Pod, changed: &Pod) -> Vec<String> {
    let (mut told, mut more) = (Vec::new(), 0);
    for policy in world.policies() {
        let Policy::Network(policy) = &**policy else { continue };
        let Some(meaning) = meaning(world, case, policy, pod, changed) else { continue };
        if told.len() < MOST_TOLD { told.push(meaning) } else { more += 1 }
    }
    if more > 0 {
        told.push(format!("{more} more policies see it as another pod then"));
    }
    told
}

fn meaning(world: &World, case: &Case<'_>, policy: &NetworkPolicy, pod: &Pod, changed: &Pod) -> Option<String> {
    let selects = |pod: &Pod| policy.id.namespace == pod.id.namespace && policy.pods.matches(&pod.labels);
    match (selects(pod), selects(changed)) {
        (false, true) => return Some(format!("NetworkPolicy {} selects {} then as well", policy.id, pod.id)),
        (true, false) => return Some(format!("NetworkPolicy {} selects {} no longer then", policy.id, pod.id)),
        _ => {}
    }
    let is_the_nearest = policy.id == case.policy.id;
    let rules = |rules: &Option<Box<[Rule]>>| rules.iter().flatten().cloned().collect::<Vec<_>>();
    let sides = [("reach what", rules(&policy.ingress)), ("be reached by what", rules(&policy.egress))];
    sides.into_iter().find_map(|(word, rules)| {
        let new = |peer: &Peer| means(world, policy, peer, changed) && !means(world, policy, peer, pod);
        let is_new = rules.iter().flat_map(|rule| &rule.peers).any(new);
        (is_new && !is_the_nearest).then(|| format!("{} may {word} NetworkPolicy {} selects then", pod.id, policy.id))
    })
}

/// Whether a peer means the pod.
fn means(world: &World, policy: &NetworkPolicy, peer: &Peer, pod: &Pod) -> bool {
    let Peer::Pods { namespaces, pods } = peer else { return false };
    let in_namespace = match namespaces {
        None => policy.id.namespace == pod.id.namespace,
        Some(selector) => {
            world.namespace(&pod.id.namespace).is_some_and(|namespace| selector.matches(&namespace.labels))
        }
    };
    in_namespace && pods.as_ref().is_none_or(|selector| selector.matches(&pod.labels))
}
