//! Azure Network Policy Manager: the rule that drops is common to all policies, and the one behind it is known by the
//! chain that set the mark.

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::{CLIENT, SERVER};
use tracer_tests::traffic::tcp;

use super::ruleset;
use super::scene::{At, Blame, Scene};

const PLACE: &str = "iptables-nft ip filter/AZURE-NPM-";

fn blame(direction: &str, number: usize) -> Blame {
    let name = match direction {
        "INGRESS" => "web-in",
        _ => "web-out",
    };
    Blame::rule("azure-npm", &format!("{PLACE}{direction}"), number)
        .policy("shop", name, &direction.to_lowercase())
        .sure("certain")
        .remedy(&format!("kubectl -n shop describe networkpolicy {name}"))
}

#[test]
fn ingress_and_egress() -> Result<()> {
    let marks = [("0x400/0x400", "0x800/0x800"), ("0x4000/0xffffffff", "0x5000/0xffffffff")];
    let rulesets = [ruleset!("azure-npm.iptables"), ruleset!("azure-npm-old.iptables")];
    for (number, (rules, (ingress, egress))) in rulesets.into_iter().zip(marks).enumerate() {
        let scene = Scene::new((Backend::Nft, Family::V4), At::Router)?;
        scene.load(ruleset!("azure-npm.ipset"))?;
        scene.load(rules)?;
        let mut told = scene.story()?;
        let flow = scene.syn(SERVER.v4.into(), 10250)?;
        let marked =
            format!("AZURE-NPM-INGRESS-3618314628 -m comment --comment DROP-ALL -j MARK --set-xmark {ingress}");
        told.blames(&flow, &blame("INGRESS", 3 - number).evidence(&marked))?;
        let flow = scene.lab.server.run(|| tcp::attempt((CLIENT.v4, 5432).into()))?;
        let marked = format!("AZURE-NPM-EGRESS-1519410577 -m comment --comment DROP-ALL -j MARK --set-xmark {egress}");
        told.blames(&flow, &blame("EGRESS", 2).evidence(&marked))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn the_wire_server_of_the_platform() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Router)?;
    scene.load(ruleset!("azure-npm.ipset"))?;
    scene.load(ruleset!("azure-npm.iptables"))?;
    scene.route("168.63.129.16/32")?;
    let mut told = scene.story()?;
    let flow = scene.syn(scene.address("168.63.129.16")?, 80)?;
    told.blames(&flow, &Blame::rule("aks", "iptables-nft ip filter/FORWARD", 4).sure("certain").remedy("hostNetwork"))?;
    told.passes()?;
    told.end()
}
