//! kube-router, which k3s and RKE2 have inside: a chain a pod, which runs through the chains of its policies and rejects what
//! none of them marked.

use super::case::{Case, jump, kubectl};
use super::{Owner, PolicyChain, PolicyDirection, PolicyRef};

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    let is_own =
        |name: &str| ["KUBE-POD-FW-", "KUBE-NWPLCY-", "KUBE-ROUTER-"].iter().any(|prefix| name.starts_with(prefix));
    let chain = case.chain_on_path(is_own)?;
    let owner = Owner::new("kube-router", format!("the chain {chain}"));
    if case.is_about_invalid() {
        let note = "connection tracking can make nothing of the packet, which kube-router drops before any policy";
        return Some(owner.note(note).remedy("conntrack -S"));
    }
    let pod = case.comment(pod);
    let mut owner = owner.note(match &pod {
        Some((name, namespace)) => {
            format!("no rule of the NetworkPolicies that select pod {namespace}/{name} allows it")
        }
        None => "no rule of the NetworkPolicies that select the pod allows it".to_owned(),
    });
    let namespace = pod.as_ref().map(|(_, namespace)| namespace.as_str());
    let policies = policies(case, namespace, direction(case));
    for PolicyRef { name, .. } in policies.iter().filter_map(|found| found.policy.as_ref()) {
        owner = owner.remedy(kubectl(namespace, "describe networkpolicy", name));
    }
    if let [PolicyChain { policy, .. }] = policies.as_slice() {
        owner.policy.clone_from(policy);
    }
    if case.chain.name.starts_with("KUBE-POD-FW-") {
        owner = owner.enforces(direction(case), policies);
    }
    Some(match namespace {
        Some(namespace) => owner.remedy(kubectl(Some(namespace), "get", "networkpolicy")),
        None => owner.remedy("kubectl get networkpolicy -A"),
    })
}

/// `rule to REJECT traffic destined for POD name:<pod> namespace: <ns>`.
fn pod(comment: &str) -> Option<(String, String)> {
    let (_, text) = comment.split_once("POD name:")?;
    let (name, namespace) = text.split_once("namespace:")?;
    Some((name.trim().to_owned(), namespace.trim().to_owned()))
}

/// The comment calls both ways "destined for": the addresses of the jumps to the pod's chain tell them apart.
fn direction(case: &Case<'_>) -> PolicyDirection {
    let from_pod = case.comment(|comment| comment.contains("traffic from POD").then_some(()));
    if from_pod.is_some() { PolicyDirection::Egress } else { PolicyDirection::Ingress }
}

/// The policies that the pod's chain runs through before it rejects.
fn policies(case: &Case<'_>, namespace: Option<&str>, direction: PolicyDirection) -> Vec<PolicyChain> {
    let mut found: Vec<PolicyChain> = Vec::new();
    for rule in case.rules(case.candidate.place.chain, case.candidate.place.number) {
        let Some(chain) = jump(&rule).filter(|chain| chain.starts_with("KUBE-NWPLCY-")) else { continue };
        for comment in Case::comments_of(&rule) {
            if let (Some(name), Some(chain)) = (comment.strip_prefix("run through nw policy "), case.table.find(chain))
                && !found.iter().any(|known| known.chain == chain)
            {
                let namespace = namespace.map(ToOwned::to_owned);
                let policy = Some(PolicyRef { namespace, name: name.to_owned(), direction });
                found.push(PolicyChain { chain, policy });
            }
        }
    }
    found
}
