//! Calico, by iptables and by nft: what an endpoint's chain drops is told from what its policies and profiles do.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::{CLIENT, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Family, sysctl};

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

const TO_WORKLOAD: &str = "cali-tw-cali92d634f8f03";

fn scenes() -> Result<Vec<Scene>> {
    MIXED
        .into_iter()
        .map(|kind| {
            let scene = Scene::new(kind, At::Router)?;
            scene.load(ruleset!("calico.ipset"))?;
            scene.load(ruleset!("calico.iptables"))?;
            Ok(scene)
        })
        .collect()
}

#[test]
fn a_policy_that_does_not_allow() -> Result<()> {
    for scene in scenes()? {
        let place = scene.iptables(&format!("filter/{TO_WORKLOAD}"));
        let mut told = scene.story()?;
        let flow = scene.syn(SERVER.ip(scene.family), 10250)?;
        let blame = Blame::rule("calico", &place, 7)
            .policy("shop", "web-in", "ingress")
            .sure("certain")
            .path(&format!(
                "FORWARD 1, cali-FORWARD 4, cali-to-wl-dispatch 1, cali-to-wl-dispatch-9 1, {TO_WORKLOAD} 7"
            ))
            .evidence("-j MARK --set-xmark 0x0/0x20000")
            .remedy("kubectl -n shop describe networkpolicy web-in");
        told.blames(&flow, &blame)?;
        let explicit = Blame::rule("calico", &scene.iptables("filter/cali-pi-_kxgQy6VBWOo3Mj1GNsy"), 4)
            .policy("shop", "web-in", "ingress")
            .sure("certain")
            .remedy("kubectl -n shop describe networkpolicy web-in");
        told.blames(&scene.syn(SERVER.ip(scene.family), 9100)?, &explicit)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

/// Before policies were named in comments.
#[test]
fn an_older_version_names_no_policy() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Router)?;
    scene.load(ruleset!("calico.ipset"))?;
    scene.load(ruleset!("calico-old.iptables"))?;
    let mut told = scene.story()?;
    let flow = scene.syn(SERVER.v4.into(), 10250)?;
    let blame = Blame::rule("calico", &scene.iptables(&format!("filter/{TO_WORKLOAD}")), 7).sure("certain");
    let event = told.blames(&flow, &blame.remedy("kubectl get networkpolicy -A"))?;
    assert!(event.at(key::POLICY_NAME).is_none(), "{event}");
    told.passes()?;
    told.end()
}

#[test]
fn what_is_not_a_policy() -> Result<()> {
    for scene in scenes()? {
        let place = |chain: &str| scene.iptables(&format!("filter/{chain}"));
        let mut told = scene.story()?;
        let flow = scene.stray()?;
        // The endpoint that it comes from is asked first.
        let invalid = Blame::rule("calico", &place("cali-fw-cali1c7a5f1bbd1"), 2)
            .invalid()
            .sure("certain")
            .remedy("conntrack -S");
        told.blames(&flow, &invalid)?;
        let tunnel = scene.lab.client.run(|| Ok(udp::send(SERVER.port(scene.family, 4789), 1, 8)?.flow))?;
        let encapsulated = Blame::rule("calico", &place("cali-fw-cali1c7a5f1bbd1"), 4).sure("certain");
        told.blames(&tunnel, &encapsulated.remedy("allowVXLANPacketsFromWorkloads"))?;
        let flow = scene.lab.server.run(|| tcp::attempt(CLIENT.port(scene.family, 443)))?;
        let unknown = Blame::rule("calico", &place("cali-from-wl-dispatch"), 2).sure("certain").remedy("calico-node");
        told.blames(&flow, &unknown)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn a_source_that_is_not_the_pods_own() -> Result<()> {
    for scene in scenes()? {
        let _loose = sysctl::set(&scene.lab.router, "net/ipv4/conf/all/rp_filter", "0")?;
        let spoofed = scene.filled("%nobody%");
        // Without the wait for another one with this address.
        let nodad = scene.family.pick("", "nodad");
        let gateway = scene.filled("%router2%");
        scene.lab.server.exec(&format!(
            "ip addr add {spoofed} dev s0 {nodad}; ip route replace default via {gateway} dev s0 src {spoofed}"
        ))?;
        let mut told = scene.story()?;
        let flow = scene.lab.server.run(|| Ok(udp::send(CLIENT.port(scene.family, 53), 1, 8)?.flow))?;
        let blame = Blame::rule("calico", &scene.iptables("raw/cali-PREROUTING"), 4)
            .hook("prerouting")
            .remedy(&format!("grep -F {spoofed}"));
        told.blames(&flow, &blame)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn by_nft() -> Result<()> {
    for family in Family::BOTH {
        let scene = Scene::new((Backend::Nft, family), At::Router)?;
        scene.load(ruleset!("calico.nft"))?;
        let mut told = scene.story()?;
        let flow = scene.syn(SERVER.ip(family), 10250)?;
        let blame = Blame::rule("calico", &scene.nftables(&format!("calico/filter-{TO_WORKLOAD}")), 7)
            .policy("shop", "web-in", "ingress")
            .sure("certain")
            .remedy("kubectl -n shop describe networkpolicy web-in");
        told.blames(&flow, &blame)?;
        let flow = scene.lab.server.run(|| tcp::attempt(CLIENT.port(family, 443)))?;
        let unknown = Blame::rule("calico", &scene.nftables("calico/filter-cali-from-wl-dispatch"), 2);
        told.blames(&flow, &unknown.remedy("calico-node"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
