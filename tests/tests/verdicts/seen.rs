//! Without the API: what was seen decides, and an engine's own rules name the policy.

use anyhow::{Result, ensure};
use tracer_tests::cloud::PODS;
use tracer_tests::event::key;
use tracer_tests::traffic::talk::{self, Fate};
use tracer_tests::{Expect, Family, patience};

use crate::scene::{CLOSED, OPEN, Scene, adds_up, attempts, verdict};

const TIMES: u32 = 25;

#[test]
fn as_many_are_allowed_as_there_were() -> Result<()> {
    let scene = Scene::new()?;
    let tracer = scene.watch_without_api()?;
    for family in Family::BOTH {
        scene.talk(family, OPEN, TIMES)?;
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for family in Family::BOTH {
        for protocol in ["tcp", "udp"] {
            for (direction, pod) in [("egress", "web"), ("ingress", "db")] {
                let wanted = verdict(direction, "allowed", protocol, OPEN)
                    .with(key::CONFIDENCE_OF_VERDICT, "certain")
                    .with(key::OUTCOME, "established")
                    .with(key::NETNS_POD, pod)
                    .with(key::FLOW_SOURCE_POD, "web")
                    .with(key::FLOW_DESTINATION_POD, "db");
                let seen = attempts(&report, &wanted, family)?;
                let name = family.name();
                ensure!(seen == u64::from(TIMES), "{direction} {protocol} {name}: {seen} of {TIMES}");
            }
        }
    }
    report.ensure_silent(&Expect::any().with(key::KIND, "flow"))?;
    report.ensure_silent(&Expect::any().with(key::KIND, "drop"))?;
    adds_up(&report)
}

#[test]
fn a_rule_of_an_engine_denies_in_its_direction() -> Result<()> {
    let scene = Scene::new()?;
    scene.enforce()?;
    let mut tracer = scene.watch_without_api()?;
    for family in Family::BOTH {
        scene.talk(family, OPEN, 2)?;
        let to = PODS[1].port(family, CLOSED);
        let fate = talk::connect(scene.web(), to, patience())?;
        ensure!(matches!(fate, Fate::Refused(_)), "{fate:?}");
        let fate = talk::ask(scene.web(), to, b"hello", patience())?;
        ensure!(matches!(fate, Fate::Refused(_)), "{fate:?}");
    }
    let denied = |protocol| {
        verdict("ingress", "denied", protocol, CLOSED)
            .with(key::ENFORCED_BY, "kube-router")
            .with(key::VERDICT_POLICY, "db-in")
            .with(key::NETNS_POD, "db")
    };
    for protocol in ["tcp", "udp"] {
        tracer.wait_for(&denied(protocol))?;
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for family in Family::BOTH {
        for protocol in ["tcp", "udp"] {
            ensure!(attempts(&report, &denied(protocol), family)? == 1, "{protocol} {}", family.name());
            ensure!(attempts(&report, &verdict("ingress", "allowed", protocol, OPEN), family)? == 2, "{protocol}");
        }
    }
    report.ensure_silent(&verdict("egress", "denied", "tcp", CLOSED))?;
    adds_up(&report)
}

#[test]
fn only_denials_have_lines_where_these_are_asked_for() -> Result<()> {
    let scene = Scene::new()?;
    scene.enforce()?;
    let tracer = scene.watch(&["--kubernetes", "off", "--denied"])?;
    scene.talk(Family::V4, OPEN, 1)?;
    talk::connect(scene.web(), PODS[1].port(Family::V4, CLOSED), patience())?;
    let report = tracer.stop()?;
    report.ensure_silent(&Expect::any().with(key::KIND, "verdict").with(key::VERDICT, "allowed"))?;
    let denied = Expect::any().with(key::KIND, "verdict").with(key::VERDICT, "denied");
    ensure!(report.matching(&denied).count() == 1, "{report:?}");
    ensure!(report.stats()?.number(key::VERDICTS_ALLOWED)? > 0, "the others are counted");
    Ok(())
}
