//! With the API: the policy, the rule that came nearest and the label that is missing; and where the engine does something else.

use anyhow::Result;
use serde_json::{Value, json};
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{CLIENT, SERVER};
use tracer_tests::{Expect, FakeApi, Tracer};

use super::scene::{Scene, denied, ruleset, without};

const CONTRADICTION: &str = "/explanation/policy/contradiction";
const NEAREST_RULE: &str = "/explanation/policy/nearest/rule";
const VERDICT: &str = "/explanation/policy/verdict";
const DENIES: &str = "NetworkPolicy shop/web-in denies shop/front-0 → shop/web-0 udp 7777 (ingress): the client lacks the label app=front";

fn pod(name: &str, address: &str, labels: &Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels, "uid": tracer_tests::cri::uid("shop", name)},
        "spec": {"nodeName": "n1"},
        "status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"}
    })
}

fn client(labels: &Value) -> Value {
    pod("front-0", &CLIENT.v4.to_string(), labels)
}

/// shop/web-0 may be asked by pods with `app=front` at udp 7777.
fn api(labels: &Value) -> Result<FakeApi> {
    let api = FakeApi::start()?;
    api.put(json!({"kind": "Namespace", "metadata": {"name": "shop"}}));
    api.put(pod("web-0", &SERVER.v4.to_string(), &json!({"app": "web"})));
    api.put(client(labels));
    api.put(json!({
        "kind": "NetworkPolicy", "metadata": {"name": "web-in", "namespace": "shop"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "front"}}}],
                "ports": [{"protocol": "UDP", "port": CONTROL_PORT}]
            }]
        }
    }));
    Ok(api)
}

fn watch(scene: &Scene, api: &FakeApi) -> Result<Tracer> {
    scene.watch(&["--kubeconfig", &api.kubeconfig().to_string_lossy()])
}

/// The engine's rules, without the client in the set of those with the label.
fn engines(scene: &Scene, engine: &str) -> Result<()> {
    let (sets, member, rules) = match engine {
        "azure-npm" => {
            let member = "add azure-npm-3922407721 %client%";
            (ruleset!("azure-npm.ipset"), member, ruleset!("azure-npm.iptables"))
        }
        "calico" => {
            let member = "add cali%v%0s:9Kvxs7EvTqpHGkdTXmN-gVH %client%";
            (ruleset!("calico.ipset"), member, ruleset!("calico.iptables"))
        }
        _ => {
            let member = "add KUBE-SRC-ZXQKBCIIXIDWQ3RE %client%";
            (ruleset!("kube-router.ipset"), member, ruleset!("kube-router.iptables"))
        }
    };
    scene.load("ipset restore", &without(sets, member))?;
    scene.load("iptables-nft-restore", rules)
}

#[test]
fn engine_and_policies_agree_until_the_label_is_there() -> Result<()> {
    let sets = [
        ("azure-npm", "azure-npm-3922407721"),
        ("calico", "cali40s:9Kvxs7EvTqpHGkdTXmN-gVH"),
        ("kube-router", "KUBE-SRC-ZXQKBCIIXIDWQ3RE"),
    ];
    for (engine, set) in sets {
        let (scene, api) = (Scene::new(&[])?, api(&json!({}))?);
        engines(&scene, engine)?;
        let mut tracer = watch(&scene, &api)?;
        let event = tracer.wait_for(&denied(&scene.sends(CONTROL_PORT)?).sure("certain").with(key::OWNER, engine))?;
        assert_eq!(event.text(key::SUMMARY), DENIES, "{event}");
        assert_eq!(event.number(NEAREST_RULE)?, 1);
        assert!(event.at(CONTRADICTION).is_none(), "{event}");
        let remedy = event.texts(key::REMEDY);
        assert_eq!(remedy.first(), Some(&"kubectl -n shop describe networkpolicy web-in"), "{event}");
        api.put(client(&json!({"app": "front"})));
        scene.client(&[("app", "front")]);
        scene.lab.router.exec(&format!("ipset add {set} {}", CLIENT.v4))?;
        let delivered = scene.arrives()?;
        let report = tracer.stop()?;
        report.ensure_clean()?;
        report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(&delivered))?;
    }
    Ok(())
}

#[test]
fn an_engine_that_drops_what_the_policies_allow_is_contradicted() -> Result<()> {
    let (scene, api) = (Scene::new(&[("app", "front")])?, api(&json!({"app": "front"}))?);
    engines(&scene, "calico")?;
    let mut tracer = watch(&scene, &api)?;
    let flow = scene.sends(CONTROL_PORT)?;
    let wanted = Expect::drop("NETFILTER_DROP").flow(&flow).cause("netfilter_rule").with(VERDICT, "allowed");
    let event = tracer.wait_for(&wanted.with(key::OWNER, "calico"))?;
    let told = "rule 1 of NetworkPolicy shop/web-in allows it, yet calico drops shop/front-0 → shop/web-0 udp 7777 (ingress): are its \
                rules stale?";
    assert_eq!((event.text(key::SUMMARY), event.text(CONTRADICTION)), (told, told), "{event}");
    assert!(event.texts(key::REMEDY).iter().any(|step| step.contains("spec.nodeName=n1")), "{event}");
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_policy_that_is_gone_is_not_blamed() -> Result<()> {
    let (scene, api) = (Scene::new(&[])?, api(&json!({}))?);
    api.delete("NetworkPolicy", "shop", "web-in");
    engines(&scene, "azure-npm")?;
    let mut tracer = watch(&scene, &api)?;
    let flow = scene.sends(CONTROL_PORT)?;
    let wanted = Expect::drop("NETFILTER_DROP").flow(&flow).cause("netfilter_rule").with(key::OWNER, "azure-npm");
    let event = tracer.wait_for(&wanted)?;
    event.says(key::SUMMARY, "NetworkPolicy shop/web-in is gone, yet azure-npm drops")?;
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_users_own_rule_is_the_cause_also_where_a_policy_would_deny_it() -> Result<()> {
    let (scene, api) = (Scene::new(&[])?, api(&json!({}))?);
    scene.lab.router.exec("iptables-nft -A FORWARD -p udp --dport 7777 -j DROP")?;
    let mut tracer = watch(&scene, &api)?;
    let wanted = Expect::drop("NETFILTER_DROP").flow(&scene.sends(CONTROL_PORT)?).cause("netfilter_rule");
    let event = tracer.wait_for(&wanted.with(key::OWNER, "user"))?;
    assert!(event.at("/explanation/policy").is_none(), "{event}");
    let beside = format!("a network policy would deny it as well: {DENIES}");
    assert!(event.texts(key::EVIDENCE).contains(&beside.as_str()), "{event}");
    tracer.stop()?.ensure_clean()
}
