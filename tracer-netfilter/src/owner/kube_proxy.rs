//! kube-proxy in its modes (iptables, ipvs, nftables), and the chain that it shares with the kubelet.

use super::case::{Case, kubectl, namespaced};
use super::{Owner, ServiceRef};
use crate::text::nft::sh_word;

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    if case.table.name == "kube-proxy" {
        return Some(nftables(case));
    }
    let chain = case.chain_on_path(|name| name.starts_with("KUBE-"))?;
    let why = format!("the chain {chain}");
    if chain == "KUBE-FIREWALL" || chain == "KUBE-KUBELET-CANARY" {
        return Some(kubelet(case, why));
    }
    let owner = Owner::new("kube-proxy", why);
    Some(if let Some(service) = case.comment(without_endpoints) {
        endpoints(case, owner, service)
    } else if chain == "KUBE-FORWARD" {
        invalid(owner)
    } else if chain.starts_with("KUBE-PROXY-FIREWALL") || chain.starts_with("KUBE-FW-") {
        let service = case.comment(|comment| service(comment.split_whitespace().next()?));
        source_ranges(case, owner, service)
    } else if chain == "KUBE-LOAD-BALANCER" || chain == "KUBE-SOURCE-RANGES-FIREWALL" {
        source_ranges(case, owner, None)
    } else if chain.starts_with("KUBE-IPVS-") {
        owner
            .note("the address is a Service's, and the node has no such port open on it")
            .remedy(format!("ipvsadm -Ln | grep -F -A3 {}", case.destination()))
            .remedy("kubectl get service -A -o wide")
    } else {
        owner.remedy("kubectl get service -A -o wide")
    })
}

/// `<ns>/<svc>:<port> has no endpoints`, or `no local endpoints`.
fn without_endpoints(comment: &str) -> Option<(ServiceRef, bool)> {
    let (name, rest) = comment.split_once(" has no ")?;
    Some((service(name)?, rest.starts_with("local ")))
}

/// `<ns>/<svc>[:<port>]`.
fn service(text: &str) -> Option<ServiceRef> {
    let (namespace, rest) = namespaced(text)?;
    let (name, port) = match rest.split_once(':') {
        Some((name, port)) => (name, Some(port.to_owned()).filter(|port| !port.is_empty())),
        None => (rest, None),
    };
    Some(ServiceRef { namespace: namespace.to_owned(), name: name.to_owned(), port })
}

fn endpoints(case: &Case<'_>, owner: Owner, (service, is_local): (ServiceRef, bool)) -> Owner {
    let mut owner = owner
        .remedy(format!(
            "kubectl -n {} get endpointslices -l {}",
            sh_word(&service.namespace),
            sh_word(&format!("kubernetes.io/service-name={}", service.name))
        ))
        .remedy(kubectl(Some(&service.namespace), "describe service", &service.name));
    owner.note = if is_local {
        owner.remedy.push(format!(
            "send to a node that has such a pod ({} is this one's), or set the Service's traffic policy to Cluster",
            case.destination()
        ));
        "no ready pod of the Service runs on this node, and its traffic policy is Local".to_owned()
    } else {
        "the Service has no endpoints: no ready pod matches its selector".to_owned()
    };
    owner.service = Some(service);
    owner
}

fn invalid(owner: Owner) -> Owner {
    owner
        .note("connection tracking holds the packet for invalid, and kube-proxy drops such so that none goes out with an address that was not translated")
        .remedy("sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1")
        .remedy("set conntrack.tcpBeLiberal: true in kube-proxy's configuration to keep it so")
}

fn source_ranges(case: &Case<'_>, owner: Owner, service: Option<ServiceRef>) -> Owner {
    let owner = owner.note("the sender is not in the Service's loadBalancerSourceRanges");
    match service {
        Some(service) => {
            let mut owner = owner
                .remedy(
                    kubectl(Some(&service.namespace), "get service", &service.name)
                        + " -o jsonpath='{.spec.loadBalancerSourceRanges}'",
                )
                .remedy(kubectl(Some(&service.namespace), "edit service", &service.name));
            owner.service = Some(service);
            owner
        }
        None => owner
            .remedy(format!("kubectl get service -A -o wide | grep -F {}", case.destination()))
            .remedy(format!("add {} to loadBalancerSourceRanges of that Service", case.source())),
    }
}

fn kubelet(case: &Case<'_>, why: String) -> Owner {
    let is_marked =
        case.says(&["-m mark", "meta mark"]) || case.comments.iter().any(|comment| comment.contains("marked packets"));
    if is_marked {
        Owner::new("kube-proxy", why)
            .note("a rule before this one marked the packet to be dropped (0x8000): its Service has no endpoints, or does not accept the sender")
            .remedy(format!("kubectl get service -A -o wide | grep -F {}", case.destination()))
            .remedy("kubectl get endpointslices -A")
    } else {
        Owner::new("kubelet", why)
            .note("packets from outside to 127.0.0.0/8 are kept out, because Services on node ports open that range (CVE-2020-8558)")
            .remedy("listen on, and connect to, an address of the node instead of 127.0.0.1")
    }
}

fn nftables(case: &Case<'_>) -> Owner {
    let chain = case.chain.name.as_str();
    let owner = Owner::new("kube-proxy", "the table kube-proxy");
    let on_path = |is: &str| case.chain_on_path(|name| name == is).is_some();
    // Elements of its maps have the Service as their comment, chains have it in their name.
    let words = || case.candidate.sets.iter().flat_map(|set| set.split(|c: char| " ()\"".contains(c)));
    let by_set = || words().filter(|word| word.contains(':')).find_map(service);
    let by_chain = || case.path.iter().rev().map(|stop| stop.chain).find_map(service_of_chain);
    if chain == "cluster-ips-check" || (chain == "reject-chain" && on_path("cluster-ips-check")) {
        owner
            .note("the address is in the range of Services, but no Service has it or this port of it")
            .remedy(format!("kubectl get service -A -o wide | grep -F {}", case.destination()))
    } else if chain.starts_with("firewall") || on_path("firewall-check") {
        source_ranges(case, owner, service_of_chain(chain).or_else(by_chain).or_else(by_set))
    } else if chain.starts_with("external-") || chain.ends_with("endpoints-check") || chain == "reject-chain" {
        match by_set().or_else(by_chain) {
            Some(service) => endpoints(case, owner, (service, false)),
            None => owner
                .note("the Service has no endpoints: no ready pod matches its selector")
                .remedy(format!("kubectl get service -A -o wide | grep -F {}", case.destination()))
                .remedy("kubectl get endpointslices -A"),
        }
    } else if chain == "filter-forward" || chain == "forward" {
        invalid(owner)
    } else {
        owner.remedy("kubectl get service -A -o wide")
    }
}

/// `service-ULMVA6XW-<ns>/<svc>/<protocol>/<port>`, `firewall-…`, `external-…`.
fn service_of_chain(chain: &str) -> Option<ServiceRef> {
    let (_, rest) = ["service-", "firewall-", "external-", "endpoint-"]
        .iter()
        .find_map(|prefix| chain.strip_prefix(prefix))?
        .split_once('-')?;
    let mut parts = rest.split("__").next()?.split('/');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let port = parts.nth(1).filter(|port| !port.is_empty()).map(ToOwned::to_owned);
    Some(ServiceRef { namespace: namespace.to_owned(), name: name.to_owned(), port })
}
