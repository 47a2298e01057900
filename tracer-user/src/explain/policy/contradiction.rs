//! An engine dropped what the policies allow: its rules are not those of the policies as they are now.
//!
//! Rule: the cause stays the rule; nobody is told to change a policy for it, but to look at the engine.

use tracer_policy::evaluate::{Side, Why};
use tracer_policy::model::ObjectName;

use super::engine::Engine;
use super::{Judged, words};
use crate::enrich;
use crate::event::{Explanation, PolicyName};

/// Where an engine's pods run, and a label of theirs (the manifests of their own releases).
const AGENTS: &[(&str, &str, &str)] = &[
    ("azure-npm", "kube-system", "k8s-app=azure-npm"),
    ("calico", "calico-system", "k8s-app=calico-node"),
    ("kube-router", "kube-system", "k8s-app=kube-router"),
    ("cilium", "kube-system", "k8s-app=cilium"),
    ("weave", "kube-system", "name=weave-net"),
    ("kube-network-policies", "kube-system", "app=kube-network-policies"),
    ("aws-network-policy-agent", "kube-system", "k8s-app=aws-node"),
];

pub(super) fn told(explanation: &mut Explanation, engine: &Engine, side: &Side, judged: &Judged<'_>) {
    if !engine.is_sure {
        explanation.evidence.push(format!("the network policies allow it: {}", words::allowed(side, judged)));
        return;
    }
    let stale: Vec<&PolicyName> = stale(engine, side);
    let pod = words::subject_pod(side, judged);
    let allows = match &*stale {
        [] => words::allowed(side, judged),
        [policy] if is_gone(policy, judged) => format!("{} is gone", words::name(policy)),
        _ => format!("{} does not select {pod}", words::list(stale.iter().map(|policy| words::name(policy)))),
    };
    let way = words::connection(judged);
    let did = std::mem::take(&mut explanation.summary);
    let contradiction =
        format!("{allows}, yet {} drops {way} ({}): are its rules stale?", engine.name, side.direction.as_str());
    explanation.summary.clone_from(&contradiction);
    explanation.evidence.insert(0, did);
    explanation.evidence.extend(words::evidence(side, judged));
    explanation.policy = enrich::policy(side, Some(&engine.name));
    if let Some(policy) = &mut explanation.policy {
        policy.contradiction = Some(contradiction);
    }
    let others = std::mem::take(&mut explanation.remedy);
    explanation.remedy = look(engine, side, judged);
    words::add_new(&mut explanation.remedy, others);
}

/// Policies that the engine names and that do not select the pod.
fn stale<'a>(engine: &'a Engine, side: &Side) -> Vec<&'a PolicyName> {
    if engine.named.is_empty() || side.why == Why::Undecided || engine.names_any(&side.selected_by) {
        return Vec::new();
    }
    engine.named.iter().collect()
}

fn is_gone(policy: &PolicyName, judged: &Judged<'_>) -> bool {
    let id = ObjectName::new(policy.namespace.clone().unwrap_or_default(), policy.name.clone());
    !judged.index.world().policies().any(|known| *known.name() == id)
}

/// The engine's pod on the node that the rule was met on.
fn look(engine: &Engine, side: &Side, judged: &Judged<'_>) -> Vec<String> {
    let node = words::subject(side, judged).and_then(|pod| pod.node.as_deref());
    let at = node.map(|node| format!(" --field-selector spec.nodeName={node}")).unwrap_or_default();
    match AGENTS.iter().find(|(name, ..)| *name == engine.name) {
        Some((_, namespace, label)) => vec![
            format!("kubectl -n {namespace} get pods -l {label} -o wide{at}"),
            format!("kubectl -n {namespace} logs -l {label} --tail=100 --prefix | grep -iE 'error|fail'"),
            format!("kubectl -n {namespace} delete pods -l {label}{at}"),
        ],
        None => vec![format!("kubectl get pods -A -o wide{at} | grep -F {}", engine.name)],
    }
}
