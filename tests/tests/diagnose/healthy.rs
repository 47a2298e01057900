//! A node that is busy and healthy: nothing is found.

use std::thread;

use anyhow::{Context, Result, ensure};
use tracer_tests::cloud::{OUTSIDE, PODS, SERVERS, VIP};
use tracer_tests::event::key;
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::{self, Fate, Talk};
use tracer_tests::{Family, NetNs, diagnosis, patience, tracer};

use crate::scene::{SERVICE, SERVICE_TARGET, Scene, WEB};

/// Connections of each client.
const CONNECTIONS: usize = 150;

/// Many short connections, one after the other.
fn hurry(from: &NetNs, to: std::net::SocketAddr) -> Result<()> {
    for _ in 0..CONNECTIONS {
        Talk::open(from, to)?.exchange(100, 1000)?;
    }
    Ok(())
}

#[test]
fn under_load() -> Result<()> {
    let scene = Scene::new()?;
    let lab = &scene.lab;
    let diagnosis = scene.diagnose(&[])?;
    thread::scope(|scope| {
        let mut clients = Vec::new();
        for family in Family::BOTH {
            clients.push(scope.spawn(move || hurry(&lab.internet, VIP.port(family, SERVICE))));
            clients.push(scope.spawn(move || hurry(&lab.pods[0], SERVERS[1].port(family, WEB))));
            clients.push(scope.spawn(move || hurry(&lab.pods[1], OUTSIDE.port(family, WEB))));
            clients.push(scope.spawn(move || hurry(&lab.pods[0], PODS[1].port(family, SERVICE_TARGET))));
        }
        clients
            .into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let findings = scene.end(diagnosis)?;
    findings.ensure_none()?;
    let stats = findings.report.stats()?;
    ensure!(stats.number(key::ESTABLISHED)? >= 8 * CONNECTIONS as u64, "too few were seen: {stats}");
    ensure!(stats.number(key::NOT_FOLLOWED)? == 0, "some were not followed: {stats}");
    Ok(())
}

/// A client that is quicker than its server: refused twice, then served.
#[test]
fn a_server_that_starts_late() -> Result<()> {
    let scene = Scene::new()?;
    let diagnosis = scene.diagnose(&[])?;
    for family in Family::BOTH {
        let at = PODS[0].port(family, 8080);
        for _ in 0..2 {
            let fate = talk::connect(&scene.lab.internet, at, patience())?;
            ensure!(matches!(fate, Fate::Refused(_)), "{fate:?}");
        }
        let _server = Tcp::listen(&scene.lab.pods[0], at)?;
        hurry(&scene.lab.internet, at)?;
    }
    scene.end(diagnosis)?.ensure_none()
}

#[test]
fn by_a_command_that_is_run() -> Result<()> {
    let scene = Scene::new()?;
    let server = SERVERS[1].port(Family::V4, WEB);
    let script = format!("exec 3<>/dev/tcp/{}/{}", server.ip(), server.port());
    let arguments = ["nsenter", &format!("--net={}", scene.lab.pods[0].path().display()), "bash", "-c", &script];
    let mut command = diagnosis::command(&scene.lab.node)?;
    command.arg("--").args(arguments);
    let findings = tracer_tests::Findings::of(tracer::Tracer::spawn(&mut command)?.finish().context("of a command")?)?;
    findings.ensure_none()?;
    ensure!(findings.report.stats()?.number(key::ESTABLISHED)? == 1, "{}", findings.told());
    Ok(())
}

#[test]
fn that_is_idle() -> Result<()> {
    let scene = Scene::new()?;
    let mut command = diagnosis::command(&scene.lab.node)?;
    command.args(["--for", "2s"]);
    tracer_tests::Findings::of(tracer::Tracer::spawn(&mut command)?.finish()?)?.ensure_none()
}
