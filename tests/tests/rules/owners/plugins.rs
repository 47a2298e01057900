//! Network plugins with few rules of their own, and those that must not be blamed for the rules of others.

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::SERVER;
use tracer_tests::traffic::tcp;

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

/// A policy for nodes, which Antrea enforces by iptables.
#[test]
fn antrea() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Server)?;
        scene.load(ruleset!("antrea.ipset"))?;
        scene.load(ruleset!("antrea.iptables"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("antrea", &scene.iptables("filter/ANTREA-POL-INGRESS-RULES"), 1).sure("certain");
        let member = scene.filled("ANTREA-POL-4F1A2B3C-%v%");
        let blame = blame.evidence(&member).remedy("kubectl describe clusternetworkpolicies.crd.antrea.io node-guard");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

/// The host may not reach pods of user defined networks.
#[test]
fn ovn_kubernetes() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Router)?;
    scene.load(ruleset!("ovn-kubernetes.nft"))?;
    let mut told = scene.story()?;
    let flow = scene.lab.router.run(|| tcp::attempt((SERVER.v4, 10250).into()))?;
    let blame = Blame::rule("ovn-kubernetes", "nftables inet ovn-kubernetes/udn-isolation", 2).sure("derived");
    told.blames(&flow, &blame.hook("output").remedy("k8s.ovn.org/open-default-ports"))?;
    told.passes()?;
    told.end()
}

/// Cilium, flannel, Istio, the VPC plugin of AWS and the kubelet have chains here; the administrator drops.
#[test]
fn bystanders_are_not_blamed() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Router)?;
        scene.load(ruleset!("bystanders.iptables"))?;
        let mut told = scene.story()?;
        let rule = Blame::rule("user", &scene.iptables("filter/FORWARD"), 4).sure("certain").remedy("-D FORWARD");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &rule)?;
        let policy = Blame::policy_of("user", &scene.iptables("filter/FORWARD")).remedy("-P FORWARD ACCEPT");
        told.blames(&scene.syn(SERVER.ip(scene.family), 8081)?, &policy)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
