//! The labels that Calico's selectors see.

use super::super::fields::short;
use super::super::question::Question;
use super::super::truth::{Found, Truth};
use super::expression::Expression;
use crate::model::Pod;

/// Whether a selector takes a pod; one that is left out takes all.
pub(super) fn pod_matches(question: &Question<'_>, pod: &Pod, selector: Option<&str>) -> Truth {
    evaluate(selector, |key| match key {
        "projectcalico.org/namespace" => Found::Value(&pod.id.namespace),
        "projectcalico.org/orchestrator" => Found::Value("k8s"),
        "projectcalico.org/serviceaccount" => Found::Value(pod.service_account.as_deref().unwrap_or("default")),
        _ => match (key.strip_prefix("pcns."), key.strip_prefix("pcsa.")) {
            (Some(key), _) => question.namespace_label(pod, key),
            (None, Some(_)) => Found::Unknown("the labels of service accounts are not known".into()),
            (None, None) => pod.labels.get(key).into(),
        },
    })
}

/// Whether a selector takes a pod's namespace; one that is left out takes all.
pub(super) fn namespace_matches(question: &Question<'_>, pod: &Pod, selector: Option<&str>) -> Truth {
    evaluate(selector, |key| match key {
        // The last is what `global()` asks for: no pod is without a namespace.
        "projectcalico.org/name" | "kubernetes.io/metadata.name" | "projectcalico.org/namespace" => {
            Found::Value(&pod.id.namespace)
        }
        _ => question.namespace_label(pod, key),
    })
}

/// Labels of service accounts are not read.
pub(super) fn account_matches(selector: Option<&str>) -> Truth {
    evaluate(selector, |_| Found::Unknown("the labels of service accounts are not known".into()))
}

fn evaluate<'a>(selector: Option<&str>, find: impl Fn(&str) -> Found<'a>) -> Truth {
    let Some(selector) = selector else { return Truth::Yes };
    match Expression::parse(selector) {
        Ok(expression) => expression.holds(&find),
        Err(problem) => Truth::Unknown(format!("the selector {} can't be read: {problem}", short(selector))),
    }
}
