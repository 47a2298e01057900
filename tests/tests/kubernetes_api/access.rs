//! Who may see what, and how far is asked.

use anyhow::{Result, ensure};
use serde_json::json;
use tracer_tests::{FakeApi, eventually};
use whydrop::kubernetes::{Plan, Reach};

use super::{follow, follow_as, has_pod, hostname, knows_policies, plan, pod, policy, silent, told};

fn two_nodes(api: &FakeApi) -> Result<()> {
    api.put(json!({"kind": "Node", "metadata": {"name": hostname()?}}));
    api.put(json!({"kind": "Node", "metadata": {"name": "elsewhere"}}));
    api.put(pod("here", &hostname()?, "10.0.0.7", &json!({})));
    api.put(pod("there", "elsewhere", "10.0.1.7", &json!({})));
    Ok(())
}

#[test]
fn who_may_not_see_all_pods_sees_this_nodes_and_is_told_the_rule() -> Result<()> {
    let api = FakeApi::start()?;
    two_nodes(&api)?;
    api.deny_cluster_wide("pods");
    let directory = follow(&api)?;
    eventually("this node's pod is there", || Ok(has_pod(&directory, "here")))?;
    ensure!(!has_pod(&directory, "there"));
    let rule = "{apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}";
    told(&directory, &["system:serviceaccount:default:fake", "pods of this node only", rule])
}

#[test]
fn policies_that_may_not_be_listed_are_not_known_until_they_may() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(policy("deny"));
    api.deny("networkpolicies");
    let directory = follow(&api)?;
    ensure!(!knows_policies(&directory));
    let rule = "{apiGroups: [\"networking.k8s.io\"], resources: [networkpolicies], verbs: [list, watch]}";
    told(&directory, &["does not let", "no policy can be named", rule])?;
    ensure!(directory.gaps().len() == 1, "{:?}", directory.gaps());
    api.allow("networkpolicies");
    eventually("they are known", || Ok(knows_policies(&directory)))?;
    silent(&directory)?;
    api.deny("networkpolicies");
    eventually("they are not known any more", || Ok(!knows_policies(&directory)))
}

#[test]
fn credentials_that_are_not_accepted_are_said_and_tried_again() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(pod("web", "n1", "10.0.0.7", &json!({})));
    api.refuse_credentials(true);
    let directory = follow(&api)?;
    told(&directory, &["does not accept the credentials of", "401"])?;
    ensure!(directory.gaps().len() == 1, "{:?}", directory.gaps());
    api.refuse_credentials(false);
    eventually("the pod comes", || Ok(has_pod(&directory, "web")))?;
    silent(&directory)
}

#[test]
fn a_node_alone_is_asked_for_where_that_is_wanted() -> Result<()> {
    let api = FakeApi::start()?;
    two_nodes(&api)?;
    let directory = follow_as(Plan { reach: Reach::Node, ..plan(&api) })?;
    eventually("this node's pod is there", || Ok(has_pod(&directory, "here")))?;
    eventually("policies are known", || Ok(knows_policies(&directory)))?;
    ensure!(!has_pod(&directory, "there"));
    let requests = api.take_requests();
    let pods: Vec<_> = requests.iter().filter(|request| request.starts_with("/api/v1/pods?")).collect();
    ensure!(!pods.is_empty() && pods.iter().all(|request| request.contains("fieldSelector=spec.nodeName")), "{pods:?}");
    silent(&directory)
}

#[test]
fn nothing_is_asked_where_that_is_wanted() -> Result<()> {
    let api = FakeApi::start()?;
    let directory = follow_as(Plan { reach: Reach::Off, ..plan(&api) })?;
    ensure!(directory.gaps().is_empty() && api.take_requests().is_empty());
    Ok(())
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named() -> Result<()> {
    let api = FakeApi::start()?;
    let directory = follow_as(Plan { kubeconfig: Some("/nonexistent/kubeconfig".into()), ..plan(&api) })?;
    told(&directory, &["can't use /nonexistent/kubeconfig for the Kubernetes API"])?;
    ensure!(directory.gaps().len() == 1, "one cause, one sentence: {:?}", directory.gaps());
    Ok(())
}
