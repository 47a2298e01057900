//! Lost beyond the node: what left by the uplink is never answered, and the others tell where to look.

use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::Family;
use tracer_tests::cloud::{SERVERS, nft_family};
use tracer_tests::diagnosis::hits_port;
use tracer_tests::traffic::server::{Tcp, Udp};
use tracer_tests::traffic::talk::{self, Fate, OPENVPN_HELLO};

use crate::scene::{Scene, attempts, first_suspect, in_both, unanswered};

#[test]
fn a_port_that_is_blocked_for_all_destinations() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let fault = scene.lab.swallow("tcp dport 443")?;
        let mut diagnosis = scene.diagnose(&[])?;
        unanswered(&scene.lab.pods[0], &SERVERS.map(|server| server.port(family, 443)), 2)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 443, 6)?;
        ensure!(fault.packets()? >= 6);
        let findings = scene.end(diagnosis)?;
        let finding = findings.only("upstream", "inferred", &["443", "n0"])?;
        ensure!(hits_port(finding, 443), "{finding}");
        first_suspect(finding, "firewall")
    })
}

#[test]
fn a_port_that_is_blocked_for_one_destination() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[1].port(family, 9000);
        let _server = Tcp::listen(&scene.lab.internet, server)?;
        let _fault = scene.lab.swallow(&format!("{} daddr {} tcp dport 9000", nft_family(family), server.ip()))?;
        let mut diagnosis = scene.diagnose(&[])?;
        unanswered(&scene.lab.pods[0], &[server], 3)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 9000, 3)?;
        let findings = scene.end(diagnosis)?;
        let words = ["9000", "n0", &server.ip().to_string()];
        first_suspect(findings.only("upstream", "inferred", &words)?, "firewall")
    })
}

#[test]
fn a_tunnel_to_a_vpn_server_that_is_blocked() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[0].port(family, 1194);
        let _server = Udp::echo(&scene.lab.internet, server)?;
        let _fault = scene.lab.swallow("udp dport 1194")?;
        let mut diagnosis = scene.diagnose(&[])?;
        for _ in 0..2 {
            let fate = talk::ask(&scene.lab.pods[0], server, &OPENVPN_HELLO, Duration::from_secs(1))?;
            ensure!(fate == Fate::Silence, "{fate:?}");
        }
        diagnosis.sees_many(family, "no_answer", "udp", 1194, 2)?;
        let findings = scene.end(diagnosis)?;
        first_suspect(findings.only("upstream", "inferred", &["udp", "1194", "n0"])?, "firewall")
    })
}

#[test]
fn a_host_that_is_dead() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let _faults = scene.lab.dead(SERVERS[2])?;
        let mut diagnosis = scene.diagnose(&[])?;
        let ports = [22, 443, 8080, 9090];
        unanswered(&scene.lab.pods[0], &ports.map(|port| SERVERS[2].port(family, port)), 2)?;
        for port in ports {
            diagnosis.sees_many(family, "no_answer", "tcp", port, 2)?;
        }
        let findings = scene.end(diagnosis)?;
        let address = SERVERS[2].ip(family).to_string();
        first_suspect(findings.only("upstream", "inferred", &[&address])?, "dead_host")
    })
}

/// The router of the cloud says so itself: ICMP type 3 code 13, ICMPv6 type 1 code 1.
#[test]
fn a_port_that_a_router_says_is_prohibited() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let _fault = scene.lab.prohibit(9000)?;
        let mut diagnosis = scene.diagnose(&[])?;
        let server = SERVERS[1].port(family, 9000);
        let fates = attempts(&scene.lab.pods[0], &[server], 4)?;
        ensure!(fates.iter().all(|fate| matches!(fate, Fate::Refused(_))), "{fates:?}");
        diagnosis.sees_many(family, "rejected", "tcp", 9000, 4)?;
        let findings = scene.end(diagnosis)?;
        let router = family.pick("10.99.11.1", "fd99:11::1");
        let finding = findings.only("upstream", "derived|certain", &["9000", router, "administratively prohibited"])?;
        first_suspect(finding, "firewall")
    })
}

/// Traffic of the node itself, not of a pod.
#[test]
fn a_registry_that_the_node_does_not_reach() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let registry = SERVERS[2].port(family, 443);
        let _fault = scene.lab.swallow("tcp dport 443")?;
        let mut diagnosis = scene.diagnose(&["--expect", "out:tcp:443"])?;
        unanswered(&scene.lab.node, &[registry], 1)?;
        diagnosis.sees(family, "no_answer", "tcp", 443)?;
        let findings = scene.end(diagnosis)?;
        findings.only("upstream", "inferred", &["443", "n0"]).map(drop)
    })
}

#[test]
fn what_was_blocked_for_a_while_and_is_answered_then_is_no_finding() -> Result<()> {
    let scene = Scene::new()?;
    for family in Family::BOTH {
        let server = SERVERS[0].port(family, 443);
        let _server = Tcp::listen(&scene.lab.internet, server)?;
        let diagnosis = scene.diagnose(&[])?;
        let fault = scene.lab.swallow("tcp dport 443")?;
        std::thread::scope(|scope| {
            let lab = &scene.lab;
            let connecting = scope.spawn(move || talk::connect(&lab.pods[0], server, tracer_tests::patience()));
            tracer_tests::eventually("the first SYN is swallowed", || Ok(fault.packets()? == 1))?;
            drop(fault);
            let fate = connecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            ensure!(fate == Fate::Answered, "{fate:?}");
            Ok(())
        })?;
        scene.end(diagnosis)?.ensure_none()?;
    }
    Ok(())
}
