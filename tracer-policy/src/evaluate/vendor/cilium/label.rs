//! Selectors of endpoints by label.
//!
//! Rule: a label that Cilium may leave out of identities (its settings `labels`) does not decide where it is set.

use serde_json::Value;

use super::super::fields::{list, short};
use super::super::question::{Party, Question};
use super::super::truth::{Found, Truth};
use crate::model::Pod;

const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";
const ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";
const CLUSTER: &str = "io.cilium.k8s.policy.cluster";

/// Beginnings of labels that identities do not have by default (pkg/labelsfilter of Cilium).
const LEFT_OUT: [&str; 13] = [
    "io.kubernetes",
    "kubernetes.io",
    "k8s.io",
    "pod-template-generation",
    "pod-template-hash",
    "controller-revision-hash",
    "annotation.",
    "etcd_node",
    "controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/",
    "job-name",
];

/// Whether a policy's own selector takes the pod: one in a namespace takes pods of it only, whatever it says.
pub(super) fn selects_subject(question: &Question<'_>, selector: &Value, scope: Option<&str>) -> Truth {
    let pod = question.subject;
    let is_near = Truth::of(scope.is_none_or(|namespace| *pod.id.namespace == *namespace));
    is_near.and(|| holds(selector, |key| scope.is_none() || name(key).1 != NAMESPACE, |key| label(question, pod, key)))
}

/// Whether a selector in a rule takes the peer. Where it does not say which namespace: the policy's own, or any.
pub(super) fn selects_peer(question: &Question<'_>, selector: &Value, scope: Option<&str>) -> Truth {
    let says_namespace = keys(selector).any(|key| {
        let name = name(key).1;
        name == NAMESPACE || name.starts_with(NAMESPACE_LABELS)
    });
    // Of hosts and the world, which have no labels of Kubernetes.
    let is_reserved = keys(selector).any(|key| name(key).0 == "reserved");
    match question.peer {
        Party::Pod(pod) => {
            let is_near = says_namespace || scope.is_none_or(|namespace| *pod.id.namespace == *namespace);
            Truth::of(is_near).and(|| holds(selector, |_| true, |key| label(question, pod, key)))
        }
        Party::Node(_) | Party::Outside if !says_namespace && !is_reserved => Truth::No,
        Party::Node(_) | Party::Outside => holds(
            selector,
            |_| true,
            |key| match name(key).0 {
                "k8s" | "any" => Found::Absent,
                source => Found::Unknown(format!("labels of the source {} are not known", short(source))),
            },
        ),
    }
}

fn keys(selector: &Value) -> impl Iterator<Item = &str> {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = list(selector, "matchExpressions").iter();
    labels.map(|(key, _)| key.as_str()).chain(expressions.filter_map(|entry| entry.get("key")?.as_str()))
}

/// Source and name of a label: `k8s:app` is a pod's, `any:app` and `app` anybody's.
fn name(key: &str) -> (&str, &str) {
    key.split_once(':').unwrap_or(("any", key))
}

fn holds<'a>(selector: &Value, is_asked: impl Fn(&str) -> bool, find: impl Fn(&str) -> Found<'a>) -> Truth {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter(|(key, _)| is_asked(key));
    let labels = labels.map(|(key, wanted)| find(key).is(false, |value| wanted.as_str() == Some(value)));
    let expressions = list(selector, "matchExpressions").iter().map(|entry| {
        let key = entry.get("key").and_then(Value::as_str).unwrap_or_default();
        let is_listed = |value: &str| list(entry, "values").iter().any(|wanted| wanted.as_str() == Some(value));
        match entry.get("operator").and_then(Value::as_str) {
            Some("In") => find(key).is(false, is_listed),
            Some("NotIn") => find(key).is(true, |value| !is_listed(value)),
            Some("Exists") => find(key).is(false, |_| true),
            Some("DoesNotExist") => find(key).is(true, |_| false),
            other => Truth::Unknown(format!("the operator {} is not known", short(other.unwrap_or("(none)")))),
        }
    });
    Truth::all(labels.chain(expressions))
}

/// A label of a pod's identity.
fn label<'a>(question: &Question<'a>, pod: &'a Pod, key: &str) -> Found<'a> {
    let (source, name) = name(key);
    match source {
        "k8s" | "any" => {}
        "reserved" | "container" | "cidr" | "cidrgroup" | "fqdn" | "node" => return Found::Absent,
        other => return Found::Unknown(format!("labels of the source {} are not known", short(other))),
    }
    if let Some(key) = name.strip_prefix(NAMESPACE_LABELS) {
        return question.namespace_label(pod, key);
    }
    match name {
        NAMESPACE => Found::Value(&pod.id.namespace),
        ACCOUNT => Found::Value(pod.service_account.as_deref().unwrap_or("default")),
        CLUSTER => Found::Unknown("the name of the cluster is not known".into()),
        _ => match pod.labels.get(name) {
            Some(_) if LEFT_OUT.iter().any(|start| name.starts_with(start)) || name.contains("beta.kubernetes.io") => {
                Found::Unknown(format!("Cilium may leave the label {} out of identities", short(name)))
            }
            value => value.into(),
        },
    }
}
