//! Lost before the node: what never arrives can only be missed, so it has to be expected.

use anyhow::{Result, ensure};
use tracer_tests::cloud::{PODS, VIP};
use tracer_tests::traffic::server::Tcp;
use tracer_tests::{Diagnosis, Family};

use crate::scene::{Scene, first_suspect, in_both, unanswered};

#[test]
fn nothing_that_is_expected_arrives() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        scene.lab.service(80, 0, 8080)?;
        let accepts = Tcp::listen(&scene.lab.pods[0], PODS[0].port(family, 8080))?;
        let fault = scene.lab.swallow("iifname ci tcp dport 80")?;
        let diagnosis = scene.diagnose(&["--expect", "in:tcp:80"])?;
        unanswered(&scene.lab.internet, &[VIP.port(family, 80)], 3)?;
        ensure!(fault.packets()? >= 3 && accepts.accepted() == 0);
        let findings = scene.end(diagnosis)?;
        // Other ports arrived, so it is not the whole way that is down.
        first_suspect(findings.only("upstream", "inferred", &["80"])?, "firewall")
    })
}

#[test]
fn a_security_group_lets_other_ports_of_the_same_pod_in() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let [blocked, open] = [8080, 8082].map(|port| PODS[0].port(family, port));
        let servers = [blocked, open].map(|at| Tcp::listen(&scene.lab.pods[0], at));
        let _fault = scene.lab.swallow("iifname ci tcp dport 8080")?;
        let diagnosis = scene.diagnose(&["--expect", "in:tcp:8080", "--expect", "in:tcp:8082"])?;
        unanswered(&scene.lab.internet, &[blocked], 3)?;
        ensure!(tracer_tests::traffic::talk::Talk::open(&scene.lab.internet, open).is_ok());
        ensure!(servers.iter().all(Result::is_ok));
        let findings = scene.end(diagnosis)?;
        first_suspect(findings.only("upstream", "inferred", &["8080"])?, "firewall")
    })
}

#[test]
fn what_is_expected_and_arrives_is_no_finding() -> Result<()> {
    let scene = Scene::new()?;
    scene.lab.service(80, 0, 8080)?;
    let diagnosis = Diagnosis::with(&scene.lab.node, &["--expect", "in:tcp:80"])?;
    for family in Family::BOTH {
        let _server = Tcp::listen(&scene.lab.pods[0], PODS[0].port(family, 8080))?;
        tracer_tests::traffic::talk::Talk::open(&scene.lab.internet, VIP.port(family, 80))?.exchange(10, 10)?;
    }
    scene.end(diagnosis)?.ensure_none()
}
