//! Azure Network Policy Manager (AKS): one chain a policy, named in the comment of the jump to it; the chain sets a mark, and
//! a rule common to all policies drops by that mark.

use super::case::{Case, Stop, kubectl, namespaced};
use super::{Owner, PolicyChain, PolicyDirection, PolicyRef};

/// Metadata service of the platform, which pods may not reach.
const WIRE_SERVER: &str = "168.63.129.16";

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    let Some(chain) = case.chain_on_path(|name| name.starts_with("AZURE-NPM")) else { return wire_server(case) };
    let direction = direction(case);
    let owner = Owner::new("azure-npm", format!("the chain {chain}"))
        .note(format!("no rule of the {} NetworkPolicies that select the pod allows it", direction.as_str()));
    let owner = owner.enforces(direction, chains(case, direction));
    let found = case.marks().find_map(|mark| policy_of(case, &mark, direction));
    let found = found.or_else(|| case.comment(|comment| policy(comment, direction)));
    Some(match found {
        Some(policy) => {
            let describe = kubectl(policy.namespace.as_deref(), "describe networkpolicy", &policy.name);
            let mut owner =
                owner.remedy(describe).remedy(kubectl(policy.namespace.as_deref(), "edit networkpolicy", &policy.name));
            owner.note = format!("the NetworkPolicy {} selects the pod, and no rule of it allows this", policy.name);
            owner.policy = Some(policy);
            owner
        }
        None => owner.remedy("kubectl get networkpolicy -A"),
    })
}

fn direction(case: &Case<'_>) -> PolicyDirection {
    let says = |text: &str| text.contains("EGRESS");
    if says(&case.chain.name) || case.comments.iter().any(|comment| says(comment)) {
        PolicyDirection::Egress
    } else {
        PolicyDirection::Ingress
    }
}

/// The chains that set the mark: those of policies whose rules allowed nothing.
fn chains(case: &Case<'_>, direction: PolicyDirection) -> Vec<PolicyChain> {
    let prefix = format!("AZURE-NPM-{}-", direction.as_str().to_uppercase());
    let is_policy =
        |name: &str| name.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let marks = case.marks().filter(|mark| is_policy(mark.chain));
    marks
        .filter_map(|mark| {
            let policy = policy_of(case, &mark, direction);
            Some(PolicyChain { chain: case.table.find(mark.chain)?, policy })
        })
        .collect()
}

/// The policy whose chain set the mark: the jump to that chain names it.
fn policy_of(case: &Case<'_>, mark: &Stop<'_>, direction: PolicyDirection) -> Option<PolicyRef> {
    let own = mark.comments.iter().find_map(|comment| policy(comment, direction));
    let jumps = || case.jumps_to(mark.chain, "AZURE-NPM").into_iter().flat_map(|stop| stop.comments);
    own.or_else(|| jumps().find_map(|comment| policy(&comment, direction)))
}

/// `INGRESS-POLICY-<ns>/<policy>-TO-…`, `EGRESS-POLICY-<ns>/<policy>-FROM-…`.
fn policy(comment: &str, direction: PolicyDirection) -> Option<PolicyRef> {
    let (prefix, end) = match direction {
        PolicyDirection::Ingress => ("INGRESS-POLICY-", "-TO-"),
        PolicyDirection::Egress => ("EGRESS-POLICY-", "-FROM-"),
    };
    let text = comment.strip_prefix(prefix)?;
    let (namespace, name) = namespaced(text.split(end).next()?)?;
    Some(PolicyRef { namespace: Some(namespace.to_owned()), name: name.to_owned(), direction })
}

fn wire_server(case: &Case<'_>) -> Option<Owner> {
    let is_it = case.chain.name == "FORWARD" && case.destination() == WIRE_SERVER && !case.is_policy();
    is_it.then(|| {
        Owner::new("aks", format!("the rule for {WIRE_SERVER} in FORWARD"))
            .note("AKS keeps pods from the platform's wire server, which is for the node itself")
            .remedy("run what needs the wire server with hostNetwork: true, or use workload identity instead")
    })
}
