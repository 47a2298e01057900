//! Large packets vanish on the way, and nobody says so.

use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::cloud::{OUTSIDE, PODS, SERVERS, VIP, nft_family};
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::Talk;

use crate::scene::{Scene, in_both};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn an_upload_gets_stuck() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[2].port(family, 443);
        let _server = Tcp::listen(&scene.lab.internet, server)?;
        let what = format!("{} daddr {} meta length > 1300", nft_family(family), server.ip());
        let fault = scene.lab.swallow(&what)?;
        let mut diagnosis = scene.diagnose(&[])?;
        let mut talk = Talk::open(&scene.lab.pods[0], server)?;
        talk.exchange(500, 500)?;
        ensure!(!talk.exchanged(100_000, 1, SHORT)?, "it came through");
        diagnosis.sees(family, "established", "tcp", 443)?;
        ensure!(fault.packets()? > 2);
        let findings = scene.end(diagnosis)?;
        findings.only("mtu", "inferred", &["443", &server.ip().to_string()]).map(drop)
    })
}

#[test]
fn a_download_from_a_service_gets_stuck() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        scene.lab.service(80, 0, 8080)?;
        let _server = Tcp::listen(&scene.lab.pods[0], PODS[0].port(family, 8080))?;
        let (client, words) = (OUTSIDE.ip(family), nft_family(family));
        let _fault = scene.lab.swallow(&format!("{words} daddr {client} tcp sport 80 meta length > 1300"))?;
        let mut diagnosis = scene.diagnose(&[])?;
        let mut talk = Talk::open(&scene.lab.internet, VIP.port(family, 80))?;
        talk.exchange(500, 500)?;
        ensure!(!talk.exchanged(1, 100_000, SHORT)?, "it came through");
        diagnosis.sees(family, "established", "tcp", 80)?;
        let findings = scene.end(diagnosis)?;
        findings.only("mtu", "inferred", &["80"]).map(drop)
    })
}
