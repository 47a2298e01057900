//! With the API: which policy and rule, and where it is not what was seen.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tracer_tests::cloud::PODS;
use tracer_tests::event::key;
use tracer_tests::traffic::talk::{self, Fate};
use tracer_tests::{FakeApi, Family};

use crate::scene::{CLOSED, OPEN, Scene, adds_up, attempts, swallow, verdict};

/// A SYN and another one.
const SHORT: Duration = Duration::from_millis(1500);

/// db may be asked by web at its open port, and by nobody else at nothing else.
fn api() -> Result<FakeApi> {
    let api = FakeApi::start()?;
    let pods = [("web", PODS[0]), ("db", PODS[1])].map(|(name, address)| {
        let ips = [address.v4.to_string(), address.v6.to_string()].map(|ip| json!({ "ip": ip }));
        json!({
            "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": name},
                "uid": tracer_tests::cri::uid("shop", name)},
            "status": {"podIP": ips[0]["ip"], "podIPs": ips, "phase": "Running"}
        })
    });
    let ports: Vec<Value> = ["TCP", "UDP"].map(|protocol| json!({"protocol": protocol, "port": OPEN})).into();
    api.put(json!({"kind": "Namespace", "metadata": {"name": "shop"}}));
    api.put_all(pods);
    api.put(json!({
        "kind": "NetworkPolicy", "metadata": {"name": "db-in", "namespace": "shop"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": ports}]
        }
    }));
    Ok(api)
}

#[test]
fn the_rule_that_allows_is_named() -> Result<()> {
    let (scene, api) = (Scene::new()?, api()?);
    let tracer = scene.watch_with(api.kubeconfig())?;
    for family in Family::BOTH {
        scene.talk(family, OPEN, 3)?;
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for family in Family::BOTH {
        for protocol in ["tcp", "udp"] {
            let wanted = verdict("ingress", "allowed", protocol, OPEN)
                .with(key::DECIDED_BY, "db-in")
                .with(key::DECIDED_BY_RULE, 1);
            ensure!(attempts(&report, &wanted, family)? == 3, "{protocol} {}", family.name());
        }
    }
    adds_up(&report)
}

#[test]
fn what_got_through_though_a_policy_denies_it_was_not_enforced() -> Result<()> {
    let (scene, api) = (Scene::new()?, api()?);
    let mut tracer = scene.watch_with(api.kubeconfig())?;
    scene.talk(Family::V4, CLOSED, 1)?;
    let wanted = verdict("ingress", "allowed", "tcp", CLOSED).with(key::SAYS, "denied");
    let event = tracer.wait_for(&wanted)?;
    event.says(key::CONTRADICTION, "not enforced")?;
    event.says(key::NEAREST, "5432/udp are allowed, 5433/tcp was used")?;
    adds_up(&tracer.stop()?)
}

#[test]
fn silence_is_denied_where_a_policy_demands_it() -> Result<()> {
    let (scene, api) = (Scene::new()?, api()?);
    swallow(&scene.lab)?;
    let mut tracer = scene.watch_with(api.kubeconfig())?;
    for family in Family::BOTH {
        let fate = talk::connect(scene.web(), PODS[1].port(family, CLOSED), SHORT)?;
        ensure!(fate == Fate::Silence, "{fate:?}");
    }
    let wanted = verdict("ingress", "denied", "tcp", CLOSED);
    tracer.wait_until(&wanted, |events| {
        let count = events.iter().filter(|event| wanted.accepts(event)).count();
        (count >= 2).then_some(())
    })?;
    let report = tracer.stop()?;
    for family in Family::BOTH {
        ensure!(attempts(&report, &wanted, family)? == 1, "{}", family.name());
    }
    adds_up(&report)
}
