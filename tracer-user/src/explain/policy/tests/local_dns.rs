//! Queries to the node's own DNS cache.

use super::super::local_dns::refine_drop as refine_dns_drop;
use super::*;

const LOCAL: &str = "169.254.20.10:53";

/// A client whose egress is for the pods of kube-dns only.
fn shop_with_dns() -> Index {
    let peer = Peer::Pods { namespaces: None, pods: Some(selector("k8s-app", "kube-dns")) };
    let port = PortMatch { protocol: Protocol::Udp, range: PortRange::Numbers(53, 53) };
    let dns = Rule { peers: [peer].into(), ports: [port].into() };
    let own = policy("client", "client", None, Some(vec![dns]));
    index(vec![pod("client", CLIENT, &[("app", "client")], "n1"), own])
}

fn query(to: &str, cause: Cause) -> Drop {
    let explanation = Explanation::new(cause, Confidence::Inferred, "nobody answered");
    let mut drop = Drop::between(&format!("{CLIENT}:40000"), to, explanation);
    drop.packet.protocol = "udp".to_owned();
    drop.packet.tcp_flags = None;
    drop
}

fn told(mut drop: Drop, is_here: bool) -> Explanation {
    refine_dns_drop(&mut drop, &shop_with_dns(), SPAN, is_here);
    drop.explanation
}

#[test]
fn a_policy_that_forgets_the_nodes_own_dns_is_named_with_the_rule() {
    let said = told(query(LOCAL, Cause::Unknown), true);
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Inferred));
    assert!(
        said.summary.starts_with("NetworkPolicy shop/client denies shop/client → 169.254.20.10 udp 53"),
        "{said:?}"
    );
    assert!(
        said.evidence.iter().any(|one| one.contains("a rule for 169.254.20.10/32 or for the host does")),
        "{said:?}"
    );
    assert!(said.remedy.iter().any(|one| one.contains("169.254.20.10/32")), "{said:?}");
    let policy = said.policy.unwrap();
    assert_eq!((policy.direction, policy.enforced_by.as_deref()), (PolicyDirection::Egress, Some("cilium")));
}

#[test]
fn without_cilium_another_address_or_another_cause_nothing_is_added() {
    for (to, cause, is_here) in [
        (LOCAL, Cause::Unknown, false),
        ("10.96.0.10:53", Cause::Unknown, true),
        ("169.254.20.10:54", Cause::Unknown, true),
        (LOCAL, Cause::NetfilterRule, true),
    ] {
        let before = query(to, cause).explanation;
        assert_eq!(told(query(to, cause), is_here), before, "{to} {cause:?}");
    }
}

#[test]
fn what_is_a_policys_already_only_gets_the_hint() {
    let mut drop = query(LOCAL, Cause::NetworkPolicy);
    drop.explanation.owner = Some("cilium".to_owned());
    let said = told(drop, false);
    assert_eq!((said.summary.as_str(), said.evidence.len()), ("nobody answered", 1));
}
