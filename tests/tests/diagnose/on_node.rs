//! Dropped on the node: the finding says what dropped it and that attempts died of it, once.

use anyhow::{Result, ensure};
use tracer_tests::cloud::SERVERS;
use tracer_tests::diagnosis::hits_port;
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::nft;
use tracer_tests::traffic::server::Tcp;
use tracer_tests::{Family, sysctl};

use crate::scene::{Scene, in_both, unanswered};

const PORT: u16 = 5432;

/// Three attempts of a pod that a rule of the node ends.
fn dropped_by(family: Family, chain: &str, cause: &str, words: &[&str]) -> Result<Event> {
    let scene = Scene::new()?;
    let server = SERVERS[0].port(family, PORT);
    let _server = Tcp::listen(&scene.lab.internet, server)?;
    nft(&scene.lab.node, &format!("table inet guard {{ {chain}; }}"))?;
    let mut diagnosis = scene.diagnose(&[])?;
    unanswered(&scene.lab.pods[0], &[server], 3)?;
    diagnosis.sees_many(family, "dropped", "tcp", PORT, 3)?;
    let findings = scene.end(diagnosis)?;
    let finding = findings.only(cause, "certain|derived", words)?;
    ensure!(hits_port(finding, PORT), "{finding}");
    ensure!(finding.number(key::COUNT)? == 3, "not three attempts: {finding}");
    Ok(finding.clone())
}

#[test]
fn by_a_rule() -> Result<()> {
    in_both(|family| {
        let chain = "chain f { type filter hook forward priority 0; tcp dport 5432 drop; }";
        let finding = dropped_by(family, chain, "netfilter_rule", &["5432", "guard"])?;
        ensure!(finding.text(key::RULE_TEXT) == "tcp dport 5432 drop", "{finding}");
        Ok(())
    })
}

#[test]
fn by_a_policy_as_no_rule_lets_it_pass() -> Result<()> {
    in_both(|family| {
        let chain = "
            set labelled { type ipv4_addr; elements = { 10.99.13.2 }; }
            chain f {
                type filter hook forward priority 0; policy drop;
                ct state established accept
                tcp dport != 5432 accept
                meta l4proto { udp, icmp, icmpv6 } accept
                ip saddr @labelled accept
            }";
        dropped_by(family, chain, "netfilter_policy", &["5432", "guard"]).map(drop)
    })
}

#[test]
fn the_answer_by_a_rule() -> Result<()> {
    in_both(|family| {
        let chain = "chain f { type filter hook forward priority 0; tcp sport 5432 drop; }";
        let finding = dropped_by(family, chain, "netfilter_rule", &["5432", "guard"])?;
        ensure!(finding.text(key::RULE_TEXT) == "tcp sport 5432 drop", "{finding}");
        Ok(())
    })
}

#[test]
fn the_answer_that_comes_back_by_the_second_uplink() -> Result<()> {
    let scene = Scene::new()?;
    scene.lab.second_uplink()?;
    scene.lab.answers_by_second_uplink()?;
    let server = SERVERS[0].port(Family::V4, PORT);
    let _server = Tcp::listen(&scene.lab.internet, server)?;
    let strict = sysctl::set(&scene.lab.node, "net/ipv4/conf/n1/rp_filter", "1")?;
    let mut diagnosis = tracer_tests::Diagnosis::of(&scene.lab.node)?;
    unanswered(&scene.lab.pods[0], &[server], 3)?;
    diagnosis.sees_many(Family::V4, "dropped", "tcp", PORT, 3)?;
    // What is healthy goes the same way back.
    drop(strict);
    let findings = scene.end(diagnosis)?;
    let finding = findings.only("reverse_path", "certain|derived", &["5432", "n1"])?;
    ensure!(finding.text(key::SYSCTL_NAME).contains("rp_filter"), "{finding}");
    Ok(())
}

#[test]
fn nothing_where_an_answer_may_come_back_by_the_second_uplink() -> Result<()> {
    let scene = Scene::new()?;
    scene.lab.second_uplink()?;
    scene.lab.answers_by_second_uplink()?;
    scene.end(scene.diagnose(&[])?)?.ensure_none()
}
