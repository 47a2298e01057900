//! The other end of the connection, as an entry of `from` or `to` that means it and as little else as possible.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::evaluate::End;
use crate::model::{Labels, Operator, Peer, Requirement, Selector, Text};

/// Labels that controllers set on each pod or each revision anew (apps/v1, batch/v1): a policy by them would not outlive the pod.
const FLEETING: [&str; 8] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
];

/// What every namespace is labelled with (Kubernetes 1.21).
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The entry, in the three forms that are needed.
pub(super) struct Entry {
    pub(super) model: Peer,
    pub(super) manifest: Value,
    /// `pods with app=curl of the namespace default`, `10.0.0.9/32`.
    pub(super) words: String,
    /// It may mean others as well.
    pub(super) is_wider: bool,
}

/// The entry for an end, in a policy of the namespace `own`.
pub(super) fn entry(end: &End<'_>, own: &str) -> Entry {
    match end.pod().filter(|pod| !pod.host_network) {
        Some(pod) => of_pods(&pod.id.namespace, &pod.labels, own),
        None => of_address(end),
    }
}

fn of_pods(namespace: &str, labels: &Labels, own: &str) -> Entry {
    let lasting: Vec<(&str, &str)> = labels.iter().filter(|(key, _)| !FLEETING.contains(key)).collect();
    let selector = equal(lasting.iter().copied());
    let mut manifest = json!({"podSelector": match_labels(&lasting)});
    let is_elsewhere = namespace != own;
    if is_elsewhere && let Some(entry) = manifest.as_object_mut() {
        entry.insert("namespaceSelector".to_owned(), match_labels(&[(NAMESPACE_NAME, namespace)]));
    }
    let shown = lasting.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let who = if lasting.is_empty() { "all pods".to_owned() } else { format!("pods with {shown}") };
    Entry {
        model: Peer::Pods {
            namespaces: is_elsewhere.then(|| equal([(NAMESPACE_NAME, namespace)])),
            pods: Some(selector),
        },
        manifest,
        words: format!("{who} of the namespace {namespace}"),
        is_wider: true,
    }
}

fn of_address(end: &End<'_>) -> Entry {
    let range = IpNet::from(end.address().to_canonical());
    Entry {
        model: Peer::Block { range, except: Box::default() },
        manifest: json!({"ipBlock": {"cidr": range.to_string()}}),
        words: range.to_string(),
        is_wider: false,
    }
}

fn match_labels(labels: &[(&str, &str)]) -> Value {
    if labels.is_empty() {
        return json!({});
    }
    let labels: serde_json::Map<String, Value> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    json!({"matchLabels": labels})
}

/// The selector of `matchLabels`.
pub(super) fn equal<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Selector {
    let requirement = |(key, value): (&str, &str)| Requirement {
        key: key.into(),
        operator: Operator::In,
        values: [Text::from(value)].into(),
    };
    Selector { requirements: labels.into_iter().map(requirement).collect() }
}
