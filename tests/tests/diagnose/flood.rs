//! Very many attempts of very many strangers.

use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf::{self, Kind};
use tracer_tests::cloud::{PODS, SERVERS};
use tracer_tests::diagnosis::hits_port;
use tracer_tests::event::key;
use tracer_tests::firewall::nft;
use tracer_tests::topology::ip;
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{flood, frame};
use tracer_tests::{Family, patience};

use crate::scene::{SERVICE, SERVICE_TARGET, Scene, WEB, unanswered};

const STRANGERS: u64 = 200_000;

/// SYNs to the healthy pod from addresses of the range for tests of devices (RFC 2544), each from another one.
fn flood(scene: &Scene) -> Result<()> {
    let (lab, server) = (&scene.lab, PODS[1].v4);
    // Answers go back to the internet, where nobody has these addresses.
    ip(&lab.cloud, "route add 198.18.0.0/15 via 203.0.113.2\n")?;
    nft(
        &lab.node,
        "table ip few { chain p { type filter hook prerouting priority -300; ip saddr 198.18.0.0/15 notrack; }; }",
    )?;
    lab.internet.run(|| {
        let wire = Interface::sender("i0")?;
        let first = std::net::Ipv4Addr::new(198, 18, 0, 0);
        let segment = frame::tcp(IpAddr::V4(first), IpAddr::V4(server), (1024, SERVICE_TARGET), frame::SYN);
        let packet = frame::Ipv4::new(first, server, frame::TCP).build(&segment);
        let template = frame::ethernet([2, 0x77, 0, 0, 10, 1], [2, 0x77, 0, 0, 10, 2], frame::ETHERTYPE_IPV4, &packet);
        flood::frames(&wire, &template, STRANGERS, |number, frame| {
            // 17 bits of address; the source port changes with the rest, and checksums follow.
            let source = u32::from(first) + (number % (1 << 17)) as u32;
            let port = 1024 + (number >> 17) as u16;
            rewrite(frame, source, port);
        })
    })
}

/// Puts another source in and makes both checksums right again.
fn rewrite(frame: &mut [u8], source: u32, port: u16) {
    frame[26..30].copy_from_slice(&source.to_be_bytes());
    frame[24..26].fill(0);
    let sum = frame::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame[50..52].fill(0);
    let pseudo = [&frame[26..34], &[0, frame::TCP, 0, 20][..], &frame[34..54]].concat();
    let sum = frame::checksum(&pseudo);
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
}

/// Bytes in memory of a process.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Bytes of all maps of a process.
fn maps(pid: u32) -> Result<u64> {
    let held = bpf::held_by(pid).into_iter().filter(|object| object.kind == Kind::Map);
    held.map(bpf::Object::memory).sum()
}

#[test]
fn of_strangers_is_bounded_and_hides_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let _fault = scene.lab.swallow("tcp dport 443")?;
    let mut diagnosis = scene.diagnose(&[])?;
    let pid = diagnosis.tracer().pid();
    let (before, maps_before) = (resident(pid)?, maps(pid)?);
    flood(&scene)?;
    unanswered(&scene.lab.pods[0], &[SERVERS[0].port(Family::V4, 443)], 3)?;
    diagnosis.sees_many(Family::V4, "no_answer", "tcp", 443, 3)?;
    let (after, maps_after) = (resident(pid)?, maps(pid)?);
    let began = Instant::now();
    let findings = scene.end(diagnosis)?;
    ensure!(began.elapsed() < patience(), "it took {:?} to end", began.elapsed());
    ensure!(after < before + (96 << 20), "{before} bytes were {after} after the flood");
    ensure!(maps_after < maps_before * 2, "{maps_before} bytes of maps were {maps_after} after the flood");
    for finding in findings.all() {
        for port in [SERVICE, WEB] {
            ensure!(!hits_port(finding, port), "this is healthy: {finding}");
        }
        let blames = ["upstream", "no_answer"].contains(&finding.text(key::CAUSE));
        ensure!(!(blames && hits_port(finding, SERVICE_TARGET)), "the service answers: {finding}");
    }
    ensure!(
        findings.all().iter().any(|finding| hits_port(finding, 443)),
        "what is blocked was hidden: {}",
        findings.told()
    );
    Ok(())
}
