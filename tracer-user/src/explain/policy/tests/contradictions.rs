//! What the engine did and what the policies say are not the same.

use super::*;

#[test]
fn a_drop_that_the_policies_allow_is_told_as_that() {
    let said = refined(by_engine("calico", &["web"]), &shop(&[("app", "client")]));
    assert_eq!((said.cause, said.confidence), (Cause::NetfilterRule, Confidence::Certain));
    let told = "rule 1 of NetworkPolicy shop/web allows it, yet calico drops shop/client → shop/web tcp 8080 (ingress): are its rules \
                stale?";
    assert_eq!(said.summary, told);
    assert_eq!(said.evidence[0], "iptables-nft filter/CHAIN rule 3 drops tcp dpt:8080");
    let policy = said.policy.unwrap();
    assert_eq!((policy.verdict, policy.contradiction.as_deref()), (PolicyVerdict::Allowed, Some(told)));
    let restart = "kubectl -n calico-system delete pods -l k8s-app=calico-node --field-selector spec.nodeName=n2";
    assert!(said.remedy.iter().any(|step| step == restart), "{:?}", said.remedy);
}

#[test]
fn an_engine_may_name_a_policy_that_does_not_select_the_pod_any_more() {
    let other = policy("web", "other", Some(vec![]), None);
    let said = refined(by_engine("azure-npm", &["web"]), &index(vec![pod("client", CLIENT, &[], "n1"), other]));
    assert_eq!(said.cause, Cause::NetfilterRule);
    assert!(said.summary.starts_with("NetworkPolicy shop/web does not select shop/web, yet azure-npm drops"));
    let gone = refined(by_engine("azure-npm", &["web"]), &index(vec![pod("client", CLIENT, &[], "n1")]));
    assert!(gone.summary.starts_with("NetworkPolicy shop/web is gone, yet azure-npm drops"), "{}", gone.summary);
}

#[test]
fn without_any_policy_an_engines_drop_is_its_own() {
    let said = refined(by_engine("kube-router", &[]), &index(vec![pod("client", CLIENT, &[], "n1")]));
    assert_eq!(said.cause, Cause::NetfilterRule);
    assert!(said.summary.starts_with("no ingress policy selects shop/web, yet kube-router drops"), "{}", said.summary);
}

#[test]
fn another_policy_than_the_engine_names_may_deny_it() {
    let said = refined(by_engine("azure-npm", &["old"]), &shop(&[]));
    assert_eq!((said.cause, said.confidence), (Cause::NetworkPolicy, Confidence::Derived));
    let odd = "azure-npm names NetworkPolicy shop/old, which is not among the policies that select shop/web";
    assert_eq!(said.policy.unwrap().contradiction.as_deref(), Some(odd));
    assert!(said.evidence.iter().any(|fact| fact == odd));
}

#[test]
fn what_the_policies_do_not_decide_is_left_to_the_engine() {
    let mut wide = rule("app", "client");
    wide.peers = [Peer::Pods { namespaces: Some(selector("team", "a")), pods: None }].into();
    let stranger = {
        let mut pod = Pod::new("elsewhere", "client", "uid");
        pod.addresses = [CLIENT.parse::<IpAddr>().unwrap()].into();
        Change::Pod(Box::new(PodSeen { origin: Origin::Api, pod, since: 0, netns: None, containers: Vec::new() }))
    };
    // The labels of the namespace elsewhere were not read.
    let cluster = index(vec![stranger, policy("web", "web", Some(vec![wide]), None)]);
    let named = refined(by_engine("calico", &["web"]), &cluster);
    assert_eq!((named.cause, named.confidence), (Cause::NetworkPolicy, Confidence::Certain));
    assert!(named.unknown.unwrap().starts_with("what the policies say: "));
    assert_eq!(refined(by_engine("calico", &[]), &cluster).cause, Cause::NetfilterRule);
}
