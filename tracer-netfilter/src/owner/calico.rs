//! Calico: a chain an endpoint and direction, which jumps to the chains of the policies that select it and then drops.

use super::case::{Case, jump, kubectl};
use super::{Owner, PolicyChain, PolicyDirection, PolicyRef};
use crate::text::nft::sh_word;

/// A policy by the comment of its chain.
struct Named {
    policy: PolicyRef,
    /// A NetworkPolicy of Kubernetes, not of Calico's own kinds.
    is_kubernetes: bool,
}

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    let is_own =
        |name: &str| name.starts_with("cali-") || name.starts_with("filter-cali-") || name.starts_with("raw-cali-");
    let by_table = case.table.name == "calico";
    let why = match case.chain_on_path(is_own) {
        Some(chain) => format!("the chain {chain}"),
        None if by_table => "the table calico".to_owned(),
        None => return None,
    };
    let owner = Owner::new("calico", why);
    let says = |words: &str| case.comments.iter().any(|comment| comment.contains(words));
    let endpoint = case.chain.name.trim_start_matches("filter-");
    Some(if says("Drop if no policies passed packet") {
        end_of_tier(case, owner, endpoint)
    } else if says("Drop if no profiles matched") {
        owner
            .note("no policy selects the endpoint and its namespace's profile does not allow the traffic")
            .remedy("calicoctl get profile -o wide")
            .remedy("kubectl get networkpolicy -A")
    } else if says("encapped packets originating in workloads") {
        let setting = if says("VXLAN") { "allowVXLANPacketsFromWorkloads" } else { "allowIPIPPacketsFromWorkloads" };
        owner
            .note("a workload may not send packets of the tunnel that carries the network itself")
            .remedy(format!("calicoctl patch felixconfiguration default -p '{{\"spec\":{{\"{setting}\":true}}}}'"))
    } else if says("Unknown interface") || says("From unknown") {
        owner
            .note(
                "the interface is not that of a workload that Calico knows (yet): the pod is new, gone, or not its own",
            )
            .remedy("kubectl -n calico-system logs -l k8s-app=calico-node -c calico-node --tail=100")
    } else if case.says(&["rpfilter", "fib saddr"]) {
        owner
            .note("the source address is not the pod's own: Calico's check against spoofed addresses")
            .remedy("kubectl get pod -A -o wide | grep -F ".to_owned() + &case.source())
    } else if case.is_about_invalid() {
        owner.note("connection tracking can make nothing of the packet").remedy("conntrack -S")
    } else if let Some(direction) = policy_chain(endpoint) {
        explicit(case, owner, direction)
    } else {
        owner.remedy("calicoctl get globalnetworkpolicy -o wide").remedy("kubectl get networkpolicy -A")
    })
}

fn policy_chain(chain: &str) -> Option<PolicyDirection> {
    if chain.starts_with("cali-pi-") {
        Some(PolicyDirection::Ingress)
    } else if chain.starts_with("cali-po-") {
        Some(PolicyDirection::Egress)
    } else {
        None
    }
}

/// No policy of the tier let it pass: they are the chains jumped to just above.
fn end_of_tier(case: &Case<'_>, owner: Owner, endpoint: &str) -> Owner {
    let mut policies: Vec<Named> = Vec::new();
    let mut chains: Vec<PolicyChain> = Vec::new();
    for rule in case.rules(case.candidate.place.chain, case.candidate.place.number) {
        if Case::comments_of(&rule).iter().any(|comment| comment.contains("Start of ")) {
            policies.clear();
            chains.clear();
        }
        let chain = jump(&rule).map(|chain| chain.trim_start_matches("filter-"));
        if let (Some(target), Some(direction)) = (jump(&rule), chain.and_then(policy_chain))
            && let Some(chain) = case.table.find(target)
        {
            let found = named(case, target, direction);
            chains.push(PolicyChain { chain, policy: found.as_ref().map(|named| named.policy.clone()) });
            policies.extend(found);
        }
    }
    let tier = case.comment(|comment| {
        let (_, rest) = comment.split_once("End of tier ")?;
        rest.split_once(". ").map(|(tier, _)| tier.to_owned())
    });
    let tier = tier.filter(|tier| tier != "default").map(|tier| format!(" of tier {tier}")).unwrap_or_default();
    let mut owner = owner.note(format!("no rule of the policies{tier} that select the endpoint allows it"));
    for policy in &policies {
        owner = owner.remedy(describe(policy));
    }
    if let [Named { policy, .. }] = policies.as_slice() {
        owner.note = format!("the policy {} selects the endpoint, and no rule of it allows this", policy.name);
        owner.policy = Some(policy.clone());
    }
    if let Some(direction) = workload(endpoint) {
        owner = owner.enforces(direction, chains);
    }
    owner.remedy("kubectl get networkpolicy -A")
}

/// The direction of a workload's chain, `cali-tw-…` to it or `cali-fw-…` from it; those of the host's interfaces have others.
fn workload(chain: &str) -> Option<PolicyDirection> {
    if chain.starts_with("cali-tw-") {
        Some(PolicyDirection::Ingress)
    } else if chain.starts_with("cali-fw-") {
        Some(PolicyDirection::Egress)
    } else {
        None
    }
}

/// A rule of a policy that denies by itself.
fn explicit(case: &Case<'_>, owner: Owner, direction: PolicyDirection) -> Owner {
    let owner = owner.note("a rule of this policy denies it by name");
    let found = named(case, &case.chain.name, direction);
    let policy = found.as_ref().map(|named| named.policy.clone());
    let owner = owner.enforces(direction, vec![PolicyChain { chain: case.candidate.place.chain, policy }]);
    match found {
        Some(named) => {
            let mut owner = owner.remedy(describe(&named));
            owner.policy = Some(named.policy);
            owner
        }
        None => owner.remedy("calicoctl get networkpolicy -A -o wide"),
    }
}

/// The command that shows a policy: one of Kubernetes' own has `knp.` in front of its name, or its kind.
fn describe(named: &Named) -> String {
    let PolicyRef { namespace, name, .. } = &named.policy;
    match namespace {
        Some(namespace) if named.is_kubernetes => kubectl(Some(namespace), "describe networkpolicy", name),
        Some(namespace) => {
            format!("calicoctl get networkpolicy -n {} {} -o yaml", sh_word(namespace), sh_word(name))
        }
        None => format!("calicoctl get globalnetworkpolicy {} -o yaml", sh_word(name)),
    }
}

/// The policy of a chain, by the comment of its rules: `Policy <ns>/knp.default.<name> ingress`.
fn named(case: &Case<'_>, chain: &str, direction: PolicyDirection) -> Option<Named> {
    let index = case.table.find(chain)?;
    case.rules(index, 4).find_map(|rule| Case::comments_of(&rule).iter().find_map(|comment| policy(comment, direction)))
}

fn policy(comment: &str, direction: PolicyDirection) -> Option<Named> {
    let text = comment.strip_suffix(direction.as_str())?.trim_end();
    let (kind, name) = text.rsplit_once(' ')?;
    if !kind.ends_with("Policy") {
        return None;
    }
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, name),
    };
    let kubernetes = name.strip_prefix("knp.default.");
    let is_kubernetes = kubernetes.is_some() || kind == "KubernetesNetworkPolicy";
    let name = kubernetes.or_else(|| name.strip_prefix("default.")).unwrap_or(name);
    Some(Named { policy: PolicyRef { namespace, name: name.to_owned(), direction }, is_kubernetes })
}
