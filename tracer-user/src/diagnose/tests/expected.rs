//! What was expected and what became of it.

use super::*;
use crate::event::SuspectKind;

#[test]
fn what_never_came_is_blocked_before_this_node_or_was_not_sent() {
    let said = Run::with(Settings {
        expectations: vec!["in:tcp:80".parse().unwrap()],
        platform: crate::explain::flow::Platform::Aks,
        ..Settings::default()
    })
    .seen(Way::Out, 6, "52.0.0.1:80", answered(3))
    .end();
    assert_eq!(said.titles(), ["no SYN to :80 reached any interface in 0.0 s: blocked before this node, or not sent"]);
    assert_eq!(said.health, Health::Unhealthy);
    let why = &said.findings[0].explanation;
    assert_eq!((why.cause, why.confidence), (Cause::Upstream, Confidence::Inferred));
    let suspects = why.suspects.as_ref().unwrap();
    assert_eq!(
        suspects.iter().map(|suspect| suspect.what).collect::<Vec<_>>(),
        [SuspectKind::Firewall, SuspectKind::Routing]
    );
    assert!(suspects[0].check[0].starts_with("tcpdump -ni any 'tcp dst port 80'"));
    assert!(suspects[0].check[1].starts_with("az network watcher test-ip-flow --direction Inbound --protocol TCP"));
    assert!(why.unknown.is_some());
}

#[test]
fn what_is_met_and_fine_is_said() {
    let said = Run::expecting(&["in:tcp:80", "out:udp:53"])
        .seen(Way::In, 6, "10.0.0.1:80", answered(12))
        .seen(Way::Out, 17, "10.96.0.10:53", Tally { established: 7, no_answer: 1, ..Tally::default() })
        .end();
    assert_eq!(
        said.met,
        ["in:tcp:80: 12 attempts, all answered", "out:udp:53: 8 attempts, 7 answered, 1 never answered"]
    );
    assert!(said.findings.is_empty() && said.health == Health::Healthy);
}

#[test]
fn what_is_met_and_failing_is_one_finding_that_says_so() {
    let tally = Tally { no_answer: 1, ..Tally::default() };
    let said = Run::expecting(&["out:tcp:52.0.0.1:443"])
        .seen(Way::Out, 6, "52.0.0.1:443", tally)
        .flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 1))
        .end();
    assert_eq!(said.titles(), ["tcp from 10.244.0.5 to 52.0.0.1:443 leaves this node and is never answered"]);
    assert!(said.findings[0].explanation.evidence.contains(&"it is expected to work: out:tcp:52.0.0.1:443".to_owned()));
    assert!(said.met.is_empty());
}

#[test]
fn a_drop_before_the_interfaces_is_not_silence() {
    let drop = drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:80", 3, said(Cause::BpfProgram, "an XDP program drops it"));
    let said = Run::expecting(&["in:tcp:80"]).dropped(&drop).end();
    assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.0.0.1:80 is dropped on this node"]);
}

#[test]
fn traffic_the_other_way_is_not_what_was_expected() {
    let tally = Tally { no_answer: 4, ..Tally::default() };
    let said = Run::expecting(&["in:tcp:443"])
        .seen(Way::Out, 6, "52.0.0.1:443", tally)
        .flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 4))
        .end();
    assert_eq!(said.findings.len(), 2, "{:?}", said.titles());
    assert!(said.titles()[0].starts_with("no SYN to :443 reached"));
}

#[test]
fn a_name_that_is_not_resolved_is_a_finding() {
    let mut expectation: Expectation = "out:tcp:mcr.example.com:443".parse().unwrap();
    expectation.host_mut().unwrap().unresolved = Some("no answer in 6 s".to_owned());
    let said = Run::with(Settings { expectations: vec![expectation], ..Settings::default() }).end();
    assert_eq!(said.titles(), ["mcr.example.com is not resolved, so nothing here can talk to it"]);
    let why = &said.findings[0].explanation;
    assert_eq!(why.cause, Cause::Dns);
    assert_eq!(why.summary, "the system's resolver has no address for mcr.example.com: no answer in 6 s");
}

#[test]
fn what_nobody_tried_is_told_apart_from_what_was_blocked() {
    let said = Run::expecting(&["out:tcp:52.0.0.1:443"]).end();
    assert_eq!(
        said.titles(),
        ["no SYN to 52.0.0.1:443 left by any interface in 0.0 s: not tried, or stopped before it"]
    );
    assert_eq!(
        said.findings[0].explanation.remedy,
        ["whydrop diagnose --expect out:tcp:52.0.0.1:443 -- nc -vz -w 3 52.0.0.1 443"]
    );
}

#[test]
fn where_there_is_no_interface_nothing_is_concluded() {
    let blind = Some(AttemptTotals::default());
    let said = Run::expecting(&["in:tcp:80"]).end_with(blind);
    assert_eq!((said.health, said.findings.len(), said.met.len()), (Health::Blind, 0, 0));
    // A pod was there for a while.
    let mut run = Run::new();
    run.diagnosis
        .stats(&Stats { attempts: Some(AttemptTotals { interfaces: 1, ..AttemptTotals::default() }), ..stats() })
        .unwrap();
    assert_eq!(run.end_with(blind).health, Health::Healthy);
    let drop = drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:81", 4, rule("a rule drops it"));
    assert_eq!(
        Run::new().dropped(&drop).end_with(blind).health,
        Health::Unhealthy,
        "drops are seen without an interface"
    );
}
