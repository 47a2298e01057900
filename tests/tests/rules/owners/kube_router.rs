//! kube-router, as k3s has it: the pod's chain rejects what no policy's chain marked.

use anyhow::Result;
use tracer_tests::topology::SERVER;

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

const POD: &str = "KUBE-POD-FW-XIOATVM5TOINSO4V";

#[test]
fn pods_selected_by_a_policy() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Router)?;
        scene.load(ruleset!("kube-router.ipset"))?;
        scene.load(ruleset!("kube-router.iptables"))?;
        let place = scene.iptables(&format!("filter/{POD}"));
        let mut told = scene.story()?;
        let flow = scene.syn(SERVER.ip(scene.family), 10250)?;
        let blame = Blame::rule("kube-router", &place, 7)
            .policy("shop", "web-in", "ingress")
            .sure("certain")
            .path(&format!("FORWARD 1, KUBE-ROUTER-FORWARD 1, {POD} 7"))
            .remedy("kubectl -n shop describe networkpolicy web-in");
        told.blames(&flow, &blame)?;
        let out = Blame::rule("kube-router", &scene.iptables("filter/KUBE-POD-FW-NE7SP5Z4IWAZL7BU"), 4)
            .policy("shop", "front-out", "egress")
            .sure("certain")
            .remedy("kubectl -n shop describe networkpolicy front-out");
        told.blames(&scene.syn(scene.address("%published%")?, 25)?, &out)?;
        let flow = scene.stray()?;
        let blame = Blame::rule("kube-router", &place, 2).invalid().sure("certain").remedy("conntrack -S");
        let event = told.blames(&flow, &blame)?;
        assert!(event.at("/explanation/policy").is_none(), "no policy did it: {event}");
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
