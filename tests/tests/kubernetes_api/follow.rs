//! What the server has, and what happens to it.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use serde_json::json;
use tracer_policy::model::{ObjectName, PolicyKind};
use tracer_tests::{FakeApi, eventually};

use super::{follow, has_pod, has_policy, knows_policies, label, pod, policy, silent};

#[test]
fn the_index_follows_pods_services_and_policies() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(json!({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}));
    api.put(pod("web", "n1", "10.0.0.7", &json!({"app": "web"})));
    api.put(json!({
        "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "selector": {"app": "web"},
                 "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    }));
    api.put(policy("deny"));
    let directory = follow(&api)?;
    ensure!(knows_policies(&directory), "policies are listed before the start: {:?}", directory.gaps());
    ensure!(has_policy(&directory, PolicyKind::NetworkPolicy, "deny"));
    {
        let index = directory.read();
        let world = index.world();
        let service = world.services_at("10.96.0.7".parse()?).next();
        ensure!(service.is_some_and(|service| service.id == ObjectName::new("shop", "web")));
        let pod = world.pods_at("10.0.0.7".parse::<IpAddr>()?).next();
        ensure!(pod.is_some_and(|pod| *pod.id.name == *"web"));
        ensure!(world.namespace("shop").is_some_and(|namespace| namespace.labels.get("team") == Some("a")));
    }
    api.put(pod("web", "n1", "10.0.0.7", &json!({"app": "canary"})));
    api.put(pod("late", "n2", "10.0.0.8", &json!({})));
    api.put(policy("late"));
    eventually("the label changes", || Ok(label(&directory, "web", "app").as_deref() == Some("canary")))?;
    eventually("a pod comes", || Ok(has_pod(&directory, "late")))?;
    eventually("a policy comes", || Ok(has_policy(&directory, PolicyKind::NetworkPolicy, "late")))?;
    ensure!(api.delete("Pod", "shop", "late") && api.delete("NetworkPolicy", "shop", "deny"));
    eventually("the pod goes", || Ok(!has_pod(&directory, "late")))?;
    eventually("the policy goes", || Ok(!has_policy(&directory, PolicyKind::NetworkPolicy, "deny")))?;
    ensure!(has_pod(&directory, "web") && has_policy(&directory, PolicyKind::NetworkPolicy, "late"));
    silent(&directory)
}

#[test]
fn what_was_missed_is_listed_again() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(pod("old", "n1", "10.0.0.7", &json!({})));
    api.put(policy("old"));
    let directory = follow(&api)?;
    ensure!(has_pod(&directory, "old"));
    api.stop();
    ensure!(api.delete("Pod", "shop", "old") && api.delete("NetworkPolicy", "shop", "old"));
    api.put(pod("new", "n1", "10.0.0.7", &json!({})));
    // Its history is gone: a watch from before gets 410.
    api.expire();
    api.take_requests();
    api.resume()?;
    eventually("the new pod comes", || Ok(has_pod(&directory, "new")))?;
    eventually("the old pod goes", || Ok(!has_pod(&directory, "old")))?;
    eventually("the policy goes", || Ok(!has_policy(&directory, PolicyKind::NetworkPolicy, "old")))?;
    let requests = api.take_requests();
    ensure!(requests.iter().any(|request| request.starts_with("/api/v1/pods?") && !request.contains("watch=true")));
    silent(&directory)
}

#[test]
fn kinds_that_are_installed_later_are_followed_and_left_when_they_go() -> Result<()> {
    let api = FakeApi::start()?;
    let directory = follow(&api)?;
    ensure!(knows_policies(&directory), "what the server does not have is not missing: {:?}", directory.gaps());
    let cilium = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "l7", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": [{}]},
    });
    api.put(cilium);
    eventually("Cilium's policy comes", || Ok(has_policy(&directory, PolicyKind::CiliumNetworkPolicy, "l7")))?;
    eventually("all are known", || Ok(knows_policies(&directory)))?;
    api.undefine("CiliumNetworkPolicy");
    eventually("its kind goes", || Ok(!has_policy(&directory, PolicyKind::CiliumNetworkPolicy, "l7")))?;
    eventually("all are known", || Ok(knows_policies(&directory)))?;
    silent(&directory)
}

#[test]
fn slices_of_an_old_server_are_read_as_well() -> Result<()> {
    let api = FakeApi::start()?;
    api.undefine("EndpointSlice");
    api.put(json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": true}}], "ports": [],
    }));
    let directory = follow(&api)?;
    eventually("the slice comes", || Ok(directory.read().world().slices().any(|slice| *slice.service == *"web")))
}
