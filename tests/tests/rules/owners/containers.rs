//! Docker by iptables (28 and before) and by nft, Podman, and the firewall plugin of CNI.

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::{CLIENT, SERVER};
use tracer_tests::traffic::tcp;

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

fn scene(kind: (Backend, Family), ruleset: (&str, &str)) -> Result<Scene> {
    let scene = Scene::new(kind, At::Router)?;
    scene.load(ruleset)?;
    Ok(scene)
}

#[test]
fn docker() -> Result<()> {
    for kind in MIXED {
        let scene = scene(kind, ruleset!("docker.iptables"))?;
        let blame = |chain: &str, number| Blame::rule("docker", &scene.iptables(chain), number).sure("certain");
        let server = SERVER.ip(scene.family);
        let mut told = scene.story()?;
        let unpublished = blame("filter/DOCKER", 2)
            .path("FORWARD 2, DOCKER-FORWARD 3, DOCKER-BRIDGE 1, DOCKER 2")
            .remedy("docker run -p 10250:10250/tcp");
        told.blames(&scene.syn(server, 10250)?, &unpublished)?;
        let direct = blame("raw/PREROUTING", 1).hook("prerouting").remedy("publish the port");
        told.blames(&scene.syn(scene.address("%published%")?, 80)?, &direct)?;
        told.blames(&scene.syn(server, 3306)?, &blame("filter/DOCKER-USER", 1).remedy("-S DOCKER-USER"))?;
        let tool = kind.1.pick("iptables", "ip6tables");
        let allow = scene.filled(&format!("{tool} -I DOCKER-USER -s %server% -d %client% -p tcp --dport 25 -j ACCEPT"));
        let policy = Blame::policy_of("docker", &scene.iptables("filter/FORWARD")).remedy(&allow);
        told.blames(&scene.lab.server.run(|| tcp::attempt(CLIENT.port(scene.family, 25)))?, &policy)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn docker_before_28() -> Result<()> {
    for kind in MIXED {
        let scene = scene(kind, ruleset!("docker-old.iptables"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("docker", &scene.iptables("filter/DOCKER-ISOLATION-STAGE-2"), 2).sure("certain");
        let blame = blame.remedy("docker network connect NETWORK CONTAINER");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn docker_by_nft() -> Result<()> {
    for family in Family::BOTH {
        let scene = scene((Backend::Nft, family), ruleset!("docker.nft"))?;
        let blame = |chain: &str, number| {
            Blame::rule("docker", &scene.nftables(&format!("docker-bridges/{chain}")), number).sure("certain")
        };
        let mut told = scene.story()?;
        let unpublished = blame("filter-forward-in__r2", 4).remedy("docker run -p 10250:10250/tcp");
        told.blames(&scene.syn(SERVER.ip(family), 10250)?, &unpublished)?;
        let direct = blame("raw-PREROUTING", 1).hook("prerouting").remedy("publish the port");
        told.blames(&scene.syn(scene.address("%published%")?, 80)?, &direct)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn podman() -> Result<()> {
    for kind in MIXED {
        let by_iptables = scene(kind, ruleset!("netavark.iptables"))?;
        let place = by_iptables.iptables("filter/NETAVARK_ISOLATION_2");
        let by_iptables = (by_iptables, Blame::rule("podman", &place, 1).sure("certain"));
        let by_nft = scene((Backend::Nft, kind.1), ruleset!("netavark.nft"))?;
        let by_nft = (by_nft, Blame::rule("podman", "nftables inet netavark/NETAVARK-ISOLATION-2", 2).sure("derived"));
        for (scene, blame) in [by_iptables, by_nft] {
            let mut told = scene.story()?;
            let blame = blame.remedy("podman network connect NETWORK CONTAINER");
            told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame)?;
            told.passes()?;
            told.end()?;
        }
    }
    Ok(())
}

#[test]
fn cni_firewall() -> Result<()> {
    for kind in MIXED {
        let scene = scene(kind, ruleset!("cni.iptables"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("cni-firewall", &scene.iptables("filter/CNI-ISOLATION-STAGE-2"), 1).sure("certain");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame.remedy("CNI-ADMIN"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
