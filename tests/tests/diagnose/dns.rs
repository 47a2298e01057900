//! Names that are not resolved, told from other findings.

use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::cloud::{SERVERS, nft_family};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::nft;
use tracer_tests::traffic::server::Udp;
use tracer_tests::traffic::talk::{self, Fate};
use tracer_tests::{Diagnosis, Expect, Family};

use crate::scene::{DNS, Scene, in_both};

/// Asks the third server in vain, three names.
fn in_vain(scene: &Scene, family: Family, outcome: &str, diagnosis: &mut Diagnosis) -> Result<Event> {
    let server = SERVERS[2].port(family, DNS);
    for (id, name) in (7..).zip(["a.example", "b.example", "c.example"]) {
        let fate = talk::ask(&scene.lab.pods[0], server, &talk::query(name, id), Duration::from_secs(1))?;
        ensure!(fate == Fate::Silence, "{fate:?}");
    }
    let wanted = Expect::any().with(key::KIND, "dns").with(key::OUTCOME, outcome);
    diagnosis.tracer().wait_for(&wanted.with(key::QUERY, "c.example"))
}

#[test]
fn a_resolver_that_is_silent() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[2].ip(family);
        let _server = Udp::names(&scene.lab.internet, SERVERS[2].port(family, DNS))?;
        let _fault = scene.lab.swallow(&format!("{} daddr {server} udp dport 53", nft_family(family)))?;
        let mut diagnosis = scene.diagnose(&[])?;
        in_vain(&scene, family, "no_answer", &mut diagnosis)?;
        let findings = scene.end(diagnosis)?;
        findings.only("upstream|dns", "inferred|derived", &["DNS", &server.to_string()]).map(drop)
    })
}

#[test]
fn queries_that_a_rule_drops_here() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[2].ip(family);
        let _server = Udp::names(&scene.lab.internet, SERVERS[2].port(family, DNS))?;
        let rule = format!("{} daddr {server} udp dport 53 drop", nft_family(family));
        nft(
            &scene.lab.node,
            &format!("table inet guard {{ chain f {{ type filter hook forward priority 0; {rule}; }}; }}"),
        )?;
        let mut diagnosis = scene.diagnose(&[])?;
        in_vain(&scene, family, "dropped", &mut diagnosis)?;
        let findings = scene.end(diagnosis)?;
        findings.only("netfilter_rule", "certain|derived", &["guard", &server.to_string()]).map(drop)
    })
}
