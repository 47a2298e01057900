//! A node without access to the API: the engine's own rules tell the policy, its sets which label is missing, the runtime who the
//! pods are.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::{Expect, NetNs};

use super::scene::{Scene, denied, ruleset, says, without};

const ENFORCED_BY: &str = "/explanation/policy/enforced_by";
const MISMATCH: &str = "/explanation/policy/nearest/mismatch";
const OFF: &[&str] = &["--kubernetes", "off"];

#[test]
fn azure_npm_names_the_policy_the_pods_and_the_missing_label() -> Result<()> {
    let scene = Scene::new(&[])?;
    scene.load("ipset restore", &without(ruleset!("azure-npm.ipset"), "add azure-npm-3922407721 %client%"))?;
    scene.load("iptables-nft-restore", ruleset!("azure-npm.iptables"))?;
    let mut tracer = scene.watch(OFF)?;
    let flow = scene.sends(CONTROL_PORT)?;
    let event = tracer.wait_for(&denied(&flow).sure("certain").with(key::OWNER, "azure-npm"))?;
    let told = "NetworkPolicy shop/web-in denies shop/front-0 → shop/web-0 udp 7777 (ingress): the client lacks the label app=front";
    assert_eq!(event.text(key::SUMMARY), told, "{event}");
    assert_eq!((event.text(key::POLICY_NAME), event.text(ENFORCED_BY)), ("web-in", "azure-npm"));
    says(&event, key::EVIDENCE, "azure-npm-3922407721 (podlabel-app:front)");
    says(&event, key::REMEDY, "kubectl -n shop describe networkpolicy web-in");
    // The engine learns of the label; the same is delivered then.
    scene.client(&[("app", "front")]);
    let router: &NetNs = &scene.lab.router;
    router.exec("ipset add azure-npm-3922407721 10.99.1.2")?;
    let delivered = scene.arrives()?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(&delivered))
}

#[test]
fn calico_names_the_port_that_is_another_one() -> Result<()> {
    let scene = Scene::new(&[("app", "front")])?;
    scene.load("ipset restore", ruleset!("calico.ipset"))?;
    scene.load("iptables-nft-restore", ruleset!("calico.iptables"))?;
    let mut tracer = scene.watch(OFF)?;
    let event = tracer.wait_for(&denied(&scene.sends(7778)?).sure("certain").with(key::OWNER, "calico"))?;
    let told = "NetworkPolicy shop/web-in denies shop/front-0 → shop/web-0 udp 7778 (ingress): udp dport 7777 wanted, 7778 was used";
    assert_eq!(event.text(key::SUMMARY), told, "{event}");
    let delivered = scene.arrives()?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(&delivered))
}

#[test]
fn kube_router_names_the_set_that_the_client_is_not_in() -> Result<()> {
    let scene = Scene::new(&[])?;
    scene.load("ipset restore", &without(ruleset!("kube-router.ipset"), "add KUBE-SRC-ZXQKBCIIXIDWQ3RE %client%"))?;
    scene.load("iptables-nft-restore", ruleset!("kube-router.iptables"))?;
    let mut tracer = scene.watch(OFF)?;
    let event =
        tracer.wait_for(&denied(&scene.sends(CONTROL_PORT)?).sure("certain").with(key::OWNER, "kube-router"))?;
    assert_eq!(event.text(MISMATCH), "the source 10.99.1.2 is not in the set KUBE-SRC-ZXQKBCIIXIDWQ3RE", "{event}");
    says(&event, key::SUMMARY, "NetworkPolicy shop/web-in denies shop/front-0 → shop/web-0 udp 7777 (ingress)");
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_users_own_rule_is_not_called_a_policy() -> Result<()> {
    let scene = Scene::new(&[])?;
    scene.lab.router.exec("iptables-nft -A FORWARD -p udp --dport 7778 -j DROP")?;
    let mut tracer = scene.watch(OFF)?;
    let wanted = Expect::drop("NETFILTER_DROP").flow(&scene.sends(7778)?).cause("netfilter_rule");
    let event = tracer.wait_for(&wanted.with(key::OWNER, "user"))?;
    assert!(event.at("/explanation/policy").is_none(), "{event}");
    tracer.stop()?.ensure_clean()
}
