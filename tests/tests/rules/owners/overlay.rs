//! Tailscale and NetBird.

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::SERVER;
use tracer_tests::traffic::udp;

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

#[test]
fn tailscale() -> Result<()> {
    for (at, chain, backend) in [(At::Server, "ts-input", Backend::Legacy), (At::Router, "ts-forward", Backend::Nft)] {
        let scene = Scene::new((backend, Family::V4), at)?;
        scene.load(ruleset!("tailscale.iptables"))?;
        let mut told = scene.story()?;
        told.passes()?;
        // A carrier's network that uses the same range.
        scene
            .lab
            .client
            .exec("ip addr add 100.64.7.7 dev c0; ip route replace default via 10.99.1.1 src 100.64.7.7")?;
        scene.lab.router.exec("ip route add 100.64.7.7 via 10.99.1.2")?;
        let flow = scene.lab.client.run(|| Ok(udp::send(SERVER.port(scene.family, 53), 1, 8)?.flow))?;
        let blame = Blame::rule("tailscale", &scene.iptables(&format!("filter/{chain}")), 3).sure("certain");
        told.blames(&flow, &blame.remedy("--netfilter-mode"))?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn netbird() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Server)?;
    scene.load(ruleset!("netbird.nft"))?;
    let mut told = scene.story()?;
    let blame = Blame::rule("netbird", "nftables ip netbird/netbird-acl-input-filter", 2).sure("derived");
    told.blames(&scene.syn(SERVER.v4.into(), 10250)?, &blame.remedy("access control policies"))?;
    told.passes()?;
    told.end()
}

/// The drop is in INPUT itself, beside the jump.
#[test]
fn netbird_by_iptables() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Server)?;
        scene.load(ruleset!("netbird.iptables"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("netbird", &scene.iptables("filter/INPUT"), 3).sure("certain");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame.remedy("access control policies"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
