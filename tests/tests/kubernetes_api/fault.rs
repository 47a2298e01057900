//! A server that is down, or lies.

use anyhow::{Result, ensure};
use serde_json::json;
use tracer_policy::model::PolicyKind;
use tracer_tests::apiserver::Garbage;
use tracer_tests::{FakeApi, eventually};

use super::{follow, has_pod, has_policy, knows_policies, pod, policy, silent, told};

#[test]
fn an_outage_keeps_what_was_known_and_says_since_when() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(pod("web", "n1", "10.0.0.7", &json!({})));
    let directory = follow(&api)?;
    ensure!(has_pod(&directory, "web") && knows_policies(&directory));
    api.stop();
    told(&directory, &["has not answered for", "(connection refused)", "are as of", "UTC"])?;
    ensure!(directory.gaps().len() == 1, "one cause, one sentence: {:?}", directory.gaps());
    ensure!(has_pod(&directory, "web") && knows_policies(&directory));
    api.put(pod("late", "n1", "10.0.0.8", &json!({})));
    api.resume()?;
    eventually("the pod of meanwhile comes", || Ok(has_pod(&directory, "late")))?;
    silent(&directory)
}

#[test]
fn a_server_that_is_not_there_yet_does_not_hold_the_start_and_is_found_later() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(pod("web", "n1", "10.0.0.7", &json!({})));
    api.stop();
    let directory = follow(&api)?;
    told(&directory, &["does not answer (connection refused)"])?;
    ensure!(!knows_policies(&directory));
    api.resume()?;
    eventually("the pod comes", || Ok(has_pod(&directory, "web")))?;
    silent(&directory)
}

#[test]
fn a_policy_that_cant_be_read_costs_itself_and_the_certainty() -> Result<()> {
    let api = FakeApi::start()?;
    api.put(policy("good"));
    let mut bad = policy("bad");
    bad["spec"]["ingress"] = json!(5);
    api.put(bad);
    let directory = follow(&api)?;
    told(&directory, &["shop/bad", "spec.ingress"])?;
    ensure!(has_policy(&directory, PolicyKind::NetworkPolicy, "good") && !knows_policies(&directory));
    api.put(policy("bad"));
    eventually("it can be read", || Ok(knows_policies(&directory)))?;
    silent(&directory)?;
    let mut bad = policy("good");
    bad["spec"]["podSelector"] = json!([]);
    api.put(bad);
    told(&directory, &["shop/good"])?;
    ensure!(api.delete("NetworkPolicy", "shop", "good"));
    eventually("it is gone", || Ok(knows_policies(&directory)))?;
    silent(&directory)
}

#[test]
fn nonsense_is_told_and_the_rest_goes_on() -> Result<()> {
    for garbage in [
        Garbage::Text("<html>".to_owned()),
        Garbage::Text(r#"{"kind":"Status"}"#.to_owned()),
        Garbage::Endless,
        Garbage::Stalled,
    ] {
        let api = FakeApi::start()?;
        api.put(pod("web", "n1", "10.0.0.7", &json!({})));
        api.put(policy("deny"));
        api.garbage("pods", Some(garbage.clone()));
        let directory = follow(&api)?;
        eventually("policies are known", || Ok(knows_policies(&directory)))?;
        told(&directory, &["the Kubernetes API"])?;
        ensure!(!has_pod(&directory, "web"), "{garbage:?}");
        api.garbage("pods", None);
        eventually("the pod comes", || Ok(has_pod(&directory, "web")))?;
        silent(&directory)?;
    }
    Ok(())
}

#[test]
fn a_list_of_something_else_is_not_taken_for_pods() -> Result<()> {
    let api = FakeApi::start()?;
    let secret = json!({"kind": "Secret", "metadata": {"name": "web", "namespace": "shop"}});
    let list = json!({"kind": "PodList", "metadata": {"resourceVersion": "1000"}, "items": [secret, 5, null]});
    api.garbage("pods", Some(Garbage::Text(list.to_string())));
    let directory = follow(&api)?;
    told(&directory, &["Pod shop/web: kind: is \"Secret\""])?;
    ensure!(!has_pod(&directory, "web") && knows_policies(&directory));
    Ok(())
}

#[test]
fn watches_that_end_at_once_are_begun_again_and_nothing_is_lost() -> Result<()> {
    let api = FakeApi::start()?;
    api.close_watches(true);
    let directory = follow(&api)?;
    let mut watches = 0;
    eventually("it is watched again and again", || {
        let requests = api.take_requests();
        watches +=
            requests.iter().filter(|path| path.starts_with("/api/v1/pods?") && path.contains("watch=true")).count();
        Ok(watches > 3)
    })?;
    api.put(pod("web", "n1", "10.0.0.7", &json!({})));
    api.close_watches(false);
    eventually("the pod comes", || Ok(has_pod(&directory, "web")))?;
    silent(&directory)
}
