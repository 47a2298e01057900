//! Interfaces come and go, and others have programs on them as well.

use anyhow::{Result, ensure};
use tracer_tests::bpf::{Attach, Link, attach_verdict};
use tracer_tests::cloud::{PODS, SERVERS};
use tracer_tests::event::{Event, key};
use tracer_tests::traffic::raw;
use tracer_tests::traffic::talk::Talk;
use tracer_tests::{Family, require};

use crate::scene::{SERVICE_TARGET, Scene, first_suspect, in_both, unanswered};

/// Devices that saw an attempt.
fn devices(flow: &Event) -> Vec<&str> {
    let seen = flow.at("/seen").and_then(serde_json::Value::as_array).into_iter().flatten();
    seen.filter_map(|seen| seen.pointer(key::INTERFACE)?.as_str()).collect()
}

#[test]
fn a_pod_comes_while_it_runs() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let _fault = scene.lab.swallow("tcp dport 9000")?;
        let mut diagnosis = scene.diagnose(&[])?;
        let pod = scene.lab.third_pod()?;
        // Its own traffic is to be seen from the first attempt that is made when it has been noticed.
        let server = SERVERS[1].port(family, 9000);
        let mut flows = 0;
        let seen = tracer_tests::eventually("an attempt is seen at v3", || {
            unanswered(&pod, &[server], 1)?;
            flows += 1;
            let flow = diagnosis.sees_many(family, "no_answer", "tcp", 9000, flows);
            flow?;
            let flows = diagnosis.tracer().events().iter().filter(|event| event.is("flow"));
            Ok(flows.flat_map(devices).any(|name| name == "v3"))
        });
        seen?;
        unanswered(&pod, &[server], 2)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 9000, flows + 2)?;
        let findings = scene.end(diagnosis)?;
        let finding = findings.only("upstream", "inferred", &["9000", "n0"])?;
        ensure!(finding.to_string().contains(&PODS[2].ip(family).to_string()), "the pod is not named: {finding}");
        first_suspect(finding, "firewall")
    })
}

#[test]
fn a_pod_goes_while_it_runs() -> Result<()> {
    let scene = Scene::new()?;
    let pod = scene.lab.third_pod()?;
    let diagnosis = scene.diagnose(&[])?;
    for family in Family::BOTH {
        Talk::open(&pod, PODS[1].port(family, SERVICE_TARGET))?.exchange(10, 10)?;
    }
    drop(pod);
    scene.lab.node.exec("ip link del v3 2>/dev/null; ! ip link show v3 2>/dev/null")?;
    scene.end(diagnosis)?.ensure_none()
}

/// Programs on both sides of the uplink that let everything pass, by a verdict that ends the chain (`TC_ACT_OK`).
fn others(scene: &Scene) -> Result<[Link; 2]> {
    scene.lab.node.run(|| {
        let uplink = raw::index("n0")?;
        Ok([attach_verdict(Attach::TcxIngress, uplink, 0)?, attach_verdict(Attach::TcxEgress, uplink, 0)?])
    })
}

fn beside_others(is_before: bool) -> Result<()> {
    let scene = Scene::new()?;
    let before = if is_before { Some(others(&scene)?) } else { None };
    let _fault = scene.lab.swallow("tcp dport 9000")?;
    let mut diagnosis = scene.diagnose(&[])?;
    let _after = if is_before { before } else { Some(others(&scene)?) };
    for family in Family::BOTH {
        unanswered(&scene.lab.pods[0], &[SERVERS[1].port(family, 9000)], 2)?;
        let flow = diagnosis.sees_many(family, "no_answer", "tcp", 9000, 2)?;
        ensure!(devices(&flow).contains(&"n0"), "not seen at the uplink: {flow}");
    }
    let findings = scene.end(diagnosis)?;
    ensure!(!findings.all().is_empty(), "{}", findings.told());
    for finding in findings.all() {
        ensure!(finding.text(key::CAUSE) == "upstream", "{finding}");
    }
    Ok(())
}

#[test]
fn another_program_is_there_before() -> Result<()> {
    require!(TCX);
    beside_others(true)
}

#[test]
fn another_program_comes_later() -> Result<()> {
    require!(TCX);
    beside_others(false)
}

/// The older way, whose programs run after those of tcx.
#[test]
fn a_filter_of_tc_is_there_before() -> Result<()> {
    require!(CLS_BPF);
    let scene = Scene::new()?;
    let filter = "bpf da bytecode '1,6 0 0 0'";
    for device in ["n0", "v1"] {
        scene.lab.node.exec(&format!(
            "tc qdisc add dev {device} clsact && tc filter add dev {device} ingress {filter} && tc filter add dev {device} egress {filter}"
        ))?;
    }
    let _fault = scene.lab.swallow("tcp dport 9000")?;
    let mut diagnosis = scene.diagnose(&[])?;
    let server = SERVERS[1].port(Family::V4, 9000);
    unanswered(&scene.lab.pods[0], &[server], 2)?;
    diagnosis.sees_many(Family::V4, "no_answer", "tcp", 9000, 2)?;
    let findings = scene.end(diagnosis)?;
    findings.only("upstream", "inferred", &["9000", "n0"])?;
    let left = scene.lab.node.exec("tc filter show dev n0 ingress")?;
    ensure!(left.contains("bytecode"), "the filter of somebody else is gone: {left}");
    Ok(())
}
