//! Meshes and private networks that bring rules of their own.

use super::Owner;
use super::case::{Case, jump};

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    tailscale(case).or_else(|| netbird(case)).or_else(|| istio(case))
}

fn tailscale(case: &Case<'_>) -> Option<Owner> {
    let chain = case.chain_on_path(|name| matches!(name, "ts-input" | "ts-forward" | "ts-postrouting"))?;
    Some(
        Owner::new("tailscale", format!("the chain {chain}"))
            .note("Tailscale takes addresses of 100.64.0.0/10 only from its own device")
            .remedy("tailscale status")
            .remedy("tailscale set --netfilter-mode=nodivert, if another network here uses 100.64.0.0/10"),
    )
}

fn netbird(case: &Case<'_>) -> Option<Owner> {
    let is_own = |name: &str| name.starts_with("netbird-") || name.starts_with("NETBIRD-");
    let by_chain = case.chain_on_path(is_own).map(|chain| format!("the chain {chain}"));
    let by_table = || case.table.name.starts_with("netbird").then(|| format!("the table {}", case.table.name));
    // What its chain did not accept is dropped by a rule of INPUT, which comes next.
    let beside = || {
        let number = case.candidate.place.number;
        let before = case.rules(case.candidate.place.chain, number).last()?;
        jump(&before).filter(|chain| is_own(chain)).map(|chain| format!("the jump to {chain} before it"))
    };
    Some(
        Owner::new("netbird", by_chain.or_else(by_table).or_else(beside)?)
            .note("no access control policy of NetBird allows this peer")
            .remedy("netbird status -d")
            .remedy("allow the peer in the access control policies of the management console"),
    )
}

fn istio(case: &Case<'_>) -> Option<Owner> {
    let chain = case.chain_on_path(|name| name.starts_with("ISTIO_") || name.starts_with("istio-"))?;
    Some(
        Owner::new("istio", format!("the chain {chain}"))
            .remedy("kubectl get peerauthentication,authorizationpolicy,sidecar -A")
            .remedy("istioctl proxy-status"),
    )
}
